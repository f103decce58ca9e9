#include "config.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/store/uids_listing.h"

static struct uids_listing now, saved;
static struct uids_difference difference;
static char told[256];

static void
tell(void *arg, const char *uid, bool of_now)
{
	size_t n = strlen(arg);

	(void)snprintf((char *)arg + n, sizeof(told) - n, "%c%s ", of_now ? '+' : '-', uid);
}

/* Unique-ids of one octet each. */
static void
fill(struct uids_listing *l, const char *uids)
{
	for (; *uids != '\0'; uids++)
		CU_ASSERT_EQUAL(uids_listing_add(l, uids, 1), 0);
}

/* What is told of the difference. */
static const char *
compare(const char *a, const char *b)
{
	told[0] = '\0';
	fill(&now, a);
	fill(&saved, b);
	CU_ASSERT_EQUAL(uids_listing_compare(&now, &saved, tell, told, &difference), 0);
	uids_listing_free(&now);
	uids_listing_free(&saved);
	return told;
}

static void
test_compare(void)
{
	CU_ASSERT_STRING_EQUAL(compare("abc", "abc"), "");
	CU_ASSERT_FALSE(difference.moved);
	CU_ASSERT_STRING_EQUAL(compare("", ""), "");
	CU_ASSERT_STRING_EQUAL(compare("abcd", "bxd"), "+a +c -x ");
	CU_ASSERT_EQUAL(difference.again, 2);
	CU_ASSERT_EQUAL(difference.gone, 1);
	CU_ASSERT_FALSE(difference.moved);
	CU_ASSERT_STRING_EQUAL(compare("ab", ""), "+a +b ");
	CU_ASSERT_EQUAL(difference.again, 2); /* nothing says that it is new */
	CU_ASSERT_EQUAL(difference.fresh, 0);
	CU_ASSERT_STRING_EQUAL(compare("", "ab"), "-a -b ");
	CU_ASSERT_STRING_EQUAL(compare("acb", "abc"), "");
	CU_ASSERT_TRUE(difference.moved);
	CU_ASSERT_STRING_EQUAL(compare("ab", "aab"), "");
	CU_ASSERT_FALSE(difference.moved);
}

static bool
counts(const char *a, const char *b, size_t again, size_t fresh)
{
	(void)compare(a, b);
	return difference.again == again && difference.fresh == fresh;
}

/* New mail is behind all that was there, and a message that changed its unique-id is missed. */
static void
test_new_mail(void)
{
	CU_ASSERT_TRUE(counts("abcd", "ab", 0, 2));
	CU_ASSERT_TRUE(counts("abxc", "abc", 1, 0));
	CU_ASSERT_TRUE(counts("axbcd", "abc", 1, 1));
	CU_ASSERT_TRUE(counts("abx", "abc", 1, 0));
	CU_ASSERT_TRUE(counts("abxy", "abc", 1, 1));
	CU_ASSERT_TRUE(counts("bxy", "ab", 1, 1));
	CU_ASSERT_TRUE(counts("xbc", "abc", 1, 0));
	CU_ASSERT_TRUE(counts("ab", "abc", 0, 0));
}

/* The unique-id of a line, "" for one that is passed over, NULL for a broken one. */
static const char *
line(const char *text)
{
	static char out[128];
	const char *uid = "";
	size_t len = 0;

	if (uids_listing_line(text, strlen(text), &uid, &len) == LISTING_BROKEN)
		return NULL;
	(void)snprintf(out, sizeof(out), "%.*s", (int)len, uid);
	return out;
}

static void
test_lines(void)
{
	static const char *const broken[] = {
	    "1",  "1 ",	  "a b",     "1 a b",	   "-ERR no", " 1 a",
	    "1a", "1\ta", "1 a\x7f", "1 \xc3\xa4", "..",
	};

	CU_ASSERT_STRING_EQUAL(line("1 a"), "a");
	CU_ASSERT_STRING_EQUAL(line("12  UID1-2\r"), "UID1-2");
	CU_ASSERT_STRING_EQUAL(line("3 a "), "a");
	CU_ASSERT_STRING_EQUAL(line("+OK 3 messages\r"), "");
	CU_ASSERT_STRING_EQUAL(line("+OK"), "");
	CU_ASSERT_STRING_EQUAL(line(".\r"), "");
	CU_ASSERT_STRING_EQUAL(line("."), "");
	CU_ASSERT_STRING_EQUAL(line(""), "");
	CU_ASSERT_STRING_EQUAL(line("\r"), "");
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		CU_ASSERT_PTR_NULL(line(broken[i]));
}

static void
test_many(void)
{
	char uid[32];

	for (int i = 0; i < 20000; i++) {
		(void)snprintf(uid, sizeof(uid), "UID%d-1", i);
		CU_ASSERT_EQUAL_FATAL(uids_listing_add(&now, uid, strlen(uid)), 0);
		CU_ASSERT_EQUAL_FATAL(i % 2 == 0 ? uids_listing_add(&saved, uid, strlen(uid)) : 0,
				      0);
	}
	told[0] = '\0';
	CU_ASSERT_EQUAL(uids_listing_compare(&now, &saved, tell, told, &difference), 0);
	CU_ASSERT_EQUAL(difference.again, 9999);
	CU_ASSERT_EQUAL(difference.fresh, 1);
	CU_ASSERT_EQUAL(difference.gone, 0);
	CU_ASSERT_FALSE(difference.moved);
	uids_listing_free(&now);
	uids_listing_free(&saved);
}

static const struct unit_test tests[] = {
    {"what would be fetched again, and the order", test_compare},
    {"new mail is told from mail that would be fetched again", test_new_mail},
    {"lines of saved listings", test_lines},
    {"many unique-ids", test_many},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("uids_listing", tests);
}
