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
 *   change.h     new settings and certificates
 *   settle.h     when all of these move on
 *   sessions.h   the spawner, spares, sessions
 *   receipts.h   deleted messages in the log, warnings
 *   takeover.h   a login finds its mailbox locked
 *   report.h     the log lines that others rely on
 */
#ifndef POP3D_MASTER_H
#define POP3D_MASTER_H

#include <event2/event.h>
#include <stdbool.h>

#include "daemon/conf/conf.h"

struct change;
struct conns;
struct helper;
struct control;
struct listeners;
struct receipts;
struct role_calls;
struct role_trouble;
struct servers;
struct sessions;
struct settle;
struct waiters;
struct workers;

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_STOPPING };

struct master {
	struct event_base *base;
	enum master_state state;
	const char *conf_path;
	struct conf *conf; /* in force */
	bool rootless;	   /* effective uid not 0 */
	const struct role_calls *calls;
	struct role_trouble *trouble; /* ROLE_COUNT of them */
	uint32_t login_uid, login_gid, auth_uid, auth_gid;
	uint32_t control_gid; /* of control_group */
	struct change *change;
	struct conns *conns;
	struct control *control;
	struct helper *helper;
	struct listeners *listeners;
	struct receipts *receipts;
	struct servers *servers;
	struct sessions *sessions;
	struct settle *settle;
	struct waiters *waiters;
	struct workers *workers;
	int exit_status;
};

struct master_options {
	const char *conf_path; /* NULL: there is no file, and no reload */
};

/* Run until stopped.  `conf` is taken over.  Returns the exit status. */
int master_run(const struct master_options *options, struct conf *conf);

/* All is ready: serve from now on. */
void master_serve(struct master *m);

/* Leave the loop; the exit status will be `status`. */
void master_end(struct master *m, int status);

/* Stop: let connections end up to a limit, or end them at once. */
void master_stop(struct master *m, bool at_once);

#endif
