#include "config.h"

#include "worker/store/maildir_quota.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUOTA_FILE_MAX = 5120 /* octets; a longer file is counted afresh by who delivers */ };

static int
quota_open(int dir_fd, int flags)
{
	int fd = openat(dir_fd, "maildirsize", flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < QUOTA_FILE_MAX)
		return fd;
	close(fd);
	return -1;
}

int
maildir_quota_open(int dir_fd)
{
	return quota_open(dir_fd, O_WRONLY | O_APPEND);
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

/* "1000000S,200C": S octets, C messages. */
static void
limits_take(const char *p, struct maildir_quota *q)
{
	while (*p >= '0' && *p <= '9') {
		char *end;
		int64_t value = strtoll(p, &end, 10);

		if (*end == 'S')
			q->octets_max = value;
		else if (*end == 'C')
			q->count_max = value;
		p = end + (*end != '\0');
		p += *p == ',';
	}
}

/* "OCTETS COUNT".  0 or -1. */
static int
sum_take(const char *p, struct maildir_quota *q)
{
	char *end;
	int64_t octets = strtoll(p, &end, 10), count = strtoll(end, &end, 10);

	return __builtin_add_overflow(q->octets, octets, &q->octets) ||
		       __builtin_add_overflow(q->count, count, &q->count)
		   ? -1
		   : 0;
}

int
maildir_quota_read(int dir_fd, struct maildir_quota *q)
{
	char text[QUOTA_FILE_MAX], *rest = text, *line;
	int fd = quota_open(dir_fd, O_RDONLY);
	ssize_t n;

	*q = (struct maildir_quota){0};
	if (fd == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	limits_take(strsep(&rest, "\n"), q);
	while ((line = strsep(&rest, "\n")) != NULL)
		if (sum_take(line, q) == -1)
			return -1;
	return 0;
}
