/*
 * pop3ctl doctor without a user.  Each role's program looks at its own part of the configuration
 * (pop3d -t); the daemon tells what it runs with.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"
#include "daemon/ctl/request.h"

/* The value of the first pair with that key, up to its line end; its length in *len.  NULL: none.
 */
static const char *
status_value(const struct doctor *d, const char *key, size_t *len)
{
	size_t n = strlen(key);

	for (const char *p = d->status; p != NULL && *p != '\0';
	     p += strcspn(p, "\n"), p += *p != '\0')
		if (strncmp(p, key, n) == 0 && p[n] == '\t') {
			*len = strcspn(p + n + 1, "\n");
			return p + n + 1;
		}
	return NULL;
}

void
doctor_daemon(struct doctor *d)
{
	static char word[] = "status";
	char *words[] = {word};
	struct answer a;
	const char *state;
	size_t len;

	if (request_quietly(d->socket_path, 1, words, &a) != CTL_DONE) {
		doctor_find(d, DOCTOR_CRITICAL, "start pop3d, or name its socket by -s", "%s",
			    a.text != NULL ? a.text : "no memory");
		free(a.text);
		return;
	}
	d->status = a.text;
	state = status_value(d, "state", &len);
	if (state != NULL && strncmp(state, "serving", len) == 0)
		doctor_find(d, DOCTOR_OK, "", "pop3d is serving");
	else
		doctor_find(d, DOCTOR_WARNING, "wait, then look into the log", "pop3d is %.*s",
			    state != NULL ? (int)len : 7, state != NULL ? state : "silent");
}

/* ---- pop3d -t */

/* A line with its priority in front, as the journal takes it (sd-daemon(3)); else what is well. */
static void
line_find(struct doctor *d, const char *line)
{
	enum doctor_level level = DOCTOR_OK;

	if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
		level = line[1] - '0' <= LOG_ERR       ? DOCTOR_CRITICAL
			: line[1] - '0' <= LOG_WARNING ? DOCTOR_WARNING
						       : DOCTOR_OK;
		line += 3;
	}
	doctor_find(d, level, "", "%s", line);
}

/* Run pop3d -t with its output going to the pipe, which it is to take for the journal's stream.
 * 0 or an errno. */
static int
test_start(const char *conf_path, int pipe_end, pid_t *pid)
{
	static char program[] = SBINDIR "/pop3d", option_t[] = "-t", option_c[] = "-c";
	char *argv[] = {program, option_t, option_c, (char *)(uintptr_t)conf_path, NULL};
	posix_spawn_file_actions_t files;
	char stream[64];
	struct stat st;
	int error;

	if (fstat(pipe_end, &st) == -1 || posix_spawn_file_actions_init(&files) != 0)
		return errno;
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	(void)setenv("JOURNAL_STREAM", stream, 1);
	error = posix_spawn_file_actions_adddup2(&files, pipe_end, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&files, pipe_end, STDERR_FILENO);
	if (error == 0)
		error = posix_spawn(pid, program, &files, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	return error;
}

/* Read what it says, to the end. */
static void
test_read(struct doctor *d, int fd)
{
	FILE *in = fdopen(fd, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (in == NULL) {
		close(fd);
		return;
	}
	while ((n = getline(&line, &room, in)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		line_find(d, line);
	}
	free(line);
	fclose(in);
}

void
doctor_configuration(struct doctor *d)
{
	size_t len = 0, before = d->count;
	const char *told = status_value(d, "configuration", &len);
	char *path = d->conf_path != NULL ? strdup(d->conf_path)
		     : told != NULL	  ? strndup(told, len)
					  : strdup(SYSCONFDIR "/pop3d.conf");
	int ends[2] = {-1, -1}, status = 0, error;
	pid_t pid = -1;

	error =
	    path == NULL || pipe2(ends, O_CLOEXEC) == -1 ? errno : test_start(path, ends[1], &pid);
	if (ends[1] != -1)
		close(ends[1]);
	if (error == 0) {
		test_read(d, ends[0]);
		if (waitpid(pid, &status, 0) == -1)
			error = errno;
	}
	if (error != 0)
		doctor_find(d, DOCTOR_UNKNOWN, "install pop3d whole", SBINDIR "/pop3d: %s",
			    strerror(error));
	else if (status != 0 && d->count == before)
		doctor_find(d, DOCTOR_CRITICAL, "run it", "pop3d -t -c %s fails", path);
	free(path);
}
