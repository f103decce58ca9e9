/*
 * A network file system serves octets and sizes from the memory of this host for
 * a second or longer after another host has changed the file, and taking the
 * fcntl lock does not end that.  Digests made from what was remembered agree with
 * a listing made from the same, so that neither of them shows it.
 *
 * Measured on GlusterFS 10.3 with default options, two mounts, the file rewritten,
 * appended to, or changed at equal size under the lock on one of them, and
 * read under the lock on the other at once, six rounds each.  Stale with an mbox of
 * 42 kB: the same descriptor; posix_fadvise(POSIX_FADV_DONTNEED); opening again;
 * O_DIRECT; the size from statx(2) with AT_STATX_FORCE_SYNC; setting the atime or
 * fsync(2), then POSIX_FADV_DONTNEED.  Fresh: a call that counts as a change of the
 * file's octets, then POSIX_FADV_DONTNEED; or 1.1 seconds, then the same.
 * fallocate(2) of the first octet, with the size kept, is a call that changes none.
 */
#include "config.h"

#include "worker/store/mbox_anew.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "worker/store/store.h"

/* File systems whose files are on this host alone. */
static const unsigned long local_types[] = {
    EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,	    BTRFS_SUPER_MAGIC,	   TMPFS_MAGIC,
    F2FS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */, OVERLAYFS_SUPER_MAGIC,
};

bool
mbox_is_shared(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == -1)
		return true;
	for (size_t i = 0; i < sizeof(local_types) / sizeof(local_types[0]); i++)
		if ((unsigned long)fs.f_type == local_types[i])
			return false;
	return true;
}

/* What a file system that does not have the call, or is full, says. */
static bool
is_refused(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || store_is_full(error);
}

int
mbox_read_anew(int fd)
{
	static const struct timespec grow_old = {1, 100000000};
	int error;

	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1) == -1) {
		/* from one that is open for reading only nothing is deleted */
		if (!is_refused(errno) && errno != EBADF)
			return -1;
		if (errno != EBADF)
			(void)nanosleep(&grow_old, NULL);
	}
	error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}
