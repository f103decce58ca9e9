/*
 * Requests that wait for the gate.  Sources (source.h) have their turn one
 * after the other, each with its requests in the order they came, and no
 * source has more than its share under way.  When the queue is full the source
 * with most of them makes room for one with fewer.
 */
#ifndef POP3D_DISPATCH_QUEUE_H
#define POP3D_DISPATCH_QUEUE_H

#include <stddef.h>
#include <sys/queue.h>

#include "daemon/dispatch/request.h"

enum {
	QUEUE_MAX = 1024,      /* requests that wait */
	QUEUE_SOURCE_MAX = 128 /* of one source */
};

TAILQ_HEAD(request_list, request);

/* A source with requests that wait or are under way. */
struct turn {
	TAILQ_ENTRY(turn) link;
	struct queue *queue;
	struct source source;
	struct request_list waiting;
	size_t nwaiting, running;
};

TAILQ_HEAD(turn_list, turn);

struct queue {
	struct turn_list turns; /* whose turn is next comes first */
	size_t nwaiting;
};

void queue_init(struct queue *q);

/* Put a request in line.  0, or -1 with errno ENOBUFS (full), ENOMEM.  *out: the newest of another
 * source, which has left the queue for it; NULL: none had to. */
int queue_put(struct queue *q, struct request *r, struct request **out);

/* Take the next request whose source has fewer than `share` under way; it
 * counts as under way until queue_done.  NULL: none. */
struct request *queue_next(struct queue *q, size_t share);

/* A request that queue_next gave out is finished. */
void queue_done(struct request *r);

/* Take a request that waits out of the line. */
void queue_remove(struct request *r);

#endif
