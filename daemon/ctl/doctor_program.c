/*
 * Asking a program of pop3d what it thinks of its part of the host (common/check.h).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"
#include "daemon/ctl/program.h"

/* A line with its priority in front, as the journal takes it (sd-daemon(3)); else what is well. */
static int
line_find(void *arg, char *line)
{
	enum doctor_level level = DOCTOR_OK;

	if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
		level = line[1] - '0' <= LOG_ERR       ? DOCTOR_CRITICAL
			: line[1] - '0' <= LOG_WARNING ? DOCTOR_WARNING
						       : DOCTOR_OK;
		line += 3;
	}
	doctor_find(arg, level, "", "%s", line);
	return 0;
}

/* Start it with all its output going to the pipe, which it is to take for the journal's stream.  0
 * or an errno. */
static int
journalled_start(char *const argv[], int pipe_end, pid_t *pid)
{
	char stream[64];
	struct stat st;

	if (fstat(pipe_end, &st) == -1)
		return errno;
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	if (setenv("JOURNAL_STREAM", stream, 1) == -1)
		return errno;
	return program_start(argv, pipe_end, pipe_end, pid);
}

void
doctor_ask(struct doctor *d, char *const argv[])
{
	size_t before = d->count;
	int ends[2], status = 0, error;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1) {
		doctor_find(d, DOCTOR_UNKNOWN, "", "pipe: %s", strerror(errno));
		return;
	}
	error = journalled_start(argv, ends[1], &pid);
	close(ends[1]);
	if (error != 0) {
		doctor_find(d, DOCTOR_UNKNOWN, "install pop3d whole", "%s: %s", argv[0],
			    strerror(error));
		close(ends[0]);
		return;
	}
	(void)program_listen(ends[0], line_find, d);
	if (waitpid(pid, &status, 0) == -1 || (status != 0 && d->count == before))
		doctor_find(d, DOCTOR_CRITICAL, "", "%s fails with status %d", argv[0], status);
}
