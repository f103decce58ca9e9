/*
 * Mailbox jobs: what an administrator asks about one mailbox over the control
 * socket (pop3ctl box, uidl, history).  A job is a row of the connection table
 * without a peer: the auth helper looks its user up, a spare session does the
 * work as that user, and one end of its stream goes to who asked.  Master sees
 * nothing of what it says.
 */
#ifndef POP3D_JOBS_H
#define POP3D_JOBS_H

#include "daemon/base.h"
#include "daemon/table/conn.h"

enum { JOBS_MAX = 16 }; /* under way */

/*
 * Begin one: `argc` words, about the mailbox of `user`; `other`, if not empty, is a second name,
 * the place of whose mailbox the job is told.  The row's id, or 0 and why not.  Then WAIT_JOB of
 * the id is woken once (waiters.h), and at the end the row goes.
 */
conn_id jobs_begin(struct master *m, struct server *server, const char *user, const char *other,
		   size_t argc, char *const words[], char why[MSG_PATH_SIZE]);

/* Who asked has gone before he had an answer. */
void jobs_abandon(struct master *m, conn_id id);

/* From the helper.  False: too late, the job has gone or is under way. */
bool jobs_found(struct master *m, const struct msg_found *found);
/* It is gone: whatever it was asked it will not answer. */
void jobs_helper_lost(struct master *m);

/* For the way of a row, conns.c and grants.c.  Its session has the grant, or will never; what the
 * session says at the end; the row is being freed. */
void jobs_taken(struct master *m, struct conn *c);
void jobs_fail(struct master *m, struct conn *c, const char *why);
void jobs_ended(struct conn *c, const struct msg_job_end *end);
void jobs_forget(struct master *m, struct conn *c);

/* Tell a session what to do, behind its grant.  0 or -1. */
int jobs_send(const struct conn *c, struct session *s);

#endif
