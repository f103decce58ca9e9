/* common/title.c */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/title.h"
#include "tests/unit/child.h"
#include "tests/unit/unit.h"

/* What ps(1) shows of this process. */
static const char *
shown(void)
{
	static char text[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		abort();
	close(fd);
	text[n] = '\0';
	/* A title as long as the room of argv gets a blank behind it from setproctitle(3bsd). */
	n = (ssize_t)strlen(text);
	if (n > 0 && text[n - 1] == ' ')
		text[n - 1] = '\0';
	return text;
}

static void
test_detail(void)
{
	title_set("session", "%s from %s", "alice", "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(shown(), "pop3d-session: alice from 192.0.2.1");
	title_set("spawner", NULL);
	CU_ASSERT_STRING_EQUAL(shown(), "pop3d-spawner");
	title_detail(PS_TITLES_ROLE);
	title_set("session", "%s from %s", "alice", "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(shown(), "pop3d-session");
	title_detail(PS_TITLES_FULL);
}

static void
test_escape(void)
{
	char big[2000];

	title_set("session", "%s", "a\x1b[2J\n%s\xc3\xa9");
	CU_ASSERT_STRING_EQUAL(shown(), "pop3d-session: a\\x1b[2J\\x0a%s\\xc3\\xa9");
	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	title_set("session", "%s", big);
	CU_ASSERT_PTR_NULL(strchr(shown(), '\n'));
	CU_ASSERT_EQUAL(strncmp(shown(), "pop3d-session: \\x0a\\x0a", 23), 0);
	title_set("session", "%s", "short");
	CU_ASSERT_STRING_EQUAL(shown(), "pop3d-session: short");
}

static int
child_title(void)
{
	title_set("session", "%s", "bob");
	NEED(strcmp(shown(), "pop3d-session: bob") == 0);
	return 0;
}

static void
test_forked(void)
{
	title_set("spawner", "idle");
	CU_ASSERT_EQUAL(child_run(child_title), 0);
	CU_ASSERT_STRING_EQUAL(shown(), "pop3d-spawner: idle");
}

static const struct unit_test tests[] = {
    {"full and role", test_detail},
    {"escapes", test_escape},
    {"in a forked process", test_forked},
    {NULL, NULL},
};

/* The room is what exec finds: once more with the variable that master sets. */
int
main(int argc, char *argv[], char *envp[])
{
	char room[1024];

	if (getenv(TITLE_PADDING) == NULL) {
		memset(room, 'x', sizeof(room) - 1);
		room[sizeof(room) - 1] = '\0';
		if (setenv(TITLE_PADDING, room, 1) == 0)
			execv("/proc/self/exe", argv);
		return EXIT_FAILURE;
	}
	title_init(argc, argv, envp);
	return unit_run("title", tests);
}
