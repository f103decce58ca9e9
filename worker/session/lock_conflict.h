/*
 * The mailbox is locked by somebody else: master is asked who it is, and whether
 * his session may be ended (the setting takeover).
 */
#ifndef POP3D_LOCK_CONFLICT_H
#define POP3D_LOCK_CONFLICT_H

#include "worker/session/session.h"

/*
 * After lock() said IN_USE.  Without naming a target: master decides by what the store tries to
 * lock (DESIGN 5.5).  If it has ended the session that had the lock, try again.
 * Otherwise ss->holder says who has it.  As lock(): OK, IN_USE, TEMP, PERM.
 */
enum store_result lock_conflict_take_over(struct session *ss);

/* After lock() said OK, and that master has to agree: that no other session of the uid has the same
 * mailbox by another lock.  OK or IN_USE, then as above. */
enum store_result lock_conflict_claim(struct session *ss);

/* Whatever lock() said, when nobody is to be ended for it: ss->holder says who has the mailbox. */
void lock_conflict_look(struct session *ss);

/* Answer the login with "-ERR [IN-USE] …", RFC 2449 section 8.1.2: since when, from where and for
 * how long idle, to the same user only. */
void lock_conflict_reply(struct session *ss);

/* After lock_conflict_reply(), with the mailbox closed: answer QUIT, and everything else as the
 * login, for up to half a minute.  Mail programs that are cut off here do not show the answer, but
 * tell of a broken connection or ask for another password. */
void lock_conflict_stay(struct session *ss);

#endif
