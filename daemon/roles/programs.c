#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/build.h"
#include "common/names.h"
#include "daemon/roles/programs.h"

/* 0: none; privs_fill_standard_fds() keeps that number from being one. */
static int opened[ROLE_COUNT];

static void
close_all(const int fd[ROLE_COUNT])
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (fd[i] > 0)
			close(fd[i]);
}

/* Read, and not mapped: a file that is cut meanwhile costs us nothing. */
static bool
is_of_this_build(int fd)
{
	struct stat st = {0};
	char *text = fstat(fd, &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
	ssize_t n = text != NULL ? pread(fd, text, (size_t)st.st_size, 0) : -1;
	bool found = n > 0 && memmem(text, (size_t)n, build_mark, strlen(build_mark)) != NULL;

	free(text);
	return found;
}

/* The descriptor; 0: the one that is open is to stay; -1: refused. */
static int
program_open(enum role role, char *why, size_t cap)
{
	char path[MSG_PATH_SIZE];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", PKGLIBEXECDIR, role_program(role));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 && errno == EACCES) {
		if (opened[role] > 0)
			return 0;
		fd = open(path, O_PATH | O_CLOEXEC);
	} else if (fd != -1 && !is_of_this_build(fd)) {
		(void)snprintf(why, cap, "%s refused: %s", role_program(role), build_differs);
		close(fd);
		return -1;
	}
	if (fd == -1)
		(void)snprintf(why, cap, "%s: %s", path, strerror(errno));
	return fd;
}

int
programs_open(char *why, size_t cap)
{
	int fresh[ROLE_COUNT] = {0};

	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (role_program((enum role)i) != NULL &&
		    (fresh[i] = program_open((enum role)i, why, cap)) == -1) {
			close_all(fresh);
			return -1;
		}
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (fresh[i] > 0) {
			if (opened[i] > 0)
				close(opened[i]);
			opened[i] = fresh[i];
		}
	return 0;
}

int
programs_descriptor(enum role role)
{
	return opened[role] > 0 ? opened[role] : -1;
}
