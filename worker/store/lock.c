#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/lock.h"

bool
lock_is_unknown(int error)
{
	return error == EBADF || error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS;
}

void
lock_note(struct store *s, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		s->lock = (struct msg_lock_place){st.st_dev, st.st_ino};
}

static enum store_result
lock_by_flock(int fd, bool *had)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		*had = true;
	else if (errno == EWOULDBLOCK)
		return STORE_IN_USE;
	else if (!lock_is_unknown(errno))
		return store_judge(errno);
	return STORE_OK;
}

/* A lock of the process, or of the open file, so that it keeps out a second session in one
 * process, too.  To others both are the same. */
static const struct lock_kind {
	int take, look;
} of_process = {F_SETLK, F_GETLK}, of_file = {F_OFD_SETLK, F_OFD_GETLK};

static enum store_result
lock_by_fcntl(const struct store *s, int fd, const struct lock_kind *kind, bool *had)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, s->lock_look ? kind->look : kind->take, &range) == 0)
		*had = true;
	else if (errno == EAGAIN || errno == EACCES)
		return STORE_IN_USE;
	else if (!lock_is_unknown(errno))
		return store_judge(errno);
	return s->lock_look && *had && range.l_type != F_UNLCK ? STORE_IN_USE : STORE_OK;
}

/* Open the file, unless an earlier try has. */
static int
lock_open(int dir_fd, const char *name, int *fd)
{
	if (*fd == -1)
		*fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			     0600);
	return *fd;
}

/* The end of either way: no lock at all is an error, and errors are logged. */
static enum store_result
lock_result(const struct store *s, enum store_result result, bool had)
{
	if (result == STORE_OK && !had) {
		errno = ENOLCK;
		result = STORE_PERM;
	}
	if (result == STORE_TEMP || result == STORE_PERM)
		log_error(s->id, "%s %s: lock: %s", s->backend->name, s->path, strerror(errno));
	return result;
}

/* Whoever may read a directory may flock(2) it, too. */
static bool
others_may_read(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

enum store_result
lock_directory(struct store *s, int dir_fd, const char *name, int *lock_fd)
{
	enum store_result result = STORE_OK;
	bool had = false;

	lock_note(s, dir_fd);
	if (lock_open(dir_fd, name, lock_fd) != -1)
		result = lock_by_fcntl(s, *lock_fd, &of_process, &had);
	if (result != STORE_OK || (s->lock_look && had))
		return lock_result(s, result, had);
	result = lock_by_flock(dir_fd, &had);
	/* The file is the owner's alone, and its lock was had: no session has this mailbox. */
	if (result == STORE_IN_USE && had && others_may_read(dir_fd)) {
		log_warn(s->id, "%s %s: ignored the lock of a process that is no session",
			 s->backend->name, s->path);
		result = STORE_OK;
	}
	return lock_result(s, result, had);
}

enum store_result
lock_named(struct store *s, int dir_fd, const char *name, int *lock_fd)
{
	enum store_result result = STORE_OK;
	bool had = false;

	if (lock_open(dir_fd, name, lock_fd) == -1) {
		if (!store_is_full(errno))
			return lock_result(s, store_judge(errno), true);
		log_warn(s->id,
			 "%s %s: cannot use a lock file (%s): other programs and hosts are not "
			 "locked out",
			 s->backend->name, s->path, strerror(errno));
		return STORE_OK;
	}
	lock_note(s, *lock_fd);
	result = lock_by_fcntl(s, *lock_fd, &of_file, &had);
	if (result == STORE_OK && !had)
		result = lock_by_flock(*lock_fd, &had);
	return lock_result(s, result, had);
}
