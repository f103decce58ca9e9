#include "config.h"

#include "daemon/ctl/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int
program_start(char *const argv[], int output, int errors, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int error = posix_spawn_file_actions_init(&files);

	if (error != 0)
		return error;
	error = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
	if (error == 0)
		error = posix_spawn(pid, argv[0], &files, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	return error;
}

/* Why it failed; of one that did not, warnings are the doctor's to tell. */
static void
errors_show(int errors)
{
	char block[1024];
	ssize_t n;

	for (off_t at = 0; (n = pread(errors, block, sizeof(block), at)) > 0; at += n)
		fwrite(block, 1, (size_t)n, stderr);
}

int
program_listen(int fd, int (*line)(void *arg, char *text), void *arg)
{
	FILE *in = fdopen(fd, "r");
	char *text = NULL;
	size_t room = 0;
	int r = in == NULL ? -1 : 0;

	while (r == 0 && getline(&text, &room, in) > 0) {
		text[strcspn(text, "\n")] = '\0';
		r = line(arg, text);
	}
	free(text);
	if (in != NULL)
		fclose(in);
	else
		close(fd);
	return r;
}

int
program_lines(char *const argv[], int (*line)(void *arg, char *text), void *arg)
{
	int ends[2], status = 0, error, errors = memfd_create("errors", MFD_CLOEXEC);
	pid_t pid;
	bool good;

	if (errors == -1 || pipe2(ends, O_CLOEXEC) == -1) {
		fprintf(stderr, "pop3ctl: %s\n", strerror(errno));
		close(errors);
		return -1;
	}
	error = program_start(argv, ends[1], errors, &pid);
	close(ends[1]);
	if (error != 0) {
		fprintf(stderr, "pop3ctl: %s: %s\n", argv[0], strerror(error));
		close(ends[0]);
		close(errors);
		return -1;
	}
	error = program_listen(ends[0], line, arg);
	good = waitpid(pid, &status, 0) == pid && status == 0;
	if (!good)
		errors_show(errors);
	close(errors);
	return good && error == 0 ? 0 : -1;
}
