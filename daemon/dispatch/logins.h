/*
 * Logins: which request of a worker is lawful, which is refused without a
 * check, and what follows from the gate's answer.
 */
#ifndef POP3D_DISPATCH_LOGINS_H
#define POP3D_DISPATCH_LOGINS_H

#include <event2/event.h>

#include "common/msg.h"
#include "daemon/auth/settings.h"
#include "daemon/dispatch/lines.h"

/* Sends a message to master. */
typedef void login_tell_fn(enum msg_type type, const void *body, size_t len);

/* Once; `check` sends a request to the gate.  0, or -1 with errno. */
int logins_init(struct event_base *base, login_tell_fn *tell, lines_check_fn *check);

/* Go on with these settings (borrowed until the next call); the counts stay. */
void logins_configure(const struct settings *s);

/* What the dispatcher before has counted. */
void logins_failures(const struct msg_failures *m);

/* A row of master's connection table, new or renewed. */
void logins_row(const struct msg_conn *conn);

/* The connection, or its mail session, has ended. */
void logins_row_gone(conn_id id);

/* A worker asks.  What master has said must have been read before. */
void logins_ask(uint32_t worker, const struct msg_login_ask *ask);

#endif
