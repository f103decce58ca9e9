/*
 * A login finds its mailbox locked: who has it, and may that session be ended
 * (the setting takeover)?  DESIGN 5.5.
 *
 * A session that asks names no target, only what it tries to lock; considered
 * are the sessions of its own uid that have said that they lock just this, and
 * told about or ended only those of the same user name: with virtual users many
 * share a uid.  One that may go is told so, and ends itself unless its UPDATE
 * has begun; one that does not is killed.  Nothing is deleted by either.
 *
 * A mailbox may have names that lead to different locks of the kernel (an mbox in a
 * spool, and users with different homes, where their locks are).  Then a session
 * claims the mailbox itself, too: master gives it to one of a uid at a time.
 */
#ifndef POP3D_TAKEOVER_H
#define POP3D_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

struct conn;
struct master;

/* MSG_LOCK_ASK from c's session; it is answered now or later.  False: it asks too often. */
bool takeover_asked(struct master *m, struct conn *c, const struct msg_lock_ask *ask);

/* The process of c's session is gone, and with it its lock. */
void takeover_session_gone(struct master *m, const struct conn *c);

/* Once a second: sessions that were told to end and have not. */
void takeover_tick(struct master *m);

#endif
