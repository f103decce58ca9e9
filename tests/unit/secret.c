/* common/secret.c */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/secret.h"
#include "tests/unit/unit.h"

static void
test_set(void)
{
	struct secret s;

	CU_ASSERT_EQUAL(secret_set(&s, " a b ", 5), 0);
	CU_ASSERT_STRING_EQUAL(s.octets, " a b ");
	CU_ASSERT_EQUAL(secret_set(&s, "xy", 2), 0);
	CU_ASSERT_STRING_EQUAL(s.octets, "xy");
	CU_ASSERT_EQUAL(secret_set(&s, NULL, 0), 0);
	CU_ASSERT_TRUE(secret_is_empty(&s));
}

static void
test_limits(void)
{
	char longest[256];
	struct secret s;

	memset(longest, 'p', sizeof(longest));
	CU_ASSERT_EQUAL(secret_set(&s, longest, 255), 0);
	CU_ASSERT_EQUAL(strlen(s.octets), 255);
	errno = 0;
	CU_ASSERT_EQUAL(secret_set(&s, longest, 256), -1);
	CU_ASSERT_EQUAL(errno, E2BIG);
	CU_ASSERT_TRUE(secret_is_empty(&s));
	CU_ASSERT_EQUAL(s.octets[0], '\0');
}

static void
test_nul(void)
{
	struct secret s;

	errno = 0;
	CU_ASSERT_EQUAL(secret_set(&s, "secret\0x", 8), -1);
	CU_ASSERT_EQUAL(errno, EINVAL);
	CU_ASSERT_TRUE(secret_is_empty(&s));
	CU_ASSERT_EQUAL(secret_set(&s, "secret\0", 7), -1);
}

static void
test_wipe(void)
{
	static const struct secret zero;
	struct secret s;

	memset(&s, 0xa5, sizeof(s));
	CU_ASSERT_EQUAL(secret_set(&s, "pw", 2), 0);
	/* nothing of a former, longer one is left behind the new one */
	CU_ASSERT_EQUAL(memcmp(s.octets + 2, zero.octets, sizeof(s.octets) - 2), 0);
	secret_wipe(&s);
	CU_ASSERT_EQUAL(memcmp(&s, &zero, sizeof(s)), 0);
}

static void
test_equal(void)
{
	CU_ASSERT_TRUE(secret_digest_equal("abc", "abc", 3));
	CU_ASSERT_TRUE(secret_digest_equal("abc", "abd", 2));
	CU_ASSERT_TRUE(secret_digest_equal("", "", 0));
	CU_ASSERT_FALSE(secret_digest_equal("abc", "abd", 3));
	CU_ASSERT_FALSE(secret_digest_equal("xbc", "abc", 3));
	CU_ASSERT_FALSE(secret_digest_equal("a\0b", "a\0c", 3));
	CU_ASSERT_FALSE(secret_digest_equal("a\x80", "a\x81", 2));
}

static void
test_same(void)
{
	struct secret a, b;

	secret_set(&a, "longer than b", 13);
	secret_set(&a, "pw", 2);
	secret_set(&b, "pw", 2);
	CU_ASSERT_TRUE(secret_equal(&a, &b));
	secret_set(&b, "pwx", 3);
	CU_ASSERT_FALSE(secret_equal(&a, &b));
	secret_wipe(&b);
	CU_ASSERT_FALSE(secret_equal(&a, &b));
}

static const struct unit_test tests[] = {
    {"USR-02 blanks are kept", test_set},
    {"LIN-02 up to 255 octets", test_limits},
    {"LIN-10 NUL inside", test_nul},
    {"USR-08 wiped", test_wipe},
    {"USR-08 compared", test_equal},
    {"of whatever length", test_same},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("secret", tests);
}
