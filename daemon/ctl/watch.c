#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/watch.h"

bool
watch_is_for(int argc, char *argv[])
{
	static const struct {
		const char *word, *second;
	} commands[] = {{"list", NULL}, {"metrics", NULL}, {"sessions", NULL}, {"status", NULL},
			{"who", NULL},	{"conn", "list"},  {"conn", "state"}};

	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (strcmp(commands[i].word, argv[0]) == 0 &&
		    (commands[i].second == NULL ||
		     (argc > 1 && strcmp(commands[i].second, argv[1]) == 0)))
			return true;
	return false;
}

int
watch_run(const char *socket_path, enum answer_form form, unsigned seconds, int argc, char *argv[],
	  int (*run)(const char *socket_path, enum answer_form form, int argc, char *argv[]))
{
	bool terminal = isatty(STDOUT_FILENO);

	if (!watch_is_for(argc, argv)) {
		fputs(
		    "pop3ctl: --watch is for list, metrics, sessions, status, who, conn list, and "
		    "conn state\n",
		    stderr);
		return CTL_USAGE;
	}
	for (bool first = true;; first = false) {
		int status;

		if (terminal)
			fputs("\033[H\033[2J", stdout);
		else if (!first)
			putchar('\n');
		status = run(socket_path, form, argc, argv);
		if (status != CTL_DONE && (first || status != CTL_UNREACHABLE))
			return status;
		if (fflush(stdout) == EOF)
			return CTL_FAILED;
		sleep(seconds);
	}
}
