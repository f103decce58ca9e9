/*
 * Who has had mail: the accounts whose login has found messages, kept over restarts in the file
 * had-mail of the state directory, so that a mailbox that is missing later is not taken for one
 * that never was.
 *
 * One line an account, "UID MAILBOX", appended as it is learnt and never removed; an administrator
 * may remove lines while the daemon is stopped.  A line that a crash has cut off counts for
 * nothing. It is not synced: what is lost is learnt again at the next login.
 */
#ifndef POP3D_REMEMBER_H
#define POP3D_REMEMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Read the file in `dir` and keep it open; without a file that can be used (a warning, unless
 * `quiet`) what is learnt is kept in memory. */
void remember_open(const char *dir, bool quiet);

/* Has a login of this uid found messages in this mailbox (an absolute path)? */
bool remember_had_mail(uint32_t uid, const char *mailbox);

/* One has.  Paths with control characters are left out, and accounts beyond a million. */
void remember_mail(uint32_t uid, const char *mailbox);

#endif
