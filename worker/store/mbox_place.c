#include "config.h"

#include "worker/store/mbox_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/path.h"
#include "worker/store/store.h"

#define STATE_DIR ".pop3d"

enum { UID_DIGITS = 12 };

int
mbox_place_find(struct mbox_place *p, const char *path)
{
	p->dir_fd = path_find(path, p->name);
	if (p->dir_fd == -1)
		return -1;
	p->writable = faccessat(p->dir_fd, ".", W_OK | X_OK, 0) == 0;
	return 0;
}

/* Open the user's own directory `name` in `parent`, and make it if `make`.  A descriptor or -1 with
 * errno, EACCES for one that somebody else has or may write to. */
static int
own_open(int parent, const char *name, bool make)
{
	struct stat st;
	int fd, sync_fd;

	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT && make) {
		if (mkdirat(parent, name, 0700) == -1 && errno != EEXIST)
			return -1;
		/* a journal in it must be found again after a power failure */
		sync_fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sync_fd != -1) {
			(void)fsync(sync_fd);
			close(sync_fd);
		}
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && faccessat(fd, ".", W_OK | X_OK, 0) == 0)
		return fd;
	close(fd);
	errno = EACCES;
	return -1;
}

/* The same by the path of the parent, and made. */
static int
own_open_below(const char *dir, const char *name)
{
	int parent = path_open(dir, O_PATH), fd, error;

	if (parent == -1)
		return -1;
	fd = own_open(parent, name, true);
	error = errno;
	close(parent);
	errno = error;
	return fd;
}

int
mbox_place_state(const struct mbox_place *p, const char *home)
{
	struct stat st;
	int fd;
	/* in a directory that everybody writes to the first one would take the name for all */
	bool own = p->writable && fstatat(p->dir_fd, "", &st, AT_EMPTY_PATH) == 0 &&
		   (st.st_mode & S_IWOTH) == 0;

	fd = own_open(p->dir_fd, STATE_DIR, own);
	/* that there is no room must not change the place: a journal in it is to be found again */
	if (fd != -1 || store_is_full(errno) || home == NULL || home[0] != '/')
		return fd;
	return own_open_below(home, STATE_DIR);
}

int
mbox_place_spare(const char *dir)
{
	char name[UID_DIGITS];

	(void)snprintf(name, sizeof(name), "%u", geteuid());
	return own_open_below(dir, name);
}
