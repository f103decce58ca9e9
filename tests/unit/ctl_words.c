/* common/ctl_words.c */
#include "config.h"

#include <string.h>

#include "common/ctl_words.h"
#include "tests/unit/unit.h"

static void
test_choices(void)
{
	char choices[CTL_TEXT_SIZE];

	CU_ASSERT_STRING_EQUAL(
	    ctl_choices(choices, NULL),
	    "adopt, autoconfig, box, cget, configure, conn, destroy, doctor, down, history, "
	    "kick, last, list, log, metrics, new, reload, sessions, status, top, uidl, up, user, "
	    "or who");
	CU_ASSERT_STRING_EQUAL(ctl_choices(choices, "conn"), "kill, list, or state");
	CU_ASSERT_STRING_EQUAL(ctl_choices(choices, "list"), "");
	CU_ASSERT_STRING_EQUAL(ctl_choices(choices, "nonsense"), "");
}

static void
test_synopsis(void)
{
	char text[CTL_TEXT_SIZE];

	CU_ASSERT_STRING_EQUAL(ctl_synopsis(text, "up", NULL), "up name");
	CU_ASSERT_STRING_EQUAL(ctl_synopsis(text, "conn", "kill"), "conn kill name connId");
	CU_ASSERT_STRING_EQUAL(ctl_synopsis(text, "list", NULL), "list");
	CU_ASSERT_STRING_EQUAL(ctl_synopsis(text, "sessions", NULL), "sessions");
}

static void
test_jobs(void)
{
	CU_ASSERT_PTR_NULL(ctl_find("conn", "list")->job);
	CU_ASSERT_EQUAL(ctl_find("box", "list")->job->answer, ANSWER_LIST);
	CU_ASSERT_TRUE(ctl_find("box", "move")->job->other);
	CU_ASSERT_EQUAL(ctl_find("history", "work")->job->answer, ANSWER_TABLE);
	CU_ASSERT_EQUAL(ctl_find("uidl", "verify")->job->input, 0);
	CU_ASSERT_PTR_NULL(ctl_find("uidl", "nonsense"));
}

static const struct unit_test tests[] = {
    {"words to choose from", test_choices},
    {"words and arguments of a command", test_synopsis},
    {"what is a mailbox job", test_jobs},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("ctl_words", tests);
}
