/*
 * Logins that wait before their check since many have failed for their account,
 * whatever the sources.  A wrong password and the right one wait alike, and so
 * does a name that is no account's.  Who waits occupies no child, and nobody
 * waits longer than auth_account_delay: it slows guessing and shuts nobody out.
 */
#ifndef POP3D_DISPATCH_PACE_H
#define POP3D_DISPATCH_PACE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/dispatch/request.h"

/* The request has waited long enough; the callee owns it. */
typedef void pace_over_fn(struct request *r);

/* Once, before everything else. */
void pace_init(struct event_base *base, pace_over_fn *over);

/* Milliseconds from a request to its check, after so many failures for its account in the window;
 * at most `most`. */
uint32_t pace_delay(uint32_t failures, uint32_t most);

/* Has the request waited for `delay` milliseconds? */
bool pace_is_over(const struct request *r, uint32_t delay);

/* Let it wait until then.  0, or -1: no memory. */
int pace_wait(struct request *r, uint32_t delay);

/* Its client has gone.  True: it waited and is the caller's again. */
bool pace_cancel(struct request *r);

#endif
