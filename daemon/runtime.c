#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/runtime.h"

/* It must be ours, and nobody else may change what is in it. */
static int
make_directory(const char *path)
{
	struct stat st;

	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &st) == -1)
		return -1;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
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

int
runtime_take(const struct conf *conf, bool rootless)
{
	char path[MSG_PATH_SIZE + 16];
	int fd;

	if (rootless) {
		(void)mkdir(conf->runtime_dir, 0700); /* for the control socket, if it can be had */
		return 0;
	}
	if (make_directories(conf->runtime_dir) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/pop3d.pid", conf->runtime_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1) {
		log_error(0, "%s: %s", path,
			  fd != -1 && errno == EWOULDBLOCK
			      ? "another pop3d runs with this runtime_dir"
			      : strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	/* The descriptor stays open: it is the lock. */
	if (ftruncate(fd, 0) == -1 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
		log_error(0, "%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}
