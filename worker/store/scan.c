#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "worker/store/scan.h"

enum { DIRENT_BLOCK = 65536 };

/* Some file systems do not say in the directory what a file is. */
static bool
entry_is_regular(int dir_fd, const struct dirent64 *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_REG;
	return fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int
scan_files(int fd, int (*each)(void *arg, const char *name), void *arg)
{
	static _Alignas(struct dirent64) char block[DIRENT_BLOCK];
	ssize_t len;

	while ((len = getdents64(fd, block, sizeof(block))) > 0) {
		const struct dirent64 *d;

		for (ssize_t at = 0; at < len; at += d->d_reclen) {
			d = (const struct dirent64 *)(const void *)(block + at);
			if (entry_is_regular(fd, d) && each(arg, d->d_name) == -1)
				return -1;
		}
	}
	return len == 0 ? 0 : -1;
}
