#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/process.h"
#include "common/title.h"

/* Room behind argv for setproctitle(3bsd), which can use no more than it finds. */
static char title_room[sizeof(TITLE_PADDING) + 256];

/* What a role process finds in its environment.  Sanitizers' options pass in builds with them. */
static void
environment_fill(char *env[], size_t cap)
{
	static const char *const passed[] = {
#ifdef SANITIZE
	    "ASAN_OPTIONS", "UBSAN_OPTIONS",
#endif
	    "TZ"};
	static char *room[sizeof(passed) / sizeof(passed[0])];
	size_t n = 0;

	memset(title_room, 'x', sizeof(title_room) - 1);
	memcpy(title_room, TITLE_PADDING "=", sizeof(TITLE_PADDING));
	env[n++] = title_room;
	env[n++] = (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	env[n++] = (char *)"LANG=C";
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]) && n + 1 < cap; i++) {
		const char *value = getenv(passed[i]);

		free(room[i]);
		room[i] = NULL;
		if (value != NULL && asprintf(&room[i], "%s=%s", passed[i], value) != -1)
			env[n++] = room[i];
	}
	env[n] = NULL;
}

/* Where an open program waits to be run, since no other descriptor is left. */
enum { PROGRAM_FD = CHANNEL_FD + 1 };

/* Between fork and exec: only async-signal-safe calls. */
static _Noreturn void
process_exec(int program, const char *path, char *const argv[], int channel, char *env[])
{
	/* Roles log over their channel; only a sanitizer's report needs standard error. */
#ifdef SANITIZE
	const bool quiet = false;
#else
	const bool quiet = true;
#endif
	sigset_t none;
	int null;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if ((null = open("/dev/null", O_RDWR)) == -1)
		_exit(127);
	if (channel == CHANNEL_FD) {
		if (fcntl(channel, F_SETFD, 0) == -1)
			_exit(127);
	} else if (dup2(channel, CHANNEL_FD) == -1)
		_exit(127);
	if (dup2(null, 0) == -1 || dup2(null, 1) == -1 || (quiet && dup2(null, 2) == -1))
		_exit(127);
	if (program == AT_FDCWD) {
		closefrom(CHANNEL_FD + 1);
	} else {
		if (program != PROGRAM_FD && dup3(program, PROGRAM_FD, O_CLOEXEC) == -1)
			_exit(127);
		program = PROGRAM_FD;
		closefrom(PROGRAM_FD + 1);
	}
	execveat(program, path, argv, env, AT_EMPTY_PATH);
	_exit(127);
}

pid_t
process_start(int program, const char *path, char *const argv[], int channel, void (*before)(void))
{
	char *env[8];
	pid_t pid;

	environment_fill(env, sizeof(env) / sizeof(env[0]));
	if ((pid = fork()) == 0) {
		if (before != NULL)
			before();
		process_exec(program, path, argv, channel, env);
	}
	if (pid > 0)
		setpgid(pid, pid); /* both do, so that it holds for both from here on */
	return pid;
}

const char *
process_status_text(char *dst, size_t cap, int status)
{
	if (WIFSIGNALED(status))
		snprintf(dst, cap, "killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGSYS
			     ? ": a call outside its sandbox, see sandbox = \"log\""
			     : "");
	else
		snprintf(dst, cap, "exited with status %d", WEXITSTATUS(status));
	return dst;
}
