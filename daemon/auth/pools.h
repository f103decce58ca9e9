/*
 * The gate's children: for each back end in use a pool of them, started ahead,
 * and the checks that wait for one.  A child serves one check at a time, is
 * killed when it takes too long, and is replaced after some logins or minutes,
 * or when the files of its back end change.
 */
#ifndef POP3D_AUTH_POOLS_H
#define POP3D_AUTH_POOLS_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/msg.h"
#include "daemon/auth/settings.h"

struct child;
struct pool;

/* One question to a back end: a login that the dispatcher asks about, or a look-up of master's. */
struct check {
	TAILQ_ENTRY(check) link;   /* among those that wait */
	struct pool *pool;	   /* in whose line it waits; NULL: in none */
	struct event *patience;	   /* ends its waiting */
	struct msg_conn conn;	   /* the connection as it stood when the check came */
	struct msg_login_ask ask;  /* its password is wiped when a child has it */
	uint64_t asked;		   /* clock_ms() when a child has it */
	bool lookup;		   /* an administrator asks who ask.user is (lookups.h) */
	char other[MSG_NAME_SIZE]; /* and where the mailbox of this name would be */
};

TAILQ_HEAD(check_list, check);

/* NULL: no memory. */
struct check *check_new(const struct msg_login_ask *ask, const struct msg_conn *conn);

/* Wipe and free.  It must not wait. */
void check_free(struct check *c);

/* The answer to a check; the callee owns it again.  answer: NULL if no child gave one.  keeper: the
 * child that keeps a PAM session for this login and wants child_release() some time; NULL: none. */
typedef void check_decided_fn(struct check *c, enum login_result result, const char *why,
			      const struct msg_child_answer *answer, struct child *keeper);
/* A keeper has ended; id is the connection it was for. */
typedef void keeper_gone_fn(conn_id id, struct child *keeper);

struct pools_calls {
	check_decided_fn *decided;
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

/* Put a check to the children of this `auth` setting; `decided` comes later, or, if too many wait,
 * at once. */
void pools_ask(const char *auth, struct check *c);

/* Its client has gone.  True: it had not begun and is the caller's again; false: its answer will
 * come. */
bool pools_cancel(struct check *c);

/* The mail session has ended: have the PAM session closed. */
void child_release(struct child *keeper);

#endif
