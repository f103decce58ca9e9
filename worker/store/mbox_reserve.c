#include "config.h"

#include "worker/store/fresh.h"
#include "worker/store/mbox_reserve.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE "mbox.reserve"

/* Written, since a file may be longer than what it has got of the disk. */
static bool
reserve_fill(int fd)
{
	static char octets[MBOX_RESERVE];

	memset(octets, 'r', sizeof(octets));
	return pwrite(fd, octets, sizeof(octets), 0) == sizeof(octets);
}

void
mbox_reserve_make(int dir_fd)
{
	struct stat st;
	bool whole;
	int fd;

	if (dir_fd == -1 ||
	    (fstatat(dir_fd, RESERVE, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == MBOX_RESERVE))
		return;
	fd = fresh_make(dir_fd, RESERVE, O_WRONLY);
	if (fd == -1)
		return;
	whole = reserve_fill(fd);
	if (close(fd) == -1 || !whole)
		(void)unlinkat(dir_fd, RESERVE, 0);
}

int
mbox_reserve_take(int dir_fd, const char *name)
{
	if (renameat(dir_fd, RESERVE, dir_fd, name) == -1)
		return -1;
	return openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}
