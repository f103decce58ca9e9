#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/build.h"
#include "common/channel.h"
#include "common/count.h"

struct channel_item {
	struct channel_item *next;
	struct msg_head head;
	size_t nfds;
	int fds[MSG_FDS_MAX];
	uint8_t body[]; /* head.len octets */
};

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
};

int
channel_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd);
}

void
channel_init(struct channel *c, int fd, enum role self, enum role peer, size_t queue_max)
{
	*c = (struct channel){.fd = fd, .self = self, .peer = peer, .queue_max = queue_max};
	c->last = &c->first;
}

static void
item_free(struct channel_item *item)
{
	for (size_t i = 0; i < item->nfds; i++)
		close(item->fds[i]);
	explicit_bzero(item->body, item->head.len);
	free(item);
}

void
channel_close(struct channel *c)
{
	struct channel_item *item;

	while ((item = c->first) != NULL) {
		c->first = item->next;
		item_free(item);
	}
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->queued = 0;
	c->last = &c->first;
}

/* One packet.  0; -1 with errno EAGAIN (no room), EPIPE, others. */
static int
packet_send(int fd, const struct msg_head *head, const void *body, const int *fds, size_t nfds)
{
	struct iovec iov[2] = {{(void *)head, sizeof(*head)}, {(void *)body, head->len}};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = head->len > 0 ? 2 : 1};
	union control control;
	ssize_t n;

	if (nfds > 0) {
		struct cmsghdr *cm = &control.align;

		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n != -1)
		return 0;
	/* Too many descriptors on their way (ETOOMANYREFS) and no memory pass, too. */
	if (errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
		errno = EAGAIN;
	else if (errno == ECONNRESET || errno == ENOTCONN)
		errno = EPIPE;
	return -1;
}

static int
queue_put(struct channel *c, const struct msg_head *head, const void *body, const int *fds,
	  size_t nfds)
{
	struct channel_item *item;

	if (c->queued >= c->queue_max) {
		errno = ENOBUFS;
		return -1;
	}
	if ((item = malloc(sizeof(*item) + head->len)) == NULL)
		return -1;
	*item = (struct channel_item){.head = *head};
	if (head->len > 0)
		memcpy(item->body, body, head->len);
	for (; item->nfds < nfds; item->nfds++) {
		int fd = fcntl(fds[item->nfds], F_DUPFD_CLOEXEC, 0);

		if (fd == -1) {
			item_free(item);
			errno = EMFILE;
			return -1;
		}
		item->fds[item->nfds] = fd;
	}
	*c->last = item;
	c->last = &item->next;
	c->queued++;
	if (c->waits != NULL)
		c->waits(c);
	return 0;
}

int
channel_send(struct channel *c, enum msg_type type, const void *body, size_t len, const int *fds,
	     size_t nfds)
{
	struct msg_head head = {(uint32_t)type, (uint32_t)len, build_id};

	if (c->fd == -1) {
		errno = EPIPE;
		return -1;
	}
	if (c->first == NULL) {
		if (packet_send(c->fd, &head, body, fds, nfds) == 0)
			return 0;
		if (errno != EAGAIN)
			return -1;
	}
	return queue_put(c, &head, body, fds, nfds);
}

int
channel_put(struct channel *c, enum msg_type type, const void *body, size_t len)
{
	return channel_send(c, type, body, len, NULL, 0);
}

int
channel_flush(struct channel *c)
{
	struct channel_item *item;

	while ((item = c->first) != NULL) {
		if (packet_send(c->fd, &item->head, item->body, item->fds, item->nfds) == -1)
			return errno == EAGAIN ? 1 : -1;
		if ((c->first = item->next) == NULL)
			c->last = &c->first;
		c->queued--;
		item_free(item);
	}
	return 0;
}

/* Sort what came beside the octets; unexpected descriptors are msg_check's affair. */
static void
control_read(struct msghdr *mh, struct msg *m)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET)
			continue;
		if (cm->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(cm), sizeof(cred));
			m->pid = cred.pid;
		} else if (cm->cmsg_type == SCM_RIGHTS) {
			size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			for (size_t i = 0; i < n; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
				if (m->nfds < MSG_FDS_MAX)
					m->fds[m->nfds++] = fd;
				else
					close(fd);
			}
		}
	}
	m->fd_lost = (mh->msg_flags & MSG_CTRUNC) != 0;
}

/* The sender is of another build: what it sent has no meaning here.  It is told our build, so that
 * it learns why its channel ends. */
static void
give_up_foreign(struct channel *c, struct msg *m)
{
	struct msg_head own = {MSG_NONE, 0, build_id};

	(void)packet_send(c->fd, &own, NULL, NULL, 0);
	msg_discard(m);
	errno = EPROTO;
}

int
channel_recv(struct channel *c, struct msg *m)
{
	struct msg_head head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {m->u.octets, sizeof(m->u.octets)}};
	union control control;
	struct msghdr mh = {.msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	ssize_t n;

	if (c->fd == -1) {
		errno = EPIPE;
		return -1;
	}
	/* ECONNRESET (closed with something of ours unread) is told once, ahead of what waits. */
	do
		n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -1 && (errno == EINTR || errno == ECONNRESET));
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOMEM))
		return 0;
	if (n == -1) {
		errno = EPIPE;
		return -1;
	}
	m->nfds = 0;
	m->pid = 0;
	m->len = 0;
	control_read(&mh, m);
	/* An empty packet may carry descriptors all the same; only the end carries nothing. */
	if (n == 0 && m->nfds == 0 && mh.msg_controllen == 0) {
		errno = EPIPE;
		return -1;
	}
	if ((size_t)n >= sizeof(head)) {
		m->type = (enum msg_type)head.type;
		m->len = (size_t)n - sizeof(head);
		if (head.build != build_id) {
			give_up_foreign(c, m);
			return -1;
		}
		if ((mh.msg_flags & MSG_TRUNC) == 0 && head.len == m->len &&
		    msg_check(c->peer, c->self, m) == 0)
			return 1;
	}
	msg_discard(m);
	errno = EBADMSG;
	return -1;
}

const char *
channel_end_text(int error)
{
	static const struct {
		int error;
		const char *text;
	} texts[] = {{EPIPE, "gone"},
		     {EBADMSG, "broke a rule"},
		     {EPROTO, build_differs},
		     {ENOBUFS, "does not read"},
		     {ETIMEDOUT, "does not answer"}};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i].error == error)
			return texts[i].text;
	return strerror(error);
}

int
channel_wait(struct channel *c, struct msg *m, int ms)
{
	struct pollfd pfd = {c->fd, POLLIN, 0};
	int r = channel_recv(c, m);

	if (r != 0)
		return r;
	if (poll(&pfd, 1, ms) <= 0)
		return 0;
	return channel_recv(c, m);
}

void
msg_discard(struct msg *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		if (m->fds[i] != -1)
			close(m->fds[i]);
	m->nfds = 0;
	explicit_bzero(m->u.octets, m->len);
}

int
msg_take_fd(struct msg *m, size_t i)
{
	int fd = i < m->nfds ? m->fds[i] : -1;

	if (fd != -1)
		m->fds[i] = -1;
	return fd;
}
