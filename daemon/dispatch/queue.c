#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/dispatch/queue.h"

void
queue_init(struct queue *q)
{
	TAILQ_INIT(&q->turns);
	q->nwaiting = 0;
}

static struct turn *
turn_get(struct queue *q, const struct source *s)
{
	struct turn *t;

	TAILQ_FOREACH (t, &q->turns, link)
		if (memcmp(&t->source, s, sizeof(*s)) == 0)
			return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->queue = q;
	t->source = *s;
	TAILQ_INIT(&t->waiting);
	TAILQ_INSERT_TAIL(&q->turns, t, link);
	return t;
}

static void
turn_settle(struct turn *t)
{
	if (t->nwaiting > 0 || t->running > 0)
		return;
	TAILQ_REMOVE(&t->queue->turns, t, link);
	free(t);
}

/* The newest request of the source with most of them, if that has more than `t` would have. */
static struct request *
newest_of_most(const struct queue *q, const struct turn *t)
{
	const struct turn *most = t, *each;

	TAILQ_FOREACH (each, &q->turns, link)
		if (each->nwaiting > most->nwaiting)
			most = each;
	return most->nwaiting > t->nwaiting + 1 ? TAILQ_LAST(&most->waiting, request_list) : NULL;
}

int
queue_put(struct queue *q, struct request *r, struct request **out)
{
	struct turn *t = turn_get(q, &r->source);
	bool full = q->nwaiting >= QUEUE_MAX;

	*out = NULL;
	if (t == NULL)
		return -1;
	if (full)
		*out = newest_of_most(q, t);
	if (t->nwaiting >= QUEUE_SOURCE_MAX || (full && *out == NULL)) {
		*out = NULL;
		turn_settle(t);
		errno = ENOBUFS;
		return -1;
	}
	if (*out != NULL)
		queue_remove(*out);
	TAILQ_INSERT_TAIL(&t->waiting, r, link);
	t->nwaiting++;
	q->nwaiting++;
	r->turn = t;
	r->waits = true;
	return 0;
}

struct request *
queue_next(struct queue *q, size_t share)
{
	struct request *r;
	struct turn *t;

	TAILQ_FOREACH (t, &q->turns, link)
		if (t->nwaiting > 0 && t->running < share)
			break;
	if (t == NULL)
		return NULL;
	r = TAILQ_FIRST(&t->waiting);
	TAILQ_REMOVE(&t->waiting, r, link);
	t->nwaiting--;
	t->running++;
	q->nwaiting--;
	r->waits = false;
	TAILQ_REMOVE(&q->turns, t, link);
	TAILQ_INSERT_TAIL(&q->turns, t, link);
	return r;
}

void
queue_done(struct request *r)
{
	struct turn *t = r->turn;

	r->turn = NULL;
	t->running--;
	turn_settle(t);
}

void
queue_remove(struct request *r)
{
	struct turn *t = r->turn;

	r->turn = NULL;
	r->waits = false;
	TAILQ_REMOVE(&t->waiting, r, link);
	t->nwaiting--;
	t->queue->nwaiting--;
	turn_settle(t);
}
