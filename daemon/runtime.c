#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/runtime.h"

static char pid_path[MSG_PATH_SIZE + 16]; /* empty: not taken */

/* It must be ours, and nobody else may change what is in it. */
static bool
directory_is_ours(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 022) == 0;
}

static int
make_directory(const char *path)
{
	struct stat st;

	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &st) == -1)
		return -1;
	if (!directory_is_ours(&st)) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* 0; -1: it is there, and not as it must be (logged). */
static int
look_at_directory(const char *setting, const char *path, int prio)
{
	struct stat st;

	if (lstat(path, &st) == -1 || directory_is_ours(&st))
		return 0;
	log_line(prio, 0, "%s %s: has owner %u, mode %04o (it must be root's and closed to others)",
		 setting, path, st.st_uid, st.st_mode & 07777U);
	return -1;
}

int
runtime_look(const struct conf *conf)
{
	(void)look_at_directory("state_dir", conf->state_dir, LOG_WARNING);
	return look_at_directory("runtime_dir", conf->runtime_dir, LOG_ERR);
}

static int
make_directories(const char *runtime_dir)
{
	char empty[MSG_PATH_SIZE + 8];
	mode_t mask = umask(022);
	int r = 0;

	snprintf(empty, sizeof(empty), "%s/empty", runtime_dir);
	if (make_directory(runtime_dir) == -1 || make_directory(empty) == -1) {
		log_error(0, "runtime_dir %s: %s (it must be root's and closed to others)",
			  runtime_dir, strerror(errno));
		r = -1;
	}
	umask(mask);
	return r;
}

/* The locked file, else -1 with errno (EWOULDBLOCK: another master has it).  One that its former
 * owner has removed meanwhile locks nobody out: there is another at its place, or none. */
static int
pid_file_lock(void)
{
	struct stat ours, there;
	int fd, error;

	for (;;) {
		fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd == -1)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == -1)
			break;
		if (fstat(fd, &ours) == 0 && lstat(pid_path, &there) == 0 &&
		    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
			return fd;
		close(fd);
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
runtime_take(const struct conf *conf, bool rootless)
{
	int fd;

	if (rootless) {
		(void)mkdir(conf->runtime_dir, 0700); /* for the control socket, if it can be had */
		return 0;
	}
	if (make_directories(conf->runtime_dir) == -1)
		return -1;
	snprintf(pid_path, sizeof(pid_path), "%s/pop3d.pid", conf->runtime_dir);
	fd = pid_file_lock();
	/* The descriptor stays open: it is the lock. */
	if (fd != -1 && ftruncate(fd, 0) == 0 && dprintf(fd, "%ld\n", (long)getpid()) > 0)
		return 0;
	log_error(0, "%s: %s", pid_path,
		  errno == EWOULDBLOCK ? "another pop3d runs with this runtime_dir"
				       : strerror(errno));
	pid_path[0] = '\0';
	return -1;
}

bool
runtime_is_taken(const struct conf *conf)
{
	char path[sizeof(pid_path)];
	bool taken;
	int fd;

	snprintf(path, sizeof(path), "%s/pop3d.pid", conf->runtime_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1)
		return false;
	taken = flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	close(fd);
	return taken;
}

void
runtime_state(const struct conf *conf, bool rootless)
{
	mode_t mask = umask(022);

	if (make_directory(conf->state_dir) == -1 && !rootless)
		log_warn(0, "state_dir %s: %s (it must be root's and closed to others)",
			 conf->state_dir, strerror(errno));
	umask(mask);
}

void
runtime_release(void)
{
	if (pid_path[0] != '\0')
		(void)unlink(pid_path);
}
