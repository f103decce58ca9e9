#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/store/sort.h"

enum { COUNT = 5000, GUARD = 64 };

static uint32_t list[GUARD + COUNT + GUARD];

static int
by_number(const void *a, const void *b, void *arg)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	(void)arg;
	return (x > y) - (x < y);
}

static int
at_random(const void *a, const void *b, void *arg)
{
	(void)a, (void)b, (void)arg;
	return (int)(random() % 3) - 1;
}

static int
always_less(const void *a, const void *b, void *arg)
{
	(void)a, (void)b, (void)arg;
	return -1;
}

/* `count` numbers below `end`; their sum. */
static uint64_t
fill(size_t count, uint32_t end)
{
	uint64_t sum = 0;

	memset(list, 0xee, sizeof(list));
	for (size_t i = 0; i < count; i++)
		sum += list[GUARD + i] = (uint32_t)random() % end;
	return sum;
}

static uint64_t
sum_of(size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += list[GUARD + i];
	return sum;
}

static bool
guards_stand(size_t count)
{
	for (size_t i = 0; i < GUARD; i++)
		if (list[i] != 0xeeeeeeee || list[GUARD + count + i] != 0xeeeeeeee)
			return false;
	return true;
}

static void
test_order(void)
{
	static const size_t counts[] = {0, 1, 2, 3, 4, 7, 8, 100, COUNT};

	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++)
		for (uint32_t end = 1; end < 1u << 20; end *= 8) {
			uint64_t sum = fill(counts[k], end);
			bool sorted = true;

			sort(list + GUARD, counts[k], sizeof(list[0]), by_number, NULL);
			for (size_t i = 1; i < counts[k]; i++)
				sorted = sorted && list[GUARD + i - 1] <= list[GUARD + i];
			CU_ASSERT_TRUE(sorted);
			CU_ASSERT_EQUAL(sum_of(counts[k]), sum);
			CU_ASSERT_TRUE(guards_stand(counts[k]));
		}
}

/* The same elements are there afterwards, and nothing else was touched. */
static void
test_no_order_at_all(void)
{
	uint64_t sum = fill(COUNT, 1000);

	sort(list + GUARD, COUNT, sizeof(list[0]), at_random, NULL);
	sort(list + GUARD, COUNT, sizeof(list[0]), always_less, NULL);
	CU_ASSERT_EQUAL(sum_of(COUNT), sum);
	CU_ASSERT_TRUE(guards_stand(COUNT));
}

static const struct unit_test tests[] = {
    {"in order", test_order},
    {"whatever compare() answers", test_no_order_at_all},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("sort", tests);
}
