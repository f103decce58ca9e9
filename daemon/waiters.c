#include "config.h"

#include <stdlib.h>

#include "daemon/waiters.h"

struct waiters *
waiters_new(void)
{
	struct waiters *ws = malloc(sizeof(*ws));

	if (ws != NULL)
		TAILQ_INIT(ws);
	return ws;
}

void
waiters_add(struct waiters *ws, struct waiter *w, enum wait_kind kind, uint64_t id, waiter_fn *fn)
{
	w->kind = kind;
	w->id = id;
	w->fn = fn;
	TAILQ_INSERT_HEAD(ws, w, next);
}

void
waiters_cancel(struct waiters *ws, struct waiter *w)
{
	if (w->kind != WAIT_NOTHING)
		TAILQ_REMOVE(ws, w, next);
	w->kind = WAIT_NOTHING;
}

/* Those that begin to wait meanwhile stand before the ones that are gone through. */
void
waiters_wake(struct waiters *ws, enum wait_kind kind, uint64_t id, const void *result)
{
	struct waiter *w, *t;

	TAILQ_FOREACH_SAFE (w, ws, next, t)
		if (w->kind == kind && w->id == id) {
			waiters_cancel(ws, w);
			w->fn(w, result);
		}
}
