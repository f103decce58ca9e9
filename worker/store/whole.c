#include "config.h"

#include "worker/store/whole.h"

#include <errno.h>
#include <unistd.h>

int
read_whole(int fd, void *buf, size_t len, uint64_t at)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(at + got));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		got += (size_t)n;
	}
	return 0;
}

int
write_whole(int fd, const void *buf, size_t len, uint64_t at)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = pwrite(fd, (const char *)buf + put, len - put, (off_t)(at + put));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		put += (size_t)n;
	}
	return 0;
}
