#include "config.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "worker/store/maildir_name.h"
#include "worker/store/natural.h"

/* In the order in which they have to be. */
static const char *const ordered[] = {
    "2",
    "10",
    "30",
    "999999999.x.host",
    "1000000000.M5P1.host",
    "1000000000.M5P9.host",
    "1000000000.M5P10.host",
    "1000000000.M40P1.host",
    "1000000000.M000041P1.host",
    "1000000000.a",
    "1000000000.b",
    "1000000001.M1P1.host",
    "18446744073709551614.x",
    "184467440737095516150.x",
    "a",
    "a1",
    "a02",
    "a2",
    "a10",
    "b",
    "\xe9",
};

static int
order_of(const char *a, const char *b)
{
	if (maildir_seconds(a) != maildir_seconds(b))
		return maildir_seconds(a) < maildir_seconds(b) ? -1 : 1;
	return natural_compare(a, maildir_base_len(a), b, maildir_base_len(b));
}

static void
test_order(void)
{
	const size_t n = sizeof(ordered) / sizeof(ordered[0]);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			int order = order_of(ordered[i], ordered[j]);

			CU_ASSERT(i < j ? order < 0 : i > j ? order > 0 : order == 0);
		}
}

static void
test_order_ignores_flags(void)
{
	CU_ASSERT_EQUAL(order_of("5.a.h:2,S", "5.a.h"), 0);
	CU_ASSERT_EQUAL(order_of("5.a.h:2,FS", "5.a.h:2,"), 0);
	CU_ASSERT(order_of("5.a:2,S", "5.ab") < 0);
	CU_ASSERT_EQUAL(order_of(":2,S", ""), 0);
}

static void
test_seconds(void)
{
	CU_ASSERT_EQUAL(maildir_seconds("1700000000.M1P2.host:2,S"), 1700000000);
	CU_ASSERT_EQUAL(maildir_seconds("007"), 7);
	CU_ASSERT_EQUAL(maildir_seconds("msg"), UINT64_MAX);
	CU_ASSERT_EQUAL(maildir_seconds(""), UINT64_MAX);
	CU_ASSERT_EQUAL(maildir_seconds("99999999999999999999999"), UINT64_MAX);
}

static void
test_names_that_count(void)
{
	CU_ASSERT(!maildir_name_counts("."));
	CU_ASSERT(!maildir_name_counts(".."));
	CU_ASSERT(!maildir_name_counts(".nfs0001"));
	CU_ASSERT(!maildir_name_counts(""));
	CU_ASSERT(maildir_name_counts("1.a.h"));
	CU_ASSERT(maildir_name_counts(":2,S"));
}

static void
uid_of(const char *name, char out[STORE_UID_SIZE])
{
	maildir_uid(name, maildir_base_len(name), out);
}

static void
test_uid_is_base_name(void)
{
	char uid[STORE_UID_SIZE], name[80];

	uid_of("1700000000.M1P2.host,S=5,W=6:2,S", uid);
	CU_ASSERT_STRING_EQUAL(uid, "1700000000.M1P2.host,S=5,W=6");
	uid_of("!~", uid);
	CU_ASSERT_STRING_EQUAL(uid, "!~");
	memset(name, 'n', 70);
	name[70] = '\0';
	uid_of(name, uid);
	CU_ASSERT_STRING_EQUAL(uid, name);
}

/* Each of these gets a digest: 64 hexadecimal digits, known ones where they are known. */
static void
test_uid_is_digest(void)
{
	static const char *const odd[] = {"a b", "a\x7f", "\xe9", "tab\there", "", "a\x01"};
	char uid[STORE_UID_SIZE], name[80];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		uid_of(odd[i], uid);
		CU_ASSERT_EQUAL(strlen(uid), 64);
		CU_ASSERT_EQUAL(strspn(uid, "0123456789abcdef"), 64);
	}
	memset(name, 'n', 71);
	name[71] = '\0';
	uid_of(name, uid);
	CU_ASSERT_EQUAL(strlen(uid), 64);
	uid_of(":2,S", uid);
	CU_ASSERT_STRING_EQUAL(uid,
			       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void
test_uid_of_duplicates(void)
{
	char a[STORE_UID_SIZE], b[STORE_UID_SIZE], c[STORE_UID_SIZE];

	maildir_duplicate_uid("5.a.h:2,S", 5, 77, a);
	maildir_duplicate_uid("5.a.h", 5, 77, b);
	maildir_duplicate_uid("5.a.h", 5, 78, c);
	CU_ASSERT_STRING_EQUAL(a, b); /* whatever its flags are */
	CU_ASSERT_STRING_NOT_EQUAL(a, c);
	CU_ASSERT_EQUAL(strlen(a), 64);
}

static const struct unit_test tests[] = {
    {"MDR-03 REG-14 order of delivery", test_order},
    {"MDR-04 flags do not change the order", test_order_ignores_flags},
    {"MDR-03 seconds of a name", test_seconds},
    {"MDR-01 names that count", test_names_that_count},
    {"UID-05 the base name", test_uid_is_base_name},
    {"UID-01 UID-05 a digest of what cannot be a unique-id", test_uid_is_digest},
    {"UID-03 two files with one base name", test_uid_of_duplicates},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("maildir_name", tests);
}
