/* daemon/auth/username.c */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "daemon/auth/username.h"
#include "tests/unit/unit.h"

static const struct rule {
	const char *domain;
	enum username_fold fold;
	const char *sent, *account; /* account NULL: of another domain */
} rules[] = {
    {"keep", USERNAME_AS_IS, "Ann@Example.org", "Ann@Example.org"},
    {"keep", USERNAME_LOWER, "Ann@Example.org", "ann@example.org"},
    {"strip", USERNAME_AS_IS, "Ann@Example.org", "Ann"},
    {"strip", USERNAME_LOWER, "ANN@x", "ann"},
    {"strip", USERNAME_AS_IS, "a@b@c", "a@b"},
    {"strip", USERNAME_AS_IS, "ann@", "ann"},
    {"strip", USERNAME_AS_IS, "@example.org", ""},
    {"strip", USERNAME_AS_IS, "ann", "ann"},
    {"example.org", USERNAME_AS_IS, "Ann", "Ann"},
    {"example.org", USERNAME_AS_IS, "Ann@EXAMPLE.ORG", "Ann"},
    {"Example.org", USERNAME_LOWER, "Ann@example.ORG", "ann"},
    {"example.org", USERNAME_AS_IS, "ann@example.org@example.org", "ann@example.org"},
    {"example.org", USERNAME_LOWER, "Ann@example.com", NULL},
    {"example.org", USERNAME_AS_IS, "ann@mail.example.org", NULL},
    {"example.org", USERNAME_AS_IS, "ann@example.org.", NULL},
    {"example.org", USERNAME_AS_IS, "ann@", NULL},
    {"keep", USERNAME_LOWER, "\xc3\x84nn", "\xc3\x84nn"}, /* ASCII letters only */
};

static void
test_rules(void)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];
		struct msg_auth_server server = {.username_fold = r->fold};
		char name[MSG_NAME_SIZE] = {0};

		snprintf(server.username_domain, sizeof(server.username_domain), "%s", r->domain);
		snprintf(name, sizeof(name), "%s", r->sent);
		CU_ASSERT_EQUAL(username_apply(&server, name), r->account != NULL ? 0 : -1);
		if (r->account != NULL)
			CU_ASSERT_STRING_EQUAL(name, r->account);
	}
}

static void
test_longest_name(void)
{
	struct msg_auth_server server = {.username_fold = USERNAME_LOWER,
					 .username_domain = USERNAME_DOMAIN_STRIP};
	char name[MSG_NAME_SIZE];

	memset(name, 'A', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CU_ASSERT_EQUAL(username_apply(&server, name), 0);
	CU_ASSERT_EQUAL(strlen(name), sizeof(name) - 1);
	CU_ASSERT_EQUAL(name[sizeof(name) - 2], 'a');
	name[1] = '@';
	CU_ASSERT_EQUAL(username_apply(&server, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "a");
}

static const struct unit_test tests[] = {
    {"domain, then letters", test_rules},
    {"the longest name", test_longest_name},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("username", tests);
}
