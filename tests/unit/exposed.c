#include "config.h"

#include <stdio.h>

#include "daemon/table/exposed.h"
#include "tests/unit/unit.h"

enum { DAY = 86400000 };

static void
test_once_a_day(void)
{
	uint64_t now = 5 * (uint64_t)DAY;

	CU_ASSERT_TRUE(exposed_is_due("a", "ann", now));
	CU_ASSERT_FALSE(exposed_is_due("a", "ann", now));
	CU_ASSERT_TRUE(exposed_is_due("b", "ann", now + 1));
	CU_ASSERT_TRUE(exposed_is_due("a", "bob", now + 1));
	CU_ASSERT_FALSE(exposed_is_due("a", "ann", now + DAY - 1));
	CU_ASSERT_TRUE(exposed_is_due("a", "ann", now + DAY));
	CU_ASSERT_FALSE(exposed_is_due("a", "bob", now + DAY));
}

static void
test_bounded(void)
{
	uint64_t now = 20 * (uint64_t)DAY;
	unsigned due = 0;
	char user[16];

	for (unsigned i = 0; i < 2 * EXPOSED_USERS; i++) {
		(void)snprintf(user, sizeof(user), "u%u", i);
		due += exposed_is_due("a", user, now);
	}
	CU_ASSERT_EQUAL(due, EXPOSED_USERS);
	CU_ASSERT_FALSE(exposed_is_due("a", "u0", now + 1));
	CU_ASSERT_TRUE(exposed_is_due("a", "late", now + DAY));
}

static const struct unit_test tests[] = {
    {"a user is warned of once a day", test_once_a_day},
    {"no more users than there is room for", test_bounded},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("exposed", tests);
}
