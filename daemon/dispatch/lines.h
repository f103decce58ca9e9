/*
 * The dispatcher's lines in front of the gate: for each back end the requests
 * that wait (queue.h) and those that the gate is checking, as many at most as
 * that back end has children.
 */
#ifndef POP3D_DISPATCH_LINES_H
#define POP3D_DISPATCH_LINES_H

#include <event2/event.h>
#include <stdbool.h>

#include "daemon/dispatch/request.h"
#include "daemon/auth/settings.h"

/* Sends a request to the gate. */
typedef void lines_check_fn(const struct msg_login_ask *ask);

/* The end of a request; the callee owns it again. */
typedef void line_decided_fn(struct request *r, const struct msg_checked *c);
/* May the request be put to the gate now? */
typedef bool line_wanted_fn(struct request *r);
/* It was not, has left its line, and the callee owns it again. */
typedef void line_unwanted_fn(struct request *r);

struct lines_calls {
	line_decided_fn *decided;
	line_wanted_fn *wanted;
	line_unwanted_fn *unwanted;
};

/* Once, before everything else. */
void lines_init(struct event_base *base, const struct lines_calls *calls, lines_check_fn *check);

/* Go on with these settings (borrowed until the next call). */
void lines_configure(const struct settings *s);

/* Put a request in the line of this `auth` setting; `decided` comes later, or, if the line is full,
 * at once. */
void lines_ask(const char *auth, struct request *r);

/* Its client has gone.  True: the gate does not have it, and it is the caller's again; false: its
 * answer will come. */
bool lines_cancel(struct request *r);

/* The gate's answer.  0, or -1: to nothing that it was asked. */
int lines_checked(const struct msg_checked *c);

#endif
