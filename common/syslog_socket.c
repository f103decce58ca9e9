#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/syslog_socket.h"

static struct {
	const char *ident;
	int fd;
} out = {NULL, -1};

void
syslog_socket_open(const char *ident)
{
	out.ident = ident;
}

/* The log daemon may have been started, or started again, since the last line. */
static int
socket_connect(void)
{
	const struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

	if (out.fd != -1)
		close(out.fd);
	out.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (out.fd == -1)
		return -1;
	if (connect(out.fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return 0;
	close(out.fd);
	out.fd = -1;
	return -1;
}

/* "<22>Jan 31 23:59:59 pop3d[PID]: " */
static int
head_write(char *dst, size_t cap, int prio)
{
	time_t now = time(NULL);
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	return snprintf(dst, cap, "<%d>%s %s[%ld]: ", LOG_MAIL | LOG_PRI(prio), when, out.ident,
			(long)getpid());
}

int
syslog_socket_send(int prio, const char *text)
{
	char head[128];
	struct iovec iov[2] = {{head, 0}, {(void *)(size_t)text, strlen(text)}};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
	int len = head_write(head, sizeof(head), prio);

	iov[0].iov_len = len > 0 && (size_t)len < sizeof(head) ? (size_t)len : sizeof(head) - 1;
	for (int try = 0; try < 2; try++) {
		if (out.fd == -1 && socket_connect() == -1)
			return -1;
		if (sendmsg(out.fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) != -1)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS)
			return -1;
		close(out.fd);
		out.fd = -1;
	}
	return -1;
}
