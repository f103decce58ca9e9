/* daemon/auth/pam_service: what is said of a service's file, and whether it keeps people out. */
#include "config.h"

#include "daemon/auth/pam_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "tests/unit/heard.h"
#include "tests/unit/unit.h"

static char top[] = "/tmp/pop3d-pam-XXXXXX", first[64], second[64];

static void
put(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
}

/* The service `text`, which is in the second folder; `hint` is in what is heard, NULL: nothing is.
 */
static void
look(const char *text, int result, const char *hint)
{
	const char *const folders[] = {first, second};

	put(second, "service", text);
	heard_begin();
	CU_ASSERT_EQUAL(pam_service_look(folders, COUNT_OF(folders), "service"), result);
	log_to_stderr();
	if (hint == NULL)
		CU_ASSERT_STRING_EQUAL(heard, "");
	if (hint != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(heard, hint));
}

static void
test_good(void)
{
	look("auth required pam_unix.so\naccount required pam_unix.so\n", 0, NULL);
	look("# a comment\nauth [success=ok default=bad] \\\n  pam_unix.so nullok\n"
	     "account required pam_unix.so # so\n-session optional pam_none_such.so\n",
	     0, NULL);
}

/* The library looks for what is included in all its folders. */
static void
test_include(void)
{
	put(first, "common", "auth required pam_unix.so\naccount required pam_unix.so\n");
	look("@include common\n", 0, NULL);
	look("auth include common\naccount substack common\n", 0, NULL);
	look("@include none-such\n", -1, "service:1: cannot include none-such");
	put(first, "loop", "@include loop\n");
	look("@include loop\n", -1, "files include each other");
}

/* Of what is included by type only that type counts. */
static void
test_included_type(void)
{
	put(first, "common", "auth required pam_unix.so\naccount required pam_unix.so\n");
	look("auth include common\n", 0, "no line for account");
}

static void
test_module_is_missing(void)
{
	look("auth required /none/such.so\naccount required pam_unix.so\n", -1,
	     "service:1: module ");
	look("auth required pam_unix.so\naccount required pam_unix.so\n"
	     "auth optional /none/such.so\n",
	     0, "service:3: module ");
	look("auth required pam_unix.so\naccount required pam_unix.so\n"
	     "session required /none/such.so\n",
	     0, "service:3: module ");
}

static void
test_words(void)
{
	look("auht required pam_unix.so\n", -1, "auht is none of");
	look("auth requird pam_unix.so\naccount required pam_unix.so\n", -1, "requird is none of");
	look("auth\naccount required pam_unix.so\n", -1, "no control is named");
	look("auth required\naccount required pam_unix.so\n", -1, "no module is named");
}

/* What all lines together come to, those of files that are included among them. */
static void
test_stack(void)
{
	put(first, "common",
	    "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n");
	look("@include common\nauth required pam_permit.so\naccount required pam_unix.so\n", 0,
	     NULL);
	look("@include common\naccount required pam_unix.so\n", -1, "lines for auth let nobody in");
	look("auth substack common\naccount required pam_unix.so\n", -1, "they end without a yes");
	look("auth required pam_unix.so\naccount required pam_deny.so\n", -1, "/service:2 refuses");
}

static const struct unit_test tests[] = {
    {"a good one", test_good},
    {"what it includes", test_include},
    {"what it includes for one type", test_included_type},
    {"modules that are not there", test_module_is_missing},
    {"words that are none", test_words},
    {"what the lines come to", test_stack},
    {NULL, NULL},
};

static void
remove_all(void)
{
	static const char *const names[] = {"common", "loop", "service"};
	char path[128];

	for (size_t i = 0; i < COUNT_OF(names); i++)
		for (int k = 0; k < 2; k++) {
			snprintf(path, sizeof(path), "%s/%s", k == 0 ? first : second, names[i]);
			(void)unlink(path);
		}
	(void)rmdir(first);
	(void)rmdir(second);
	(void)rmdir(top);
}

int
main(void)
{
	int status;

	if (mkdtemp(top) == NULL)
		return EXIT_FAILURE;
	snprintf(first, sizeof(first), "%s/1", top);
	snprintf(second, sizeof(second), "%s/2", top);
	if (mkdir(first, 0700) == -1 || mkdir(second, 0700) == -1)
		return EXIT_FAILURE;
	status = unit_run("pam_service", tests);
	remove_all();
	return status;
}
