/* worker/login/trace: no secret in a trace. */
#include "config.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "worker/login/trace.h"

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
	CU_ASSERT(shows("*", true, "*"));
}

static void
test_masked(void)
{
	CU_ASSERT(shows("PASS secret", false, "PASS ****"));
	CU_ASSERT(shows("pass  a b ", false, "PASS ****"));
	CU_ASSERT(shows("PASS", false, "PASS"));
	CU_ASSERT(shows("PSAS secret", false, "PSAS ****"));
	CU_ASSERT(shows("APOP joe 0123", false, "APOP ****"));
	CU_ASSERT(shows("AUTH PLAIN AHVzZXIAc2VjcmV0", false, "AUTH PLAIN ****"));
	CU_ASSERT(shows("AUTH LOGIN", false, "AUTH LOGIN"));
	CU_ASSERT(shows("AUTH", false, "AUTH"));
	CU_ASSERT(shows("c2VjcmV0", true, "****"));
	CU_ASSERT(shows("", true, "****"));
	CU_ASSERT(shows("password", false, "(malformed, 8 octets)"));
	CU_ASSERT(shows("PASS\tsecret", false, "(malformed, 11 octets)"));
}

static void
test_long(void)
{
	char line[1000], text[TRACE_TEXT_SIZE];

	memset(line, 'x', sizeof(line));
	memcpy(line, "USER ", 5);
	CU_ASSERT(trace_mask(text, line, sizeof(line), false) < sizeof(text));
	memcpy(line, "AUTH ", 5);
	CU_ASSERT(trace_mask(text, line, sizeof(line), false) < sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "AUTH xxxxxxxxxxxxxxxxxxxx");
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
