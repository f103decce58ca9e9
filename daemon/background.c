#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "daemon/background.h"
#include "daemon/log/syslog.h"

static int parent = -1; /* reads one octet when we serve */

/* Standard descriptors up to `last`. */
static void
give_up(int first, int last)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = first; null != -1 && fd <= last; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* In the parent: an end that no line of the log tells is told here. */
static _Noreturn void
await(int child, pid_t pid)
{
	char octet, text[160];
	int status;
	ssize_t n;

	while ((n = read(child, &octet, 1)) == -1 && errno == EINTR)
		;
	if (n == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	if (WIFSIGNALED(status))
		fprintf(stderr, "pop3d: %s\n", process_status_text(text, sizeof(text), status));
	_exit(EXIT_FAILURE);
}

void
background_start(void)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		perror("pop3d");
		exit(EXIT_FAILURE);
	}
	if (pid > 0) {
		close(fd[1]);
		await(fd[0], pid);
	}
	close(fd[0]);
	parent = fd[1];
	setsid();
	give_up(STDIN_FILENO, STDOUT_FILENO);
	log_echo_errors();
}

void
background_serves(void)
{
	if (parent == -1)
		return;
	if (log_leave_stderr())
		log_to_syslog("pop3d");
	give_up(STDERR_FILENO, STDERR_FILENO);
	(void)!write(parent, "", 1);
	close(parent);
	parent = -1;
}
