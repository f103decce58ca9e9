/*
 * A directory for the tests of confinement, with `a` and `b` in it, and what a
 * session does with a mailbox in it.
 */
#ifndef POP3D_TESTS_SCRATCH_H
#define POP3D_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tests/unit/child.h"

/* Whom the directory belongs to if root runs the tests. */
enum { SCRATCH_UID = 40001, SCRATCH_GID = 40002 };

static char scratch[] = "/tmp/pop3d-scratch-XXXXXX";
static int scratch_fd;

static inline void
scratch_make(void)
{
	static const char *const dirs[] = {".", "a", "b"};

	if (mkdtemp(scratch) == NULL)
		abort();
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch_fd < 0 || mkdirat(scratch_fd, "a", 0700) < 0 ||
	    mkdirat(scratch_fd, "b", 0700) < 0)
		abort();
	for (size_t i = 0; geteuid() == 0 && i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (fchownat(scratch_fd, dirs[i], SCRATCH_UID, SCRATCH_GID, 0) < 0)
			abort();
}

static inline void
scratch_remove(void)
{
	(void)unlinkat(scratch_fd, "a/old", 0);
	(void)unlinkat(scratch_fd, "a", AT_REMOVEDIR);
	(void)unlinkat(scratch_fd, "b", AT_REMOVEDIR);
	(void)rmdir(scratch);
}

static inline int
scratch_list(void)
{
	DIR *dir = fdopendir(openat(scratch_fd, ".", O_RDONLY | O_DIRECTORY));
	int n = 0;

	NEED(dir != NULL);
	while (readdir(dir) != NULL)
		n++;
	NEED(closedir(dir) == 0 && n == 4);
	return 0;
}

/* In a child: every kind of call that a mailbox takes.  0 if all are permitted. */
static inline int
scratch_use(void)
{
	struct flock lock = {.l_type = F_WRLCK};
	struct stat st;
	int fd;

	fd = openat(scratch_fd, "a/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	NEED(fd >= 0 && write(fd, "abc", 3) == 3 && fsync(fd) == 0 && ftruncate(fd, 2) == 0);
	NEED(fstat(fd, &st) == 0 && st.st_size == 2 && lseek(fd, 0, SEEK_SET) == 0);
	NEED(fcntl(fd, F_SETLK, &lock) == 0 && flock(scratch_fd, LOCK_EX | LOCK_NB) == 0);
	NEED(pread(fd, &st, 1, 1) == 1 && close(fd) == 0);
	NEED(renameat(scratch_fd, "a/file", scratch_fd, "b/file") == 0);
	NEED(scratch_list() == 0);
	NEED(fstatat(scratch_fd, "b/file", &st, AT_SYMLINK_NOFOLLOW) == 0);
	NEED(unlinkat(scratch_fd, "b/file", 0) == 0);
	NEED(fsync(scratch_fd) == 0 || errno == EINVAL);
	return 0;
}

#endif
