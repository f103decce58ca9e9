/*
 * A network file system serves octets and sizes from the memory of this host for
 * a second or longer after another host has changed the file, and taking the
 * fcntl lock does not end that.  Digests made from what was remembered agree with
 * a listing made from the same, so that neither of them shows it.
 *
 * Measured on GlusterFS 10.3 with default options, two mounts, the file rewritten,
 * appended to, or changed at equal size under the lock on one of them, and
 * read under the lock on the other at once; mboxes of 42 and 168 kB.  Stale within the
 * first second in every case: the same descriptor; posix_fadvise(POSIX_FADV_DONTNEED);
 * opening again; statx(2) with AT_STATX_FORCE_SYNC; O_DIRECT.  So a generation
 * number in the lock file would be read stale, too, and so would a ctime.  Stale for
 * the small mbox, which the client keeps whole: setting the atime, fsync(2).
 * Fresh in every case: a call that counts as a change of the file's octets, and
 * then POSIX_FADV_DONTNEED.  fallocate(2) of the first octet, with the size kept, is
 * one that changes none.
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

/* File systems whose files are on this host alone. */
static const unsigned long local_types[] = {
    EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
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

/* What a file system that does not have the call, or a file that is read-only, says: then asking for
 * attributes anew is all that can be done. */
static bool
is_refused(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == EBADF || error == ENOSPC ||
	       error == EDQUOT;
}

int
mbox_read_anew(int fd)
{
	static const struct timespec read_now[2] = {{.tv_nsec = UTIME_NOW},
						    {.tv_nsec = UTIME_OMIT}};
	int error;

	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1) == -1) {
		if (!is_refused(errno))
			return -1;
		(void)futimens(fd, read_now);
	}
	error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}
