/*
 * Checks of passwords: which of the dispatcher's requests is put to a back end,
 * and what follows from the answer.  Who may log in is told to master, and to
 * master alone; the dispatcher hears only whether.
 */
#ifndef POP3D_AUTH_CHECKS_H
#define POP3D_AUTH_CHECKS_H

#include <stddef.h>

#include "common/msg.h"
#include "daemon/auth/settings.h"
#include "daemon/auth/pools.h"

/* Sends a message to master. */
typedef void check_tell_fn(enum msg_type type, const void *body, size_t len);
/* Sends the end of a check to the dispatcher. */
typedef void check_answer_fn(const struct msg_checked *c);

/* Once.  Master hears of grants, the dispatcher of the end of each check. */
void checks_init(check_tell_fn *master, check_answer_fn *answer);

/* Go on with these settings (borrowed until the next call). */
void checks_configure(const struct settings *s);

/* A row of master's connection table, new or renewed. */
void checks_row(const struct msg_conn *conn);

/* The connection, or its mail session, has ended. */
void checks_row_gone(conn_id id);

/* The grant came to nothing; the connection may log in again. */
void checks_grant_void(conn_id id);

/* The dispatcher asks; one MSG_CHECKED answers.  What master has said must have been read before.
 */
void checks_ask(const struct msg_login_ask *ask);

/* The end of a check that is a login. */
check_decided_fn checks_decided;

/* As keeper_gone_fn. */
void checks_keeper_gone(conn_id id, struct child *keeper);

#endif
