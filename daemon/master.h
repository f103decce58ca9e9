/*
 * Master: what its parts share.  One struct, one per process, passed along.
 *
 *   listeners.h  listening sockets, accepting, limits
 *   serve.h      one-user mode
 *   servers.h    named servers
 *   control.h    the control socket
 *   conns.h      the connection table and the way of a connection
 *   workers.h    generations of login workers
 *   helper.h     the auth helper
 *   reload.h     new settings while it runs
 *   sessions.h   the spawner, spares, sessions
 *   receipts.h   deleted messages in the log, warnings
 *   takeover.h   a login finds its mailbox locked
 *   report.h     the log lines that others rely on
 */
#ifndef POP3D_MASTER_H
#define POP3D_MASTER_H

#include <event2/event.h>
#include <stdbool.h>

#include "common/conf.h"

struct conns;
struct helper;
struct control;
struct listeners;
struct receipts;
struct serve;
struct servers;
struct sessions;
struct workers;

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_STOPPING };

struct master {
	struct event_base *base;
	enum master_state state;
	const char *conf_path;
	struct conf *conf;	/* in force */
	struct conf *next;	/* read, while its workers get ready; else NULL */
	bool renewing;		/* a generation of workers is being made ready */
	bool renew_again;	/* and one more is wanted after it */
	bool rootless;		/* effective uid not 0 */
	bool reload_again;	/* asked for while one was under way */
	uint32_t login_uid, login_gid, auth_uid, auth_gid;
	uint32_t control_gid; /* of control_group */
	struct conns *conns;
	struct control *control;
	struct helper *helper;
	struct listeners *listeners;
	struct receipts *receipts;
	struct serve *serve; /* one-user mode; else NULL */
	struct servers *servers;
	struct sessions *sessions;
	struct workers *workers;
	char refusal[MSG_PATH_SIZE]; /* why the last settings were refused */
	int exit_status;
};

struct master_options {
	const char *conf_path;	/* NULL: there is no file, and no reload */
	struct serve *serve;	/* one-user mode; else NULL */
	int ready_fd; /* where a waiting parent reads one octet when we serve; -1: none */
};

/* Run until stopped.  `conf` is taken over.  Returns the exit status. */
int master_run(const struct master_options *options, struct conf *conf);

/* A part became ready: begin or go on to serve when all are. */
void master_check_ready(struct master *m);

/* A part cannot work with these settings: end while starting, keep the old ones on a reload. */
void master_refused(struct master *m, enum role role, const char *why);

/* Stop: let connections end up to a limit, or end them at once. */
void master_stop(struct master *m, bool at_once);

/* Log why something that was asked for is refused, and keep it for the answer. */
void master_log_refusal(struct master *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The last connection has gone: matters while stopping. */
void master_check_idle(struct master *m);

/* Serve reports on a seccomp listener (sandbox = log); owns fd. */
void master_watch_sandbox(int fd);

#endif
