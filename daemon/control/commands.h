/*
 * The commands of the control socket, one file a subject; commands.c has
 * their table.  The words and messages are those of the model system where it
 * has them.  Each gets the request's `n` words, its own first, as many as the table
 * allows, and answers (control.h), now or later.
 */
#ifndef POP3D_CONTROL_COMMANDS_H
#define POP3D_CONTROL_COMMANDS_H

#include "common/count.h"
#include "daemon/control/control.h"
#include "daemon/ports/servers.h"

enum {
	KILL_SECONDS = 10, /* for killed connections to be gone */
	STATE_SECONDS = 1, /* for a busy session to bring its scoreboard up to date */
	READY_SECONDS = 60 /* for workers with another certificate or other settings */
};

typedef void command_fn(struct master *m, struct ctl *c, size_t n, char *words[]);

/* commands_last.c */
command_fn command_last;
/* commands_log.c */
command_fn command_log_errors;
/* configure.c */
command_fn command_cget, command_configure;
/* commands_metrics.c */
command_fn command_metrics;
/* commands_servers.c */
command_fn command_new, command_up, command_down, command_destroy, command_list;
/* commands_jobs.c */
command_fn command_job;
/* commands_conns.c */
command_fn command_conn_list, command_conn_state, command_conn_kill, command_sessions;
command_fn command_who, command_kick;

/* The server that a request names.  NULL: there is none, and that was said. */
struct server *control_server(struct master *m, struct ctl *c, const char *name);

/* Add the word for how a server meets its clients: "plain", "plain+stls", "tls". */
void control_say_socket(struct ctl *c, const struct server *s);

/* Add the ids of a server's connections, oldest first, a line each. */
void control_say_conns(struct master *m, struct ctl *c, const struct server *s);

/* A ctl_then_fn: a generation of workers has come or was refused; `what` is the slot of the server
 * that waits for it, or SERVERS_MAX. */
void control_up_then(struct master *m, struct ctl *c, uint64_t what, bool in_time,
		     const void *refusal);

#endif
