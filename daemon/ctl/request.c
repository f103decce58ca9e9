#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ctl_connect.h"
#include "daemon/ctl/request.h"

static int
unreachable(struct answer *a, const char *path, const char *why)
{
	free(a->text);
	if (asprintf(&a->text, "%s: %s", path, why) == -1)
		a->text = NULL;
	return CTL_UNREACHABLE;
}

/* What errno of connect(2) means here, and what can be done. */
static const char *
why_no_connection(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "no pop3d runs with this control socket (-s names that of another)";
	case EACCES:
	case EPERM:
		return "only root and the members of control_group may ask this daemon";
	default:
		return strerror(error);
	}
}

static int
send_all(int fd, const char *octets, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, octets, len, MSG_NOSIGNAL);

		if (sent == -1)
			return -1;
		octets += sent;
		len -= (size_t)sent;
	}
	return 0;
}

/* Their number, then each with its NUL. */
static int
send_words(int fd, size_t n, char *const words[])
{
	char count[24];

	snprintf(count, sizeof(count), "%zu", n);
	if (send_all(fd, count, strlen(count) + 1) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (send_all(fd, words[i], strlen(words[i]) + 1) == -1)
			return -1;
	return 0;
}

/* As read(2); a descriptor that comes with it goes into *passed, if there is none yet. */
static ssize_t
read_some(int fd, char *block, size_t cap, int *passed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {block, cap};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (*passed == -1 && c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(passed, CMSG_DATA(c), sizeof(*passed));
	return n;
}

/* All that comes, in memory; 0 or -1 with errno, EMSGSIZE for more than a daemon of this host says.
 */
static int
read_all(int fd, struct answer *a)
{
	enum { ANSWER_MAX = 64 * 1024 * 1024 };
	FILE *out = open_memstream(&a->text, &a->len);
	size_t len = 0;
	char block[16384];
	ssize_t n = -1;

	if (out == NULL)
		return -1;
	while ((n = read_some(fd, block, sizeof(block), &a->fd)) > 0 && len <= ANSWER_MAX)
		len += fwrite(block, 1, (size_t)n, out);
	if (fclose(out) == 0 && n == 0)
		return 0;
	if (n > 0)
		errno = EMSGSIZE;
	return -1;
}

/* What errno of a request that was under way means. */
static const char *
why_no_answer(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK ? "the daemon does not answer in time"
						       : strerror(error);
}

int
request_within(const char *socket_path, unsigned seconds, size_t n, char *const words[],
	       struct answer *a)
{
	int fd = ctl_connect(socket_path, seconds), r = 0;

	memset(a, 0, sizeof(*a));
	a->fd = -1;
	if (fd == -1)
		return unreachable(a, socket_path, why_no_connection(errno));
	if (send_words(fd, n, words) == -1 || read_all(fd, a) == -1)
		r = unreachable(a, socket_path, why_no_answer(errno));
	else if (a->len < 2 || a->text[0] < '0' || a->text[0] > '9')
		r = unreachable(a, socket_path, "the daemon closed the connection");
	close(fd);
	if (r != 0)
		return r;
	a->status = a->text[0] - '0';
	a->kind = (enum answer_kind)a->text[1];
	a->len -= 2;
	memmove(a->text, a->text + 2, a->len + 1);
	return a->status;
}

int
request_quietly(const char *socket_path, size_t n, char *const words[], struct answer *a)
{
	return request_within(socket_path, 0, n, words, a);
}

int
request(const char *socket_path, size_t n, char *const words[], struct answer *a)
{
	int status = request_quietly(socket_path, n, words, a);

	if (status == CTL_UNREACHABLE)
		fprintf(stderr, "pop3ctl: %s\n", a->text != NULL ? a->text : strerror(ENOMEM));
	return status;
}
