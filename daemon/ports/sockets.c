#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "common/source.h"
#include "daemon/ports/sockets.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44 /* Linux 6.15; older ones do without */
#endif

uint16_t
socket_port(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)ss)->sin6_port
					       : ((const struct sockaddr_in *)ss)->sin_port);
}

void
socket_addr(struct msg_addr *a, const struct sockaddr_storage *ss)
{
	memset(a, 0, sizeof(*a));
	a->family = ss->ss_family;
	a->port = socket_port(ss);
	if (ss->ss_family == AF_INET6) {
		memcpy(a->octets, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
		source_unmap(a);
	} else
		memcpy(a->octets, &((const struct sockaddr_in *)ss)->sin_addr, 4);
}

bool
socket_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct msg_addr x, y;

	if (a->ss_family != b->ss_family)
		return false;
	socket_addr(&x, a);
	socket_addr(&y, b);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* ---- what settings stand for ---- */

/* The socket of that kind that a word of `addresses` stands for.  False: none. */
static bool
address_fill(struct sockaddr_storage *ss, sa_family_t family, const char *word, uint16_t port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *in = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss)); /* all zeros: every address of the host */
	ss->ss_family = family;
	if (family == AF_INET6)
		in6->sin6_port = htons(port);
	else
		in->sin_port = htons(port);
	return strcmp(word, "*") == 0 ||
	       inet_pton(family, word,
			 family == AF_INET6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) == 1;
}

bool
sockets_next(struct sockets *w, struct sockaddr_storage *ss, bool *optional)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};
	enum { FAMILIES = sizeof(families) / sizeof(families[0]) };
	const struct conf_server *set = w->set;

	while (w->port < set->port.n) {
		const char *word = set->addresses.address[w->address];
		uint32_t port = set->port.number[w->port];
		sa_family_t family = families[w->family];

		if (++w->family == FAMILIES) {
			w->family = 0;
			w->address++;
		}
		if (w->address == set->addresses.n) {
			w->address = 0;
			w->port++;
		}
		*optional = strcmp(word, "*") == 0;
		if (address_fill(ss, family, word, port != 0 ? (uint16_t)port : w->chosen))
			return true;
	}
	return false;
}

/* ---- getting one ---- */

void
socket_tune(int fd)
{
	/* A dead peer is noticed within two minutes: by probes while nothing is under way, and by
	 * who looks at unanswered ones of a closed window (common/peer.h), so that these come
	 * often enough. */
	static const int on = 1, idle = 60, interval = 15, probes = 4, apart = 30000;
	/* Octets taken and not sent yet: so far at most is what is told of a download's progress
	 * ahead.  With half of it 10 MB over TLS cost a tenth more of CPU
	 * (tests/bench/sessions.py).
	 */
	static const int unsent = 256 << 10;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &apart, sizeof(apart));
}

void
socket_share(int fd, bool on)
{
	int value = on;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value));
}

/* Bind a new socket.  -1 with errno. */
static int
socket_bind(const struct sockaddr_storage *ss, bool beside)
{
	static const int on = 1;
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
	socklen_t len =
	    ss->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (beside)
		socket_share(fd, true);
	if (bind(fd, (const struct sockaddr *)ss, len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
socket_listen(struct sockaddr_storage *ss, bool beside)
{
	socklen_t len = sizeof(*ss);
	int fd = socket_bind(ss, beside), error;

	if (fd == -1)
		return -1;
	socket_tune(fd);
	if (listen(fd, SOMAXCONN) == -1 || getsockname(fd, (struct sockaddr *)ss, &len) == -1) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (beside)
		socket_share(fd, false);
	return fd;
}

int
socket_try(const struct sockaddr_storage *ss)
{
	int fd = socket_bind(ss, false);

	if (fd != -1)
		close(fd);
	return fd != -1 ? 0 : -1;
}
