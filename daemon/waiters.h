/*
 * Who waits for something to happen: the requests of the control socket.  What
 * it happens to wakes them and knows nothing of who they are.
 */
#ifndef POP3D_WAITERS_H
#define POP3D_WAITERS_H

#include <bsd/sys/queue.h>
#include <stdint.h>

/* What happened, what the id is, and what the result points to. */
enum wait_kind {
	WAIT_NOTHING,
	WAIT_SERVER, /* a server is gone; its slot; NULL */
	WAIT_CONN,   /* a connection is gone; its id; NULL */
	WAIT_STATE,  /* its state is known; its id; before login struct msg_conn_state, else NULL:
		      * read its scoreboard */
	WAIT_GENERATION, /* a change was adopted or refused; 0; the reason as a string, NULL:
			    adopted */
	WAIT_JOB /* a job has begun or failed; its row's id; the reason as a string, NULL: begun */
};

struct waiter;
typedef void waiter_fn(struct waiter *w, const void *result);

struct waiter {
	TAILQ_ENTRY(waiter) next;
	enum wait_kind kind;
	uint64_t id;
	waiter_fn *fn;
};

TAILQ_HEAD(waiters, waiter);

struct waiters *waiters_new(void); /* NULL: no memory */

/* Wait.  `w` is the caller's, and waits for nothing yet (zeroed, woken or cancelled). */
void waiters_add(struct waiters *ws, struct waiter *w, enum wait_kind kind, uint64_t id,
		 waiter_fn *fn);

/* Wait no more; idempotent. */
void waiters_cancel(struct waiters *ws, struct waiter *w);

/* It happened: all that wait for it are called, once; they may wait again. */
void waiters_wake(struct waiters *ws, enum wait_kind kind, uint64_t id, const void *result);

#endif
