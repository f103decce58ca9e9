/*
 * Inside the gate: a child process and the pool it belongs to.  children.c
 * has the life of one child, pools.c the pools and what waits; pools.h is
 * what the rest of the gate sees.
 */
#ifndef POP3D_AUTH_CHILDREN_H
#define POP3D_AUTH_CHILDREN_H

#include "common/channel_event.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/pools.h"
#include "daemon/auth/userfile.h"

enum child_state {
	CHILD_IDLE,
	CHILD_BUSY,   /* has a check */
	CHILD_KEEPER, /* out of the pool, keeps a PAM session */
	CHILD_ENDING  /* told or forced to end, not reaped yet */
};

TAILQ_HEAD(child_list, child);

struct child {
	TAILQ_ENTRY(child) link; /* in its pool, or among the keepers */
	struct pool *pool;	 /* NULL: keeper */
	enum child_state state;
	pid_t pid;
	int pidfd;
	struct event *on_exit, *on_time;
	struct evchannel ec;
	struct check *check; /* CHILD_BUSY */
	conn_id keeps;	     /* keeper: the connection it is for */
	uint64_t born;	     /* clock_ms() */
	unsigned served;     /* logins */
	bool stale;	     /* to be replaced when it is idle */
	bool expected;	     /* its end was our wish */
};

struct pool {
	TAILQ_ENTRY(pool) link;
	struct msg_child_conf conf;
	const struct auth_backend *backend;
	const char *arg; /* behind the colon, in conf.auth */
	bool wanted;	 /* some server has it */
	struct check_list waiting;
	size_t nwaiting;
	struct child_list children; /* last used first */
	size_t nchildren;	    /* not reaped yet */
	uint64_t stamp;
	struct userfile accounts; /* if the back end lists them */
	unsigned crashes;	  /* since the last answer */
	uint64_t not_before;	  /* clock_ms(): no new child until then */
	struct event *refill;
};

/* What all of them share. */
extern struct auth_env {
	struct event_base *base;
	struct pools_calls calls;
	const struct settings *settings;
	struct child_list keepers;
} auth_env;

/* Start one more for the pool.  0, or -1 with errno. */
int child_start(struct pool *p);

/* It has nothing to do: it waits for the next request, or is replaced if it is time. */
void child_rest(struct child *c);

/* Let it end by itself: it sees its channel closed. */
void child_retire(struct child *c);

/* Put the check to an idle child; its password is wiped then.  0, or -1: the child has died and is
 * idle no more. */
int child_ask(struct child *c, struct check *check);

/* A child has ended unasked, or could not be started: put off replacing it if
 * that happens again and again.  One answer of another shows that the back end
 * works, so that one user's crashes are not felt by others. */
void pool_crashed(struct pool *p);

/* An answer came. */
void pool_answered(struct pool *p);

/* Children that are in use or may be. */
size_t pool_in_use(const struct pool *p);

/* Put what the user file says of the account into an answer: children without
 * privilege say yes or no and no more. */
void pool_answer(const struct pool *p, struct msg_child_answer *a, const char *user);

/* Hand out what waits to the children that are free. */
void pool_run(struct pool *p);

/* After a child has ended or a request is done: what next?  May free the pool. */
void pool_settle(struct pool *p);

/* Start a one-shot timer. */
void timer_set(struct event *timer, uint64_t ms);

#endif
