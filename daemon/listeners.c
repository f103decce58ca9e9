#include "config.h"

#include <arpa/inet.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <netinet/in.h>
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
	ACCEPT_TURN = 32,   /* clients taken before other events of the loop get their turn */
	SPARE_FDS = 64,	    /* descriptors kept free */
	FDS_A_LOGIN = 3,    /* socket, and the two ends of a pair */
	FDS_A_SESSION = 2,  /* channel, pidfd */
	FDS_OF_OURS = 96    /* listeners, channels to roles, log */
};

struct listener {
	TAILQ_ENTRY(listener) next;
	struct master *master;
	struct sockaddr_storage address;
	int fd;
	uint32_t server; /* index in the settings in force */
	bool inherited;
	bool in_use; /* belongs to a server of the settings in force */
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

static bool
fds_short(const struct master *m)
{
	uint64_t used = FDS_OF_OURS + FDS_A_LOGIN * conns_undecided(m) +
	    FDS_A_SESSION * sessions_count(m);

	return used + SPARE_FDS > m->listeners->fd_limit;
}

static void
refuse(const struct master *m, const struct listener *l, int fd, const struct msg_addr *peer,
    const char *why)
{
	static const char line[] = "-ERR [SYS/TEMP] too many connections, try again later\r\n";
	char text[LOG_ADDR_SIZE];

	if (m->conf->servers[l->server].socket != SOCKET_TLS)
		send(fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	log_info(0, "refused server=%s peer=%s reason=%s", m->conf->servers[l->server].name,
	    log_addr(text, peer), why);
}

static void
greet_client(struct master *m, const struct listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct msg_addr peer;

	addr_from(&peer, ss);
	if (conns_count(m) >= m->conf->max_connections)
		refuse(m, l, fd, &peer, "max_connections");
	else if (limits_enter(m->listeners->limits, &peer,
		     m->conf->max_connections_per_address) == -1)
		refuse(m, l, fd, &peer, "max_connections_per_address");
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

		if (fds_short(m)) {
			listeners_pause(m);
			return;
		}
		client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client != -1)
			greet_client(m, l, client, &ss);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
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

static struct listener *
listener_add(struct master *m, int fd, const struct sockaddr_storage *ss, bool inherited)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL ||
	    (l->on_client = event_new(m->base, fd, EV_READ | EV_PERSIST, on_client, l)) == NULL) {
		free(l);
		close(fd);
		return NULL;
	}
	l->master = m;
	l->address = *ss;
	l->fd = fd;
	l->inherited = inherited;
	TAILQ_INSERT_TAIL(&m->listeners->list, l, next);
	return l;
}

static void
listener_close(struct master *m, struct listener *l)
{
	TAILQ_REMOVE(&m->listeners->list, l, next);
	event_free(l->on_client);
	close(l->fd);
	free(l);
}

void
listeners_inherit(struct master *m)
{
	int end = NOTIFY_FDS_START + notify_listen_fds();

	for (int fd = NOTIFY_FDS_START; fd < end; fd++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss), optlen = sizeof(int);
		int listening = 0;

		memset(&ss, 0, sizeof(ss));
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &optlen) == -1 ||
		    !listening || getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
		    (ss.ss_family != AF_INET && ss.ss_family != AF_INET6)) {
			log_warn(0, "descriptor %d from the service manager is no listening TCP "
				    "socket",
			    fd);
			close(fd);
			continue;
		}
		evutil_make_socket_nonblocking(fd);
		evutil_make_socket_closeonexec(fd);
		listener_add(m, fd, &ss, true);
	}
}

static int
bind_address(struct master *m, const struct sockaddr_storage *ss)
{
	int on = 1, fd;

	fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)ss, address_len(ss)) == -1 ||
	    listen(fd, SOMAXCONN) == -1) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return listener_add(m, fd, ss, false) != NULL ? 0 : -1;
}

/* The sockets that one word of `addresses` stands for: one, or two for "*". */
static int
expand_address(const char *word, uint32_t port, struct sockaddr_storage out[2])
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out[0];
	struct sockaddr_in6 *in6;
	bool any = strcmp(word, "*") == 0;

	memset(out, 0, 2 * sizeof(out[0]));
	if (any || inet_pton(AF_INET, word, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		if (!any)
			return 1;
	}
	in6 = (struct sockaddr_in6 *)&out[any ? 1 : 0];
	if (!any && inet_pton(AF_INET6, word, &in6->sin6_addr) != 1)
		return 0;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	return any ? 2 : 1;
}

/* The listener for this address; an inherited one serves for its port, whatever its address. */
static struct listener *
find_listener(struct master *m, const struct sockaddr_storage *ss)
{
	struct listener *l;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (same_address(&l->address, ss) ||
		    (l->inherited && port_of(&l->address) == port_of(ss)))
			return l;
	return NULL;
}

typedef int address_fn(struct master *m, const struct sockaddr_storage *ss, size_t server,
    bool wildcard);

static int
each_address(struct master *m, const struct conf *conf, address_fn *fn)
{
	for (size_t i = 0; i < conf->nservers; i++) {
		const struct conf_server *s = &conf->servers[i];

		for (size_t j = 0; j < s->naddresses; j++) {
			struct sockaddr_storage ss[2];
			int n = expand_address(s->addresses[j], s->port, ss);

			for (int k = 0; k < n; k++)
				if (fn(m, &ss[k], i, n == 2) == -1)
					return -1;
		}
	}
	return 0;
}

static int
bind_if_new(struct master *m, const struct sockaddr_storage *ss, size_t server, bool wildcard)
{
	struct msg_addr a;
	char text[LOG_ADDR_SIZE];

	(void)server;
	if (find_listener(m, ss) != NULL || bind_address(m, ss) == 0)
		return 0;
	/* "*" means what this host has: it may be without IPv6 or without IPv4. */
	if (wildcard && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return 0;
	addr_from(&a, ss);
	log_error(0, "cannot listen on %s: %s", log_addr(text, &a), strerror(errno));
	return -1;
}

int
listeners_bind(struct master *m, const struct conf *conf)
{
	struct listener *l, *t;

	if (each_address(m, conf, bind_if_new) == 0)
		return 0;
	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t)
		if (!l->in_use && !l->inherited)
			listener_close(m, l);
	return -1;
}

static int
mark_in_use(struct master *m, const struct sockaddr_storage *ss, size_t server, bool wildcard)
{
	struct listener *l;

	(void)wildcard;
	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (same_address(&l->address, ss) ||
		    (l->inherited && port_of(&l->address) == port_of(ss))) {
			l->in_use = true;
			l->server = (uint32_t)server;
		}
	return 0;
}

void
listeners_use(struct master *m, const struct conf *conf)
{
	bool accepting = m->listeners->accepting;
	struct listener *l, *t;

	listeners_pause(m);
	TAILQ_FOREACH (l, &m->listeners->list, next)
		l->in_use = false;
	each_address(m, conf, mark_in_use);
	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t) {
		if (l->in_use)
			continue;
		if (l->inherited)
			log_warn(0, "no server has the port %u that the service manager listens on",
			    port_of(&l->address));
		else
			listener_close(m, l);
	}
	if (accepting)
		listeners_resume(m);
}

void
listeners_resume(struct master *m)
{
	struct listener *l;

	if (m->listeners->accepting || m->state != MASTER_SERVING || fds_short(m))
		return;
	m->listeners->accepting = true;
	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->in_use)
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
listeners_close(struct master *m)
{
	struct listener *l;

	listeners_pause(m);
	while ((l = TAILQ_FIRST(&m->listeners->list)) != NULL)
		listener_close(m, l);
}

void
listeners_release(struct master *m, const struct msg_addr *peer)
{
	limits_leave(m->listeners->limits, peer);
	if (!m->listeners->accepting)
		conns_route(m); /* resumes when nothing waits */
}
