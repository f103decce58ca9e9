/*
 * Which accounts may log in, and what the name service knows of one.
 */
#ifndef POP3D_AUTH_ACCOUNT_H
#define POP3D_AUTH_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

/* uid 0 and (uid_t)-1 never; rootless: only the own; else from minimum_uid on. */
bool account_uid_allowed(uint32_t uid, uint32_t minimum_uid, bool rootless);

/*
 * Look the account up: name as the name service has it, ids, groups, home
 * (getpwnam_r(3), getgrouplist(3)).  May wait long; only for children.
 * LOGIN_OK; LOGIN_BAD no such account; LOGIN_TEMP, LOGIN_PERM: *why says it.
 */
enum login_result account_lookup(const char *name, struct msg_account *a, const char **why);

/* Is there an account of that name?  If so its name goes into dst, else the empty string. */
void account_known_name(const char *name, char dst[MSG_NAME_SIZE]);

/* What shadow(5) has against an account: expired, password expired and so on.  NULL: nothing, or
 * this is not root. */
const char *account_fault(const char *name);

/* Why pam_unix(8) refuses any password of that account, by shadow(5): none is set, or it is empty,
 * or no hash that crypt(3) knows.  NULL: it does not, or this is not root. */
const char *account_password_fault(const char *name);

/* Does shadow(5) hold a password of the account that could be the right one? */
bool account_has_password(const char *name);

/* Why the account phase refuses an account, for the log: that, or "account refused". */
const char *account_refusal(const char *name);

/* Has `usermod -L` locked the account's password, so that none is right?  false without root. */
bool account_is_locked(const char *name);

#endif
