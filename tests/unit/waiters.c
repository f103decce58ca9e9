#include "config.h"

#include <stdlib.h>

#include "daemon/waiters.h"
#include "tests/unit/unit.h"

static struct waiters *ws;
static unsigned woken[4];
static struct waiter w[4];
static const char result[] = "why";

static void
on_woken(struct waiter *which, const void *what)
{
	woken[which - w]++;
	CU_ASSERT_PTR_EQUAL(what, result);
	CU_ASSERT_EQUAL(which->kind, WAIT_NOTHING);
}

/* It waits for the next one of the same. */
static void
on_woken_again(struct waiter *which, const void *what)
{
	on_woken(which, what);
	waiters_add(ws, which, WAIT_CONN, 7, on_woken_again);
}

static void
begin_waiting(void)
{
	ws = waiters_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(ws);
	for (size_t i = 0; i < 4; i++) {
		w[i] = (struct waiter){.kind = WAIT_NOTHING};
		woken[i] = 0;
	}
}

static void
test_woken(void)
{
	begin_waiting();
	waiters_add(ws, &w[0], WAIT_CONN, 7, on_woken);
	waiters_add(ws, &w[1], WAIT_CONN, 7, on_woken);
	waiters_add(ws, &w[2], WAIT_CONN, 8, on_woken);
	waiters_add(ws, &w[3], WAIT_JOB, 7, on_woken);
	waiters_wake(ws, WAIT_CONN, 7, result);
	waiters_wake(ws, WAIT_CONN, 7, result);
	CU_ASSERT_EQUAL(woken[0], 1);
	CU_ASSERT_EQUAL(woken[1], 1);
	CU_ASSERT_EQUAL(woken[2], 0);
	CU_ASSERT_EQUAL(woken[3], 0);
	free(ws);
}

static void
test_wait_again(void)
{
	begin_waiting();
	waiters_add(ws, &w[0], WAIT_CONN, 7, on_woken_again);
	waiters_add(ws, &w[1], WAIT_CONN, 7, on_woken);
	waiters_wake(ws, WAIT_CONN, 7, result);
	CU_ASSERT_EQUAL(woken[0], 1);
	waiters_wake(ws, WAIT_CONN, 7, result);
	CU_ASSERT_EQUAL(woken[0], 2);
	CU_ASSERT_EQUAL(woken[1], 1);
	free(ws);
}

static void
test_cancelled(void)
{
	begin_waiting();
	waiters_cancel(ws, &w[0]); /* waits for nothing yet */
	waiters_add(ws, &w[0], WAIT_CONN, 7, on_woken);
	waiters_add(ws, &w[1], WAIT_CONN, 7, on_woken);
	waiters_cancel(ws, &w[0]);
	waiters_cancel(ws, &w[0]);
	waiters_wake(ws, WAIT_CONN, 7, result);
	CU_ASSERT_EQUAL(woken[0], 0);
	CU_ASSERT_EQUAL(woken[1], 1);
	waiters_cancel(ws, &w[1]);
	free(ws);
}

int
main(void)
{
	static const struct unit_test tests[] = {{"woken", test_woken},
						 {"wait again", test_wait_again},
						 {"cancelled", test_cancelled},
						 {NULL, NULL}};

	return unit_run("waiters", tests);
}
