#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "worker/store/fresh.h"

int
fresh_make(int dir_fd, const char *name, int flags)
{
	if (unlinkat(dir_fd, name, 0) == -1 && errno != ENOENT)
		return -1;
	return openat(dir_fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}
