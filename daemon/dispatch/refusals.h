/*
 * When a refusal leaves, and which one is the last of its connection.  The
 * dispatcher keeps the delay and the count, since a worker may have been taken: it
 * hears of a refusal when its delay is over.  A login that it asks for earlier,
 * or before the end of one under way is known here, waits until then.
 */
#ifndef POP3D_DISPATCH_REFUSALS_H
#define POP3D_DISPATCH_REFUSALS_H

#include <event2/event.h>

#include "daemon/dispatch/rows.h"

/* Take up a login that came early, now that its row is open again. */
typedef void refusals_again_fn(struct row *row, const struct msg_login_ask *ask);

/* Once, before everything else. */
void refusals_init(struct event_base *base, refusals_again_fn *again);

/* Failures of one connection, as many as which one is its last. */
void refusals_configure(uint32_t max_failures);

/* The row's request is refused in `delay` milliseconds.  `digest` is of the name and password of
 * one that failed, which counts unless it is the one before again; NULL: nothing was wrong. */
void refusal_put(struct row *row, enum login_result result, uint64_t delay,
		 const uint8_t digest[MSG_DIGEST_SIZE]);

/* Does the digest belong to the login that failed last? */
bool refusal_is_repeated(const struct row *row, const uint8_t digest[MSG_DIGEST_SIZE]);

/* The row's request has come to its end: take up the login that came early, if there is one. */
void refusal_reopen(struct row *row);

/* Keep a login that comes before the row is open again.  0, or -1: it has one already, or there
 * is no memory. */
int refusal_keep_early(struct row *row, const struct msg_login_ask *ask);

/* The row goes. */
void refusal_forget(struct row *row);

#endif
