/*
 * Tests that cannot be undone run in a child each: its function returns 0 if
 * all that it NEEDs holds.
 */
#ifndef POP3D_TESTS_CHILD_H
#define POP3D_TESTS_CHILD_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 20 }; /* a child that hangs is killed */

/* In a child's function: name what does not hold and give up. */
#define NEED(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			child_failed(__FILE__, __LINE__, #what);                                   \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

#define NEED_ERROR(call, error)                                                                    \
	do {                                                                                       \
		errno = 0;                                                                         \
		NEED((call) == -1 && errno == (error));                                            \
	} while (0)

/* By write(2) alone: stdio may call what a sandbox does not permit. */
static inline void
child_failed(const char *file, int line, const char *what)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s:%d: %s: errno %d\n", file, line, what, errno);

	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(2);
}

/* Status, as of waitpid(2), of a child that runs `fn`. */
static inline int
child_run(int (*fn)(void))
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)alarm(CHILD_SECONDS);
		_exit(fn());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

#endif
