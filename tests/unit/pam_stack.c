/* daemon/auth/pam_stack: what a stack of lines comes to; the PAM library itself goes through random
 * ones of pam_debug.so, pam_permit.so and pam_deny.so, too. */
#include "config.h"

#include "daemon/auth/pam_stack.h"

#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "tests/unit/heard.h"
#include "tests/unit/unit.h"

/* Lines "CONTROL MODULE", each with ";" behind it, come to `result`; `hint` is in what is heard,
 * NULL: nothing is. */
static void
judge(const char *lines, const char *phase, int result, const char *hint)
{
	struct pam_stack s = {.n = 0};
	char text[1024], where[16], *rest = text, *line, *module;

	snprintf(text, sizeof(text), "%s", lines);
	while ((line = strsep(&rest, ";")) != NULL && line[0] != '\0') {
		module = strstr(line, " pam_");
		CU_ASSERT_PTR_NOT_NULL_FATAL(module);
		*module++ = '\0';
		snprintf(where, sizeof(where), "file:%zu", s.n + 1);
		pam_stack_add(&s, where, line, module, 0);
	}
	heard_begin();
	CU_ASSERT_EQUAL(pam_stack_judge(&s, "x", phase, strcmp(phase, "auth") == 0), result);
	log_to_stderr();
	pam_stack_free(&s);
	if (hint == NULL)
		CU_ASSERT_STRING_EQUAL(heard, "");
	if (hint != NULL && strstr(heard, hint) == NULL)
		printf("\n%s: %s", lines, heard);
	if (hint != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(heard, hint));
}

static void
test_good(void)
{
	judge("required pam_unix.so;", "auth", 0, NULL);
	judge("[success=1 default=ignore] pam_unix.so nullok;requisite pam_deny.so;"
	      "required pam_permit.so;optional pam_cap.so;",
	      "auth", 0, NULL);
	judge("[success=2 default=ignore] pam_unix.so;[success=1 default=ignore] pam_ldap.so;"
	      "requisite pam_deny.so;required pam_permit.so;",
	      "auth", 0, NULL);
	judge("required pam_env.so;required pam_faillock.so preauth;sufficient pam_unix.so;"
	      "[default=die] pam_faillock.so authfail;required pam_deny.so;",
	      "auth", 0, NULL);
	judge("required pam_unix.so;required pam_second.so;", "auth", 0, NULL);
	judge("[success=1 new_authtok_reqd=done default=ignore] pam_unix.so;requisite pam_deny.so;"
	      "required pam_permit.so;",
	      "account", 0, NULL);
	judge("required pam_permit.so;", "account", 0, NULL);
}

static void
test_nobody(void)
{
	judge("required pam_unix.so;required pam_deny.so;", "auth", -1,
	      "let nobody in: even if its modules agree, pam_deny.so of file:2 refuses");
	judge("[success=1 default=ignore] pam_unix.so;requisite pam_deny.so;", "auth", -1,
	      "let nobody in: they end without a yes");
	judge("[success=2 default=ignore] pam_unix.so;requisite pam_deny.so;", "auth", -1,
	      "pam_unix.so of file:1 refuses");
	judge("requisite pam_deny.so;", "account", -1, "its lines for account let nobody in");
}

/* A line was put in, and the numbers above it left as they were. */
static void
test_some_not(void)
{
	judge("[success=1 default=ignore] pam_unix.so;[success=1 default=ignore] pam_ldap.so;"
	      "requisite pam_deny.so;required pam_permit.so;",
	      "auth", 0, NULL);
	judge(
	    "[success=1 default=ignore] pam_unix.so;optional pam_warn.so;"
	    "[success=1 default=ignore] pam_ldap.so;requisite pam_deny.so;required pam_permit.so;",
	    "auth", 0, "whom pam_unix.so lets in for auth is refused by pam_deny.so of file:4");
}

static void
test_everybody(void)
{
	judge("sufficient pam_unix.so;required pam_permit.so;", "auth", 0,
	      "3 PAM service x: its lines for auth let anybody in");
	judge("optional pam_unix.so;required pam_permit.so;", "auth", 0,
	      "3 PAM service x: its lines for auth let anybody in");
	judge("sufficient pam_rootok.so;required pam_unix.so;", "auth", 0,
	      "3 PAM service x: its lines for auth let anybody in");
	judge("sufficient pam_succeed_if.so user ingroup x;required pam_unix.so;", "auth", 0,
	      "4 PAM service x: its lines for auth let some people in without a password");
	judge("[success=1 default=ignore] pam_succeed_if.so uid >= 1000;required pam_unix.so;"
	      "required pam_permit.so;",
	      "auth", 0,
	      "4 PAM service x: its lines for auth let some people in without a password");
}

/* One that is too long is not judged, and frees what it has. */
static void
test_long(void)
{
	struct pam_stack s = {.n = 0};

	for (int i = 0; i < PAM_STACK_MAX; i++)
		pam_stack_add(&s, "x:1", "required", "pam_deny.so", 0);
	pam_stack_suppose(&s);
	CU_ASSERT_FALSE(pam_stack_may_pass(&s));
	pam_stack_add(&s, "x:1", "required", "pam_deny.so", 0);
	CU_ASSERT_EQUAL(s.n, PAM_STACK_MAX);
	CU_ASSERT_TRUE(pam_stack_may_pass(&s));
	CU_ASSERT_EQUAL(pam_stack_judge(&s, "x", "auth", true), 0);
	pam_stack_free(&s);
}

/* ---- the library's word */

static unsigned
draw(unsigned below)
{
	static uint32_t state = 12345;

	state = state * 1664525 + 1013904223;
	return (state >> 16) % below;
}

static int
answer_nothing(int n, const struct pam_message **messages, struct pam_response **replies,
	       void *data)
{
	(void)n, (void)messages, (void)data;
	*replies = NULL;
	return PAM_CONV_ERR;
}

static int
library_says(const char *folder, const char *name)
{
	static const struct pam_conv conv = {answer_nothing, NULL};
	pam_handle_t *h = NULL;
	int code = pam_start_confdir(name, "nobody", &conv, folder, &h);

	if (code == PAM_SUCCESS)
		code = pam_authenticate(h, PAM_SILENT);
	(void)pam_end(h, code);
	return code;
}

/* A line of its own to the file and to the stack, at that level. */
static void
line_draw(FILE *file, struct pam_stack *s, unsigned level)
{
	static const char *const controls[] = {
	    "required",
	    "requisite",
	    "sufficient",
	    "optional",
	    "[success=1 default=ignore]",
	    "[success=2 default=bad]",
	    "[success=ok default=die]",
	    "[default=1]",
	    "[success=done auth_err=die user_unknown=die perm_denied=die default=ignore]",
	    "[success=ok default=3]",
	    "[success=ignore default=bad]",
	};
	static const struct {
		const char *text;
		enum pam_says says;
	} modules[] = {{"pam_debug.so auth=success", PAM_SAYS_YES},
		       {"pam_debug.so auth=auth_err", PAM_SAYS_NO},
		       {"pam_permit.so", PAM_SAYS_YES},
		       {"pam_deny.so", PAM_SAYS_NO}};
	const char *control = controls[draw(COUNT_OF(controls))];
	unsigned k = draw(COUNT_OF(modules));

	fprintf(file, "auth %s %s\n", control, modules[k].text);
	pam_stack_add(s, "x:1", control, modules[k].text, level);
	s->line[s->n - 1].says = modules[k].says;
}

static FILE *
file_begin(const char *folder, const char *name)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	return file;
}

/* The controls tell no value of a "no" from another, of which pam_stack_may_pass() tries all. */
static void
test_library(void)
{
	char folder[] = "/tmp/pop3d-stack-XXXXXX", path[64];
	size_t wrong = 0, passed = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	for (int round = 0; round < 600; round++) {
		struct pam_stack s = {.n = 0};
		FILE *top = file_begin(folder, "top"), *sub = file_begin(folder, "sub");
		unsigned n = 1 + draw(5), at = draw(6);
		bool library;

		for (unsigned i = 0; i < n; i++) {
			if (i == at) {
				fprintf(top, "auth substack %s/sub\n", folder);
				pam_stack_add(&s, "x:1", "", "", 0);
				for (unsigned k = 1 + draw(3); k > 0; k--)
					line_draw(sub, &s, 1);
			}
			line_draw(top, &s, 0);
		}
		fclose(top);
		fclose(sub);
		library = library_says(folder, "top") == PAM_SUCCESS;
		passed += library;
		wrong += library != pam_stack_may_pass(&s);
		pam_stack_free(&s);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(passed > 50);
	snprintf(path, sizeof(path), "%s/top", folder);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/sub", folder);
	(void)unlink(path);
	(void)rmdir(folder);
}

static const struct unit_test tests[] = {
    {"good ones", test_good},
    {"they let nobody in", test_nobody},
    {"they refuse whom a module lets in", test_some_not},
    {"they let everybody in", test_everybody},
    {"a stack that is too long", test_long},
    {"as the library itself", test_library},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("pam_stack", tests);
}
