#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/outlet.h"

enum { WAIT_STEP_MS = 100 };

/* A description of our own of what is open as `fd`; -1 with errno. */
static int
open_anew(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void
outlet_open(struct outlet *o, int fd)
{
	struct stat st;
	int anew;

	outlet_close(o);
	(void)signal(SIGPIPE, SIG_IGN);
	o->open = true;
	o->fd = fd;
	o->way = OUTLET_WRITE;
	if (fstat(fd, &st) == -1 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		o->way = OUTLET_SEND;
		return;
	}
	o->way = OUTLET_POLL;
	if ((anew = open_anew(fd)) == -1)
		return;
	o->way = OUTLET_WRITE;
	o->fd = anew;
	o->own = true;
}

void
outlet_close(struct outlet *o)
{
	if (o->own)
		close(o->fd);
	o->open = o->own = o->cut = o->failing = false;
	o->len = 0;
	o->lost = 0;
}

static size_t
count_lines(const char *octets, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += octets[i] == '\n';
	return n;
}

/* One write that does not wait; -1 with EAGAIN: the reader is behind. */
static ssize_t
write_once(const struct outlet *o, const char *octets, size_t len)
{
	struct pollfd pfd = {o->fd, POLLOUT, 0};
	ssize_t n;

	if (o->way == OUTLET_POLL && poll(&pfd, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	do
		n = o->way == OUTLET_SEND ? send(o->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL)
					  : write(o->fd, octets, len);
	while (n == -1 && errno == EINTR);
	return n;
}

/* Octets of the next write: whole lines in at most PIPE_BUF octets, which a pipe takes in one
 * piece. */
static size_t
next_portion(const struct outlet *o)
{
	size_t most = o->len < PIPE_BUF ? o->len : PIPE_BUF;
	const char *end = memrchr(o->octets, '\n', most);

	return end != NULL ? (size_t)(end - o->octets) + 1 : most;
}

/* Nothing can be written: the lines are lost, but for the rest of one that was begun. */
static void
drop_lines(struct outlet *o)
{
	const char *end = o->cut ? memchr(o->octets, '\n', o->len) : NULL;
	size_t kept = end != NULL ? (size_t)(end - o->octets) + 1 : 0;

	o->lost += count_lines(o->octets + kept, o->len - kept);
	o->len = kept;
}

int
outlet_flush(struct outlet *o)
{
	while (o->len > 0) {
		ssize_t n = write_once(o, o->octets, next_portion(o));

		if (n == 0 || (n == -1 && (errno == EAGAIN || errno == ENOBUFS)))
			return 1;
		o->failing = n == -1;
		if (n == -1) {
			drop_lines(o);
			return 0;
		}
		o->cut = o->octets[n - 1] != '\n';
		o->len -= (size_t)n;
		memmove(o->octets, o->octets + n, o->len);
	}
	return 0;
}

void
outlet_put(struct outlet *o, const char *octets, size_t len)
{
	if (len > sizeof(o->octets) - o->len)
		(void)outlet_flush(o);
	/* behind a gap nothing is written before the reader is told of it */
	if (len > sizeof(o->octets) - o->len || (o->lost > 0 && !o->failing)) {
		o->lost += count_lines(octets, len);
		return;
	}
	memcpy(o->octets + o->len, octets, len);
	o->len += len;
	(void)outlet_flush(o);
}

void
outlet_finish(struct outlet *o, uint64_t deadline)
{
	struct pollfd pfd = {o->fd, POLLOUT, 0};

	while (outlet_flush(o) == 1 && clock_ms() < deadline)
		(void)poll(&pfd, 1, WAIT_STEP_MS);
}

bool
outlet_is_ready(struct outlet *o)
{
	struct pollfd pfd = {o->fd, POLLOUT, 0};

	return outlet_flush(o) == 0 && poll(&pfd, 1, 0) != 0;
}

unsigned long
outlet_lost(struct outlet *o)
{
	unsigned long lost = o->lost;

	if (lost == 0 || outlet_flush(o) == 1 || o->failing)
		return 0;
	o->lost = 0;
	return lost;
}
