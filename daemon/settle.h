/*
 * Master's state moves on in one place.  What happens (a message, a client, a
 * process that ended, a request) only changes the tables; settling then looks
 * at all of them and does what has become possible, in one order, whatever the
 * reason was.  So nothing can wait because somebody forgot to tell (DESIGN 5.2).
 */
#ifndef POP3D_SETTLE_H
#define POP3D_SETTLE_H

#include <event2/event.h>
#include <stdint.h>

struct settle;

typedef void settle_fn(void *arg);

/* `fn` with `arg` is what settles, in `base`.  NULL: no memory. */
struct settle *settle_new(struct event_base *base, settle_fn *fn, void *arg);
/* Before its base is freed. */
void settle_free(struct settle *s);

/* Something has changed.  It settles after the events that the loop is handling now, and before
 * more than 64 of those that change something. */
void settle_soon(struct settle *s);

/* Something becomes due in `ms` milliseconds: it settles then, at the latest. */
void settle_in(struct settle *s, uint32_t ms);

#endif
