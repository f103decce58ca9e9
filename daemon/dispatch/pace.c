#include "config.h"

#include "daemon/dispatch/pace.h"

#include "common/clock.h"
#include "common/log.h"

enum {
	FAILURES_FREE = 10, /* of an account that slow nobody */
	STEP_MS = 250	    /* for each one more */
};

static struct {
	struct event_base *base;
	pace_over_fn *over;
} all;

void
pace_init(struct event_base *base, pace_over_fn *over)
{
	all.base = base;
	all.over = over;
}

uint32_t
pace_delay(uint32_t failures, uint32_t most)
{
	uint64_t delay =
	    failures > FAILURES_FREE ? (uint64_t)(failures - FAILURES_FREE) * STEP_MS : 0;

	return delay < most ? (uint32_t)delay : most;
}

static void
pace_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	all.over(arg);
}

bool
pace_is_over(const struct request *r, uint32_t delay)
{
	return r->waited >= delay || clock_ms() - r->arrived >= delay;
}

int
pace_wait(struct request *r, uint32_t delay)
{
	uint64_t passed = clock_ms() - r->arrived, left = delay > passed ? delay - passed : 0;
	const struct timeval tv = {(time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000)};

	if (r->pace == NULL && (r->pace = evtimer_new(all.base, pace_over, r)) == NULL)
		return -1;
	r->waited = delay; /* when it is looked at again; the timer's clock is coarser */
	log_debug(r->conn.id, "checked %u ms after it came: many fail for its account", delay);
	return evtimer_add(r->pace, &tv);
}

bool
pace_cancel(struct request *r)
{
	if (r->pace == NULL || !evtimer_pending(r->pace, NULL))
		return false;
	evtimer_del(r->pace);
	return true;
}
