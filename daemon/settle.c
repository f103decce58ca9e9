#include "config.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/count.h"
#include "daemon/settle.h"

enum { CHANGES_MAX = 64 }; /* until it settles though other events wait */

struct settle {
	struct event *soon; /* behind the events that are active */
	struct event *now;  /* before them: of a higher priority */
	struct event *due;
	uint64_t due_at; /* clock_ms(); 0: nothing is due */
	unsigned changes;
	settle_fn *fn;
	void *arg;
};

static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	struct settle *s = arg;

	(void)fd, (void)what;
	event_del(s->soon);
	event_del(s->now);
	s->changes = 0;
	s->fn(s->arg);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct settle *s = arg;

	(void)fd, (void)what;
	s->due_at = 0;
	settle_soon(s);
}

void
settle_free(struct settle *s)
{
	struct event *const events[] = {s->soon, s->now, s->due};

	for (size_t i = 0; i < COUNT_OF(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	free(s);
}

struct settle *
settle_new(struct event_base *base, settle_fn *fn, void *arg)
{
	struct settle *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fn = fn;
	s->arg = arg;
	s->soon = event_new(base, -1, 0, on_settle, s);
	s->now = event_new(base, -1, 0, on_settle, s);
	s->due = event_new(base, -1, 0, on_due, s);
	if (s->soon == NULL || s->now == NULL || s->due == NULL ||
	    event_priority_set(s->now, 0) == -1) {
		settle_free(s);
		return NULL;
	}
	return s;
}

void
settle_soon(struct settle *s)
{
	s->changes++;
	if (s->changes == 1)
		event_active(s->soon, EV_TIMEOUT, 1);
	else if (s->changes == CHANGES_MAX)
		event_active(s->now, EV_TIMEOUT, 1);
}

void
settle_in(struct settle *s, uint32_t ms)
{
	struct timeval tv = clock_timeval(ms);
	uint64_t at = clock_ms() + ms;

	if (s->due_at != 0 && s->due_at <= at)
		return;
	s->due_at = at;
	event_add(s->due, &tv);
}
