#include "config.h"

#include "worker/store/maildir_quota.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUOTA_FILE_MAX = 5120 /* octets; a longer file is counted afresh by who delivers */ };

int
maildir_quota_open(int dir_fd)
{
	int fd = openat(dir_fd, "maildirsize",
			O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < QUOTA_FILE_MAX)
		return fd;
	close(fd);
	return -1;
}

void
maildir_quota_close(int fd, uint64_t octets, size_t count)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "-%" PRIu64 " -%zu\n", octets, count);

	if (fd == -1)
		return;
	/* A count that stays wrong is mended when somebody counts afresh. */
	if (count > 0)
		(void)!write(fd, line, (size_t)len);
	close(fd);
}
