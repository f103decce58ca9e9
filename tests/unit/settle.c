#include "config.h"

#include <stdbool.h>

#include "daemon/settle.h"
#include "tests/unit/unit.h"

enum { EVENTS = 300, AT_ONCE = 64 };

static struct event_base *base;
static struct settle *settle;
static unsigned handled, settled, most, since;

static void
on_settle(void *arg)
{
	(void)arg;
	settled++;
	most = since > most ? since : most;
	since = 0;
}

static void
begin(void)
{
	base = event_base_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(base);
	CU_ASSERT_EQUAL(event_base_priority_init(base, 2), 0);
	settle = settle_new(base, on_settle, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(settle);
	handled = settled = most = since = 0;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	handled++;
	since++;
	settle_soon(settle);
}

/* Many events at once: it settles behind them, once, and among them after 64 at the latest. */
static void
test_among_events(void)
{
	static const unsigned numbers[] = {1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, EVENTS};

	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
		struct event *events[EVENTS];

		begin();
		for (unsigned i = 0; i < numbers[n]; i++) {
			events[i] = event_new(base, -1, 0, on_event, NULL);
			event_active(events[i], EV_TIMEOUT, 1);
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
		CU_ASSERT_EQUAL(handled, numbers[n]);
		CU_ASSERT_TRUE(most <= AT_ONCE);
		CU_ASSERT_EQUAL(since, 0);
		CU_ASSERT_TRUE(settled <= numbers[n] / AT_ONCE + 1);
		for (unsigned i = 0; i < numbers[n]; i++)
			event_free(events[i]);
		settle_free(settle);
		event_base_free(base);
	}
}

static void
test_nothing(void)
{
	begin();
	event_base_loop(base, EVLOOP_NONBLOCK);
	CU_ASSERT_EQUAL(settled, 0);
	settle_free(settle);
	event_base_free(base);
}

/* What becomes due is settled then, and the earliest counts. */
static void
test_due(void)
{
	begin();
	settle_in(settle, 3600000);
	settle_in(settle, 20);
	settle_in(settle, 7200000);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CU_ASSERT_EQUAL(settled, 0);
	while (settled == 0 && event_base_loop(base, EVLOOP_ONCE) == 0)
		continue;
	CU_ASSERT_EQUAL(settled, 1);
	settle_in(settle, 10); /* and again */
	while (settled == 1 && event_base_loop(base, EVLOOP_ONCE) == 0)
		continue;
	CU_ASSERT_EQUAL(settled, 2);
	settle_free(settle);
	event_base_free(base);
}

int
main(void)
{
	static const struct unit_test tests[] = {{"among events", test_among_events},
						 {"nothing has changed", test_nothing},
						 {"due", test_due},
						 {NULL, NULL}};

	return unit_run("settle", tests);
}
