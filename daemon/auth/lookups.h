/*
 * Look-ups: whose mailbox is a job about that an administrator asked for?
 * Master asks, and master alone: the rules of msg.c let no worker do it.  A
 * child of the server's back end answers as for a login, but without a
 * password, and nothing of a login is done: no count, no delay, no line in the
 * log, no PAM.
 */
#ifndef POP3D_AUTH_LOOKUPS_H
#define POP3D_AUTH_LOOKUPS_H

#include "daemon/auth/checks.h"
#include "daemon/auth/pools.h"

void lookups_init(check_tell_fn *tell);

/* Go on with these settings (borrowed until the next call). */
void lookups_configure(const struct settings *s);

/* MSG_FOUND answers, now or later, once. */
void lookups_ask(const struct msg_lookup *ask);

/* The end of a check that is a look-up; as check_decided_fn. */
void lookups_decided(struct check *c, enum login_result result, const char *why,
		     const struct msg_child_answer *a);

#endif
