#include "config.h"

#include <arpa/inet.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/conns.h"
#include "daemon/limits.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/sessions.h"

enum {
	ACCEPT_TURN = 32, /* clients taken before other events of the loop get their turn */
	SPARE_FDS = 64,	  /* descriptors kept free */
	FDS_A_LOGIN = 3	  /* for one that is granted and waits: two ends of a pair, a page */
};

struct listener {
	TAILQ_ENTRY(listener) next;
	struct master *master;
	struct sockaddr_storage address;
	int fd;
	struct server *server; /* NULL: inherited, and of no server now */
	bool inherited;
	bool serving; /* committed */
	struct event *on_client;
};

TAILQ_HEAD(listener_list, listener);

struct listeners {
	struct listener_list list;
	struct limits *limits;
	uint64_t fd_limit;
	bool accepting;
};

static uint16_t
port_of(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)ss)->sin6_port
					       : ((const struct sockaddr_in *)ss)->sin_port);
}

/* IPv4 clients of an IPv6 socket become plain IPv4. */
static void
addr_from(struct msg_addr *a, const struct sockaddr_storage *ss)
{
	memset(a, 0, sizeof(*a));
	a->family = ss->ss_family;
	a->port = port_of(ss);
	if (ss->ss_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)ss)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			a->family = AF_INET;
			memcpy(a->octets, in6->s6_addr + 12, 4);
		} else
			memcpy(a->octets, in6->s6_addr, 16);
	} else
		memcpy(a->octets, &((const struct sockaddr_in *)ss)->sin_addr, 4);
}

static socklen_t
address_len(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct msg_addr x, y;

	if (a->ss_family != b->ss_family)
		return false;
	addr_from(&x, a);
	addr_from(&y, b);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* Descriptors are given out from the lowest: the one just had tells how many there are. */
static bool
fds_short(const struct master *m, int fd)
{
	uint64_t reserve = SPARE_FDS + FDS_A_LOGIN * conns_waiting_grants(m);

	return (uint64_t)fd + reserve > m->listeners->fd_limit;
}

static void
refuse(const struct listener *l, int fd, const struct msg_addr *peer, const char *why)
{
	static const char line[] = "-ERR [SYS/TEMP] too many connections, try again later\r\n";
	char text[LOG_ADDR_SIZE];

	if (l->server->active.socket != SOCKET_TLS)
		send(fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	log_info(0, "refused server=%s peer=%s reason=%s", l->server->set.name,
		 log_addr(text, peer), why);
}

static void
greet_client(struct master *m, const struct listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct msg_addr peer;

	addr_from(&peer, ss);
	if (conns_count(m) >= m->conf->max_connections)
		refuse(l, fd, &peer, "max_connections");
	else if (limits_enter(m->listeners->limits, &peer, m->conf->max_connections_per_address) ==
		 -1)
		refuse(l, fd, &peer, "max_connections_per_address");
	else
		conns_accepted(m, l->server, fd, &peer);
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct master *m = l->master;

	(void)what;
	for (int i = 0; i < ACCEPT_TURN && m->listeners->accepting; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int client;

		client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client != -1) {
			greet_client(m, l, client, &ss);
			if (fds_short(m, client))
				listeners_pause(m); /* the next tick tries again */
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			log_error(0, "accept: %s", strerror(errno));
			listeners_pause(m); /* until a connection ends, or the next tick */
		} else if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

struct listeners *
listeners_new(struct master *m)
{
	struct listeners *ls = calloc(1, sizeof(*ls));
	struct rlimit limit;

	(void)m;
	if (ls == NULL || (ls->limits = limits_new()) == NULL) {
		free(ls);
		return NULL;
	}
	TAILQ_INIT(&ls->list);
	ls->fd_limit = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
	return ls;
}

/* Accepted sockets inherit these: set once, not for each client (socket(7), tcp(7)). */
static void
socket_tune(int fd)
{
	/* A dead peer is noticed within two minutes. */
	static const int on = 1, idle = 60, interval = 15, probes = 4;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static struct listener *
listener_add(struct master *m, struct server *server, int fd, const struct sockaddr_storage *ss)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL ||
	    (l->on_client = event_new(m->base, fd, EV_READ | EV_PERSIST, on_client, l)) == NULL) {
		free(l);
		close(fd);
		return NULL;
	}
	socket_tune(fd);
	l->master = m;
	l->address = *ss;
	l->fd = fd;
	l->server = server;
	TAILQ_INSERT_TAIL(&m->listeners->list, l, next);
	return l;
}

static void
listener_free(struct master *m, struct listener *l)
{
	TAILQ_REMOVE(&m->listeners->list, l, next);
	event_free(l->on_client);
	close(l->fd);
	free(l);
}

/* An inherited socket cannot be had again: it is kept. */
static void
listener_close(struct master *m, struct listener *l)
{
	event_del(l->on_client);
	l->serving = false;
	l->server = NULL;
	if (!l->inherited)
		listener_free(m, l);
}

void
listeners_inherit(struct master *m)
{
	int end = NOTIFY_FDS_START + notify_listen_fds();
	struct listener *l;

	for (int fd = NOTIFY_FDS_START; fd < end; fd++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss), optlen = sizeof(int);
		int listening = 0;

		memset(&ss, 0, sizeof(ss));
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &optlen) == -1 ||
		    !listening || getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
		    (ss.ss_family != AF_INET && ss.ss_family != AF_INET6)) {
			log_warn(0,
				 "descriptor %d from the service manager is no listening TCP "
				 "socket",
				 fd);
			close(fd);
			continue;
		}
		evutil_make_socket_nonblocking(fd);
		evutil_make_socket_closeonexec(fd);
		if ((l = listener_add(m, NULL, fd, &ss)) != NULL)
			l->inherited = true;
	}
}

static int
listen_at(int fd, const struct sockaddr_storage *ss)
{
	return bind(fd, (const struct sockaddr *)ss, address_len(ss)) == -1 ? -1
									    : listen(fd, SOMAXCONN);
}

/*
 * From one address to all at the same port, or back: until it is committed the
 * server listens at both.  The option is taken back at once, so that a port of
 * somebody else stays busy (socket(7), SO_REUSEPORT).
 */
static int
listen_beside_own(struct master *m, const struct server *server, int fd,
		  const struct sockaddr_storage *ss)
{
	static const int on = 1, off = 0;
	const struct listener *l;
	int r, error;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->server == server)
			setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	r = listen_at(fd, ss);
	error = errno;
	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->server == server)
			setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off));
	errno = error;
	return r;
}

/* The socket's own port is filled in where the kernel chose it. */
static int
bind_address(struct master *m, struct server *server, const struct sockaddr_storage *wanted)
{
	struct sockaddr_storage ss = *wanted;
	socklen_t len = sizeof(ss);
	int on = 1, fd;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if ((listen_at(fd, &ss) == -1 &&
	     (errno != EADDRINUSE || listen_beside_own(m, server, fd, &ss) == -1)) ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) == -1) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return listener_add(m, server, fd, &ss) != NULL ? 0 : -1;
}

/* The sockets that one word of `addresses` stands for: one, or two for "*". */
static int
expand_address(const char *word, uint16_t port, struct sockaddr_storage out[2])
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out[0];
	struct sockaddr_in6 *in6;
	bool any = strcmp(word, "*") == 0;

	memset(out, 0, 2 * sizeof(out[0]));
	if (any || inet_pton(AF_INET, word, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		if (!any)
			return 1;
	}
	in6 = (struct sockaddr_in6 *)&out[any ? 1 : 0];
	if (!any && inet_pton(AF_INET6, word, &in6->sin6_addr) != 1)
		return 0;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return any ? 2 : 1;
}

static bool
listener_fits(const struct listener *l, const struct sockaddr_storage *ss)
{
	return same_address(&l->address, ss) ||
	       (l->inherited && port_of(&l->address) == port_of(ss));
}

/* Bound already?  An inherited socket serves for its port, whatever its address. */
static bool
has_listener(struct master *m, struct server *s, const struct sockaddr_storage *ss)
{
	struct listener *l;
	bool found = false;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if ((l->server == s || l->server == NULL) && listener_fits(l, ss)) {
			l->server = s;
			found = true;
		}
	return found;
}

static int
open_one(struct master *m, struct server *s, const struct sockaddr_storage *ss, bool wildcard,
	 char why[MSG_PATH_SIZE])
{
	struct msg_addr a;
	char text[LOG_ADDR_SIZE];

	if (has_listener(m, s, ss) || bind_address(m, s, ss) == 0)
		return 0;
	/* "*" means what this host has: it may be without IPv6 or without IPv4. */
	if (wildcard && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return 0;
	addr_from(&a, ss);
	snprintf(why, MSG_PATH_SIZE, "cannot listen on %s: %s", log_addr(text, &a),
		 strerror(errno));
	return -1;
}

/* The port that `set` means for this server now: one that the kernel chose is kept while it is up.
 */
static uint16_t
port_meant(const struct master *m, const struct server *s, const struct conf_server *set)
{
	return set->port != 0 ? (uint16_t)set->port : listeners_port(m, s);
}

int
listeners_open(struct master *m, struct server *s, const struct conf_server *set,
	       char why[MSG_PATH_SIZE])
{
	for (size_t i = 0; i < set->naddresses; i++) {
		struct sockaddr_storage ss[2];
		int n = expand_address(set->addresses[i], port_meant(m, s, set), ss);

		for (int k = 0; k < n; k++) {
			/* The first socket's port, if the kernel chose it, is everybody's. */
			if (k == 1 && set->port == 0)
				n = expand_address(set->addresses[i], port_meant(m, s, set), ss);
			if (open_one(m, s, &ss[k], n == 2, why) == -1) {
				listeners_abandon(m, s);
				return -1;
			}
		}
	}
	return 0;
}

static bool
is_asked_for(const struct master *m, const struct listener *l, const struct server *s)
{
	for (size_t i = 0; i < s->set.naddresses; i++) {
		struct sockaddr_storage ss[2];
		int n = expand_address(s->set.addresses[i], port_meant(m, s, &s->set), ss);

		for (int k = 0; k < n; k++)
			if (listener_fits(l, &ss[k]))
				return true;
	}
	return false;
}

void
listeners_commit(struct master *m, struct server *s)
{
	struct listener *l, *t;

	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t) {
		if (l->server != s)
			continue;
		if (!is_asked_for(m, l, s)) {
			listener_close(m, l);
			continue;
		}
		l->serving = true;
		if (m->listeners->accepting)
			event_add(l->on_client, NULL);
	}
	listeners_resume(m);
}

void
listeners_abandon(struct master *m, struct server *s)
{
	struct listener *l, *t;

	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t)
		if (l->server == s && !l->serving)
			listener_close(m, l);
}

void
listeners_close(struct master *m, struct server *s)
{
	struct listener *l, *t;

	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t)
		if (l->server == s)
			listener_close(m, l);
}

uint16_t
listeners_port(const struct master *m, const struct server *s)
{
	const struct listener *l;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->server == s)
			return port_of(&l->address);
	return 0;
}

bool
listeners_inherited(const struct master *m, const struct server *s)
{
	const struct listener *l;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->server == s && l->inherited)
			return true;
	return false;
}

void
listeners_resume(struct master *m)
{
	struct listener *l;

	if (m->listeners->accepting || m->state != MASTER_SERVING)
		return;
	m->listeners->accepting = true;
	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->serving)
			event_add(l->on_client, NULL);
}

void
listeners_pause(struct master *m)
{
	struct listener *l;

	if (!m->listeners->accepting)
		return;
	m->listeners->accepting = false;
	TAILQ_FOREACH (l, &m->listeners->list, next)
		event_del(l->on_client);
}

void
listeners_close_all(struct master *m)
{
	struct listener *l;

	listeners_pause(m);
	while ((l = TAILQ_FIRST(&m->listeners->list)) != NULL)
		listener_free(m, l);
}

void
listeners_release(struct master *m, const struct msg_addr *peer)
{
	limits_leave(m->listeners->limits, peer);
	if (!m->listeners->accepting)
		conns_route(m); /* resumes when nothing waits */
}
