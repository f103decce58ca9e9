#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/log/syslog.h"
#include "daemon/totals.h"

enum {
	WAITING_MAX = 256,  /* lines */
	PACKET_SIZE = 16384 /* of a line with its head */
};

enum sent { SENT, BEHIND, NOBODY /* listens */ };

struct packet {
	STAILQ_ENTRY(packet) next;
	size_t len;
	char octets[];
};

static struct {
	const char *ident;
	int fd;
	size_t waiting;
	unsigned long lost; /* lines */
	STAILQ_HEAD(, packet) queue;
} out = {.fd = -1, .queue = STAILQ_HEAD_INITIALIZER(out.queue)};

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

static enum sent
packet_send(const char *octets, size_t len)
{
	for (int try = 0; try < 2; try++) {
		if (out.fd == -1 && socket_connect() == -1)
			return NOBODY;
		if (send(out.fd, octets, len, MSG_NOSIGNAL | MSG_DONTWAIT) != -1)
			return SENT;
		if (errno == EAGAIN || errno == ENOBUFS)
			return BEHIND;
		close(out.fd);
		out.fd = -1;
	}
	return NOBODY;
}

/* "<22>Jan 31 23:59:59 pop3d[PID]: TEXT".  Its length. */
static size_t
packet_write(char dst[PACKET_SIZE], int prio, const char *text)
{
	time_t now = time(NULL);
	char when[32] = "";
	struct tm tm;
	int n;

	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	n = snprintf(dst, PACKET_SIZE, "<%d>%s %s[%ld]: %s", LOG_MAIL | LOG_PRI(prio), when,
		     out.ident, (long)getpid(), text);
	return n < PACKET_SIZE ? (size_t)n : PACKET_SIZE - 1;
}

static void
line_lost(void)
{
	out.lost++;
	totals_add(TOTAL_LOG_LOST, TOTALS_LOG_SYSLOG, 0, 1);
}

static void
packet_keep(const char *octets, size_t len)
{
	struct packet *p = NULL;

	if (out.waiting < WAITING_MAX)
		p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		line_lost();
		return;
	}
	p->len = len;
	memcpy(p->octets, octets, len);
	STAILQ_INSERT_TAIL(&out.queue, p, next);
	out.waiting++;
}

static void
packet_drop(struct packet *p)
{
	STAILQ_REMOVE_HEAD(&out.queue, next);
	out.waiting--;
	free(p);
}

/* What was not taken is counted, and told when lines are taken again. */
static void
lost_tell(void)
{
	char text[64], packet[PACKET_SIZE];

	if (out.lost == 0)
		return;
	(void)snprintf(text, sizeof(text), "lost %lu log lines: syslog did not take them",
		       out.lost);
	if (packet_send(packet, packet_write(packet, LOG_WARNING, text)) == SENT)
		out.lost = 0;
}

static bool
syslog_flush(void)
{
	struct packet *p;

	while ((p = STAILQ_FIRST(&out.queue)) != NULL) {
		switch (packet_send(p->octets, p->len)) {
		case BEHIND:
			return false;
		case NOBODY:
			line_lost();
			break;
		case SENT:
			break;
		}
		packet_drop(p);
	}
	lost_tell();
	return true;
}

static void
syslog_put(int prio, conn_id id, const char *text)
{
	static char packet[PACKET_SIZE];
	char line[LOG_OUT_MAX];
	size_t len = packet_write(packet, prio, log_compose(line, id, text));
	enum sent sent = BEHIND;

	if (syslog_flush())
		sent = packet_send(packet, len);
	if (sent == BEHIND)
		packet_keep(packet, len);
	else if (sent == NOBODY)
		line_lost();
}

static int
syslog_wait_fd(void)
{
	return fcntl(out.fd, F_DUPFD_CLOEXEC, 0);
}

void
log_to_syslog(const char *ident)
{
	static const struct log_sink sink = {syslog_put, syslog_flush, syslog_wait_fd,
					     syslog_flush};

	out.ident = ident;
	log_to(&sink);
}

int
syslog_try(void)
{
	return socket_connect();
}
