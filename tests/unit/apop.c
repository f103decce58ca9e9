/* daemon/auth/apop and daemon/table/timestamp. */
#include "config.h"

#include <string.h>

#include "daemon/auth/apop.h"
#include "daemon/table/timestamp.h"
#include "tests/unit/unit.h"

static const char stamp[] = "<1896.697170952@dbc.mtview.ca.us>";

static bool
matches(const char *timestamp, const char *secret, const char *digest)
{
	struct secret given;

	return secret_set(&given, digest, strlen(digest)) == 0 &&
	       apop_matches(timestamp, secret, &given);
}

static void
test_digest(void)
{
	static const char right[] = "c4c9334bac560ecc979e58001b3e22fb"; /* RFC 1939 section 7 */
	char wrong[sizeof(right)];

	CU_ASSERT_TRUE(matches(stamp, "tanstaaf", right));
	CU_ASSERT_FALSE(matches(stamp, "tanstaa", right));
	CU_ASSERT_FALSE(matches("<1896.697170952@dbc.mtview.ca.u>", "stanstaaf", right));
	CU_ASSERT_FALSE(matches("", "tanstaaf", right));
	for (size_t i = 0; i < sizeof(right) - 1; i++) {
		memcpy(wrong, right, sizeof(right));
		wrong[i] = wrong[i] == '0' ? '1' : '0';
		CU_ASSERT_FALSE(matches(stamp, "tanstaaf", wrong));
	}
}

static void
test_digest_form(void)
{
	static const char *const wrong[] = {
	    "",
	    "c",
	    "c4c9334bac560ecc979e58001b3e22f",
	    "c4c9334bac560ecc979e58001b3e22fb0",
	    "C4C9334BAC560ECC979E58001B3E22FB",
	    "c4c9334bac560ecc979e58001b3e22fB",
	    " c4c9334bac560ecc979e58001b3e22f",
	    "c4c9334bac560ecc979e58001b3e22fbc4c9334bac560ecc979e58001b3e22fb"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_FALSE(matches(stamp, "tanstaaf", wrong[i]));
	/* MD5 of the timestamp alone */
	CU_ASSERT_FALSE(matches("", "", "d41d8cd98f00b204e9800998ecf8427e"));
}

static void
test_timestamp(void)
{
	static const struct {
		const char *host, *want;
	} hosts[] = {
	    {"mail.example.org", "@mail.example.org>"},
	    {"x", "@x>"},
	    {"", "@localhost>"},
	    {"::1", "@localhost>"},
	    {"a..b", "@localhost>"},
	    {".a", "@localhost>"},
	    {"a.", "@localhost>"},
	    {"a b", "@localhost>"},
	    {"a>b", "@localhost>"},
	};
	char longest[256], a[MSG_STAMP_SIZE], b[MSG_STAMP_SIZE];

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		timestamp_make(a, hosts[i].host);
		timestamp_make(b, hosts[i].host);
		CU_ASSERT_STRING_NOT_EQUAL(a, b);
		CU_ASSERT_EQUAL(a[0], '<');
		CU_ASSERT_STRING_EQUAL(strchr(a, '@'), hosts[i].want);
		CU_ASSERT_EQUAL(strspn(a + 1, "0123456789abcdef."), strcspn(a + 1, "@"));
		CU_ASSERT_TRUE(strcspn(a + 1, ".") == 32);
	}
	memset(longest, 'h', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	timestamp_make(a, longest);
	CU_ASSERT_STRING_EQUAL(strchr(a, '@'), "@localhost>");
	longest[100] = '\0'; /* the longest name that fits */
	timestamp_make(a, longest);
	CU_ASSERT_STRING_EQUAL(strchr(a, '@') + 101, ">");
}

static const struct unit_test tests[] = {
    {"APO-02 the digest of RFC 1939", test_digest},
    {"APO-02 digests of another form", test_digest_form},
    {"APO-01 timestamps", test_timestamp},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("apop", tests);
}
