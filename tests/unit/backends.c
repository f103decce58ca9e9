/* common/backends.c, and that each role has the back ends that it names */
#include "config.h"

#include <string.h>

#include "common/backends.h"
#include "common/msg.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/template.h"
#include "tests/unit/unit.h"
#include "worker/store/store.h"

static void
test_find(void)
{
	const char *arg = NULL;
	const struct backend *b = backends_find(backends_auth, "file:/a:b", &arg);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_STRING_EQUAL(b->word, "file");
	CU_ASSERT_STRING_EQUAL(arg, "/a:b");
	CU_ASSERT_PTR_NULL(backends_find(backends_auth, "file", &arg));
	CU_ASSERT_PTR_NULL(backends_find(backends_auth, "fil:/a", &arg));
	CU_ASSERT_PTR_NULL(backends_find(backends_auth, "files:/a", &arg));
	CU_ASSERT_PTR_NULL(backends_find(backends_auth, "", &arg));
	b = backends_find(backends_storage, "", &arg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_STRING_EQUAL(b->word, "");
	CU_ASSERT_PTR_NULL(backends_find(backends_storage, ":/x", NULL));
}

static void
test_roles_have_each(void)
{
	const char *arg;
	char spec[MSG_SPEC_SIZE];

	for (const struct backend *b = backends_auth; b->word != NULL; b++) {
		snprintf(spec, sizeof(spec), "%s:x", b->word);
		CU_ASSERT_PTR_NOT_NULL(backend_find(spec, &arg));
	}
	for (const struct backend *b = backends_storage; b->word != NULL; b++)
		CU_ASSERT_PTR_NOT_NULL(store_find(b->word));
}

/* expected: NULL if there is no fault. */
static void
expect_fault(const struct backend *table, const char *spec, const char *expected)
{
	const char *fault = backends_fault(table, spec);

	CU_ASSERT_STRING_EQUAL(fault != NULL ? fault : "", expected != NULL ? expected : "");
}

static void
test_settings(void)
{
	static const char forms[] = "\"\" or \"pam:SERVICE\" or \"file:/PATH\" or "
				    "\"checkpassword:/PROGRAM\"";
	static const char path[] = "a path that begins with \"/\" after \":\"";
	char long_service[sizeof("pam:") + MSG_WORD_SIZE] = "pam:";

	expect_fault(backends_auth, "", NULL);
	expect_fault(backends_auth, "pam:pop3d", NULL);
	expect_fault(backends_auth, "file:/x", NULL);
	expect_fault(backends_auth, "checkpassword:/x", NULL);
	expect_fault(backends_auth, "ldap:/x", forms);
	expect_fault(backends_auth, "pam", forms);
	expect_fault(backends_auth, "any:", forms); /* of one-user mode, no setting's */
	expect_fault(backends_auth, "file:x", path);
	expect_fault(backends_auth, "checkpassword:", path);
	memset(long_service + strlen("pam:"), 'a', MSG_WORD_SIZE - 1);
	expect_fault(backends_auth, long_service, NULL);
	long_service[strlen(long_service)] = 'a';
	CU_ASSERT_PTR_NOT_NULL(backends_fault(backends_auth, long_service));
	expect_fault(backends_storage, "", NULL);
	expect_fault(backends_storage, "dir:/base", NULL);
	expect_fault(backends_storage, "archive:/x",
		     "\"\" or \"maildir:TEMPLATE\" or \"mbox:TEMPLATE\" or \"dir:TEMPLATE\" or "
		     "\"dir:BASE\"");
}

/* What a template may hold by the table is what is expanded. */
static void
test_letters(void)
{
	char spec[] = "mbox:/%x", path[64];

	for (int c = 1; c < 0x7f; c++) {
		bool allowed = (spec[7] = (char)c, backends_fault(backends_storage, spec) == NULL);

		CU_ASSERT_EQUAL(template_expand(spec + 5, "u@d", "/h", path, sizeof(path)) == 0,
				allowed);
	}
	expect_fault(backends_storage, "mbox:/%u%d%n%h%%", NULL);
	CU_ASSERT_PTR_NOT_NULL(backends_fault(backends_storage, "mbox:/a/%"));
	CU_ASSERT_PTR_NOT_NULL(backends_fault(backends_storage, "mbox:/a/%%%"));
}

static void
test_apop(void)
{
	CU_ASSERT_FALSE(backends_find(backends_auth, "pam:x", NULL)->apop);
	CU_ASSERT_TRUE(backends_find(backends_auth, "file:/x", NULL)->apop);
	CU_ASSERT_TRUE(backends_find(backends_auth, "checkpassword:/x", NULL)->apop);
}

static const struct unit_test tests[] = {
    {"the back end of a setting", test_find},
    {"each role has the back ends of the table", test_roles_have_each},
    {"what settings may say", test_settings},
    {"letters that may follow a percent sign", test_letters},
    {"who checks digests", test_apop},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("backends", tests);
}
