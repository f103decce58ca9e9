/* common/trace: no secret in a trace. */
#include "config.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "common/trace.h"

static int
shows(const char *line, bool sasl, const char *want)
{
	char text[TRACE_TEXT_SIZE];

	return trace_mask(text, line, strlen(line), sasl) == strlen(want) &&
	       strcmp(text, want) == 0;
}

static void
test_harmless(void)
{
	CU_ASSERT(shows("CAPA", false, "CAPA"));
	CU_ASSERT(shows("user joe", false, "user joe"));
	CU_ASSERT(shows("STLS", false, "STLS"));
	CU_ASSERT(shows("RETR 12", false, "RETR 12"));
	CU_ASSERT(shows("top 1 20", false, "top 1 20"));
	CU_ASSERT(shows("auth scram-sha-256", false, "auth scram-sha-256"));
	CU_ASSERT(shows("*", true, "*"));
}

static void
test_masked(void)
{
	CU_ASSERT(shows("PASS secret", false, "PASS ****"));
	CU_ASSERT(shows("pass  a b ", false, "pass ****"));
	CU_ASSERT(shows("PASS", false, "PASS"));
	CU_ASSERT(shows("PSAS secret", false, "(11 octets)"));
	CU_ASSERT(shows("APOP joe 0123", false, "APOP ****"));
	CU_ASSERT(shows("AUTH PLAIN AHVzZXIAc2VjcmV0", false, "AUTH PLAIN ****"));
	CU_ASSERT(shows("AUTH LOGIN", false, "AUTH LOGIN"));
	CU_ASSERT(shows("AUTH", false, "AUTH"));
	CU_ASSERT(shows("AUTH c2VjcmV0", false, "AUTH ****"));
	CU_ASSERT(shows("AHVzZXIAc2VjcmV0", false, "(16 octets)"));
	CU_ASSERT(shows("TOP secret", false, "TOP ****"));
	CU_ASSERT(shows("TOP 1 secret", false, "TOP 1 ****"));
	CU_ASSERT(shows("RETR 1 secret", false, "RETR 1 ****"));
	CU_ASSERT(shows("USER joe secret", false, "USER joe ****"));
	CU_ASSERT(shows("STAT secret", false, "STAT ****"));
	CU_ASSERT(shows("abcd", false, "(4 octets)"));
	CU_ASSERT(shows("", false, "(0 octets)"));
	CU_ASSERT(shows("c2VjcmV0", true, "****"));
	CU_ASSERT(shows("", true, "****"));
	CU_ASSERT(shows("password", false, "(8 octets)"));
	CU_ASSERT(shows("PASS\tsecret", false, "(11 octets)"));
}

static void
test_long(void)
{
	char line[1000], text[TRACE_TEXT_SIZE];

	memset(line, 'x', sizeof(line));
	memcpy(line, "USER ", 5);
	CU_ASSERT(trace_mask(text, line, sizeof(line), false) < sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "USER ****");
	memcpy(line, "AUTH ", 5);
	CU_ASSERT(trace_mask(text, line, sizeof(line), false) < sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "AUTH ****");
}

static const struct unit_test tests[] = {
    {"USR-08 harmless lines are shown", test_harmless},
    {"USR-08 passwords and SASL data are not", test_masked},
    {"USR-08 long lines are cut", test_long},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("trace", tests);
}
