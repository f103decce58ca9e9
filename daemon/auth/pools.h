/*
 * The helper's children: for each back end in use a pool of them, started
 * ahead, and a queue of requests (queue.h).  A child serves one request at a
 * time, is killed when it takes too long, and is replaced after some logins or
 * minutes, or when the files of its back end change.
 */
#ifndef POP3D_AUTH_POOLS_H
#define POP3D_AUTH_POOLS_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/msg.h"
#include "daemon/auth/queue.h"
#include "daemon/auth/settings.h"

struct child;

/* The answer to a request; the callee owns the request again.  answer: NULL if
 * no child gave one.  keeper: the child that keeps a PAM session for this
 * login and wants child_release() some time; NULL: none. */
typedef void login_decided_fn(struct request *r, enum login_result result, const char *why,
			      const struct msg_child_answer *answer, struct child *keeper);
/* May the request be put to a child now? */
typedef bool login_wanted_fn(struct request *r);
/* It was not, has left its queue, and the callee owns it again. */
typedef void login_unwanted_fn(struct request *r);
/* A keeper has ended; id is the connection it was for. */
typedef void keeper_gone_fn(conn_id id, struct child *keeper);

struct pools_calls {
	login_decided_fn *decided;
	login_wanted_fn *wanted;
	login_unwanted_fn *unwanted;
	keeper_gone_fn *gone;
};

/* Once, before everything else. */
void pools_init(struct event_base *base, const struct pools_calls *calls);

/*
 * Have pools as these settings want them (borrowed until the next call): new
 * ones are started, others go on with their new limits; those that are wanted
 * no more finish what waits and end.
 */
void pools_configure(const struct settings *s);

/* Put a request to the children of this `auth` setting; `decided` comes later, or, if the queue
 * is full, at once. */
void pools_ask(const char *auth, struct request *r);

/* Its client has gone.  True: it had not begun and is the caller's again; false: its
 * answer will come. */
bool pools_cancel(struct request *r);

/* The mail session has ended: have the PAM session closed. */
void child_release(struct child *keeper);

#endif
