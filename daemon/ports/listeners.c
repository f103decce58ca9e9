#include "config.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pop3.h"
#include "common/replies.h"
#include "common/source.h"
#include "daemon/ports/limits.h"
#include "daemon/ports/listeners.h"
#include "daemon/notify.h"
#include "daemon/ports/refused.h"
#include "daemon/settle.h"
#include "daemon/ports/sockets.h"

enum {
	ACCEPT_TURN = 32, /* clients taken before other events of the loop get their turn */
	SPARE_FDS = 64	  /* descriptors kept free in any case */
};

struct listener {
	TAILQ_ENTRY(listener) next;
	struct master *master;
	struct sockaddr_storage address;
	int fd;
	struct server *server; /* NULL: inherited, and of no server now */
	struct server *heir;   /* gets it when the configuration under way is adopted; else NULL */
	bool inherited;
	bool serving; /* committed */
	struct event *on_client;
};

TAILQ_HEAD(listener_list, listener);

struct listeners {
	struct listener_list list;
	struct limits *limits;
	struct refused *refused;
	const struct ports_calls *calls;
	uint64_t fd_limit, fds_kept;
	bool accepting;
	bool no_room; /* the kernel had none for one more; until the next tick */
};

/* Descriptors are given out from the lowest: the one just had tells how many there are. */
static bool
fds_short(const struct master *m, int fd)
{
	const struct listeners *ls = m->listeners;

	return (uint64_t)fd + SPARE_FDS + ls->fds_kept > ls->fd_limit;
}

static void
refuse(const struct listener *l, int fd, const struct msg_addr *peer, enum reply reply,
       const char *why)
{
	char line[POP3_RESPONSE_MAX];
	int len = snprintf(line, sizeof(line), "%s\r\n", reply_text(reply));

	/* who is to speak first gets no answer (PXY-03) */
	if (l->server->active.socket != SOCKET_TLS &&
	    !conf_networks_given(&l->server->set.proxy_from))
		send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	refused_add(l->master->listeners->refused, clock_ms(), l->server->set.name, peer, why);
}

/* Count a client in its networks.  NULL, or what it is refused for. */
static const char *
enter(struct master *m, const struct msg_addr *peer, bool uncounted)
{
	static const char *const names[LIMIT_COUNT] = {
	    [LIMIT_ADDRESS] = "max_connections_per_address",
	    [LIMIT_NETWORK] = "max_connections_per_network",
	    [LIMIT_SITE] = "max_connections_per_site"};
	const uint32_t most[LIMIT_COUNT] = {m->conf->max_connections_per_address,
					    m->conf->max_connections_per_network,
					    m->conf->max_connections_per_site};
	int limit = limits_enter(m->listeners->limits, peer, most, uncounted);

	return limit == LIMIT_COUNT ? NULL : limit == -1 ? "no memory" : names[limit];
}

static void
greet_client(struct master *m, const struct listener *l, int fd, const struct sockaddr_storage *ss)
{
	const struct conf_networks *balancers = &l->server->set.proxy_from;
	struct msg_addr peer;
	const char *why;
	bool uncounted;

	socket_addr(&peer, ss);
	/* A balancer's connection is counted when it has said whose it is. */
	uncounted =
	    conf_networks_given(balancers) || limits_within(&m->conf->trusted_networks, &peer);
	if (!conf_networks_given(balancers) &&
	    (why = limits_barred(&l->server->set, &peer)) != NULL)
		refuse(l, fd, &peer, REPLY_BARRED, why);
	else if (limits_count(m->listeners->limits) >= m->conf->max_connections)
		refuse(l, fd, &peer, REPLY_FULL, "max_connections");
	else if (conf_networks_given(balancers) &&
		 (!limits_within(balancers, &peer) ||
		  (source_is_loopback(&peer) && !l->server->set.proxy_loopback)))
		refuse(l, fd, &peer, REPLY_BARRED, "proxy_from");
	else if ((why = enter(m, &peer, uncounted)) != NULL)
		refuse(l, fd, &peer, REPLY_FULL, why);
	else
		m->listeners->calls->accepted(m, l->server, fd, &peer, uncounted);
}

enum conn_proxy
listeners_renew(struct master *m, const struct server *s, const struct msg_addr *old,
		bool was_uncounted, const struct msg_addr *peer)
{
	const char *why = limits_barred(&s->set, peer);
	bool barred = why != NULL;

	if (!barred && (why = enter(m, peer, false)) == NULL) {
		limits_leave(m->listeners->limits, old, was_uncounted);
		return CONN_PROXY_TOLD;
	}
	refused_add(m->listeners->refused, clock_ms(), s->set.name, peer, why);
	return barred ? CONN_PROXY_BARRED : CONN_PROXY_FULL;
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct master *m = l->master;
	struct listeners *listeners = m->listeners;

	(void)what;
	settle_soon(m->settle);
	for (int i = 0; i < ACCEPT_TURN && !listeners->no_room; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int client;

		client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client != -1) {
			greet_client(m, l, client, &ss);
			listeners->no_room = fds_short(m, client);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			log_error(0, "accept: %s", strerror(errno));
			listeners->no_room = true;
		} else if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

struct listeners *
listeners_new(const struct ports_calls *calls)
{
	struct listeners *ls = calloc(1, sizeof(*ls));
	struct rlimit limit;

	if (ls == NULL)
		return NULL;
	TAILQ_INIT(&ls->list);
	if ((ls->limits = limits_new()) == NULL || (ls->refused = refused_new()) == NULL) {
		listeners_free(ls);
		return NULL;
	}
	ls->calls = calls;
	ls->fd_limit = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
	return ls;
}

void
listeners_free(struct listeners *ls)
{
	if (ls == NULL)
		return;
	limits_free(ls->limits);
	free(ls->refused);
	free(ls);
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

/* The heir has it from now on. */
static void
listener_hand_over(struct listener *l)
{
	l->server = l->heir;
	l->heir = NULL;
}

/* Its server no longer listens on it.  An inherited socket cannot be opened again: it is kept. */
static void
listener_close(struct master *m, struct listener *l)
{
	event_del(l->on_client);
	l->serving = false;
	listener_hand_over(l);
	if (l->server == NULL && !l->inherited)
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
		socket_tune(fd);
		if ((l = listener_add(m, NULL, fd, &ss)) != NULL)
			l->inherited = true;
	}
}

static bool
listener_fits(const struct listener *l, const struct sockaddr_storage *ss)
{
	return socket_same(&l->address, ss) ||
	       (l->inherited && socket_port(&l->address) == socket_port(ss));
}

/* Do these settings of its server ask for it?  A port that the kernel chose is kept while up. */
static bool
listener_is_asked_for(const struct master *m, const struct listener *l,
		      const struct conf_server *set)
{
	struct sockets wanted = {.set = set, .chosen = listeners_port(m, l->server)};
	struct sockaddr_storage ss;
	bool optional;

	while (sockets_next(&wanted, &ss, &optional))
		if (listener_fits(l, &ss))
			return true;
	return false;
}

/* Will its server let go of it when the configuration under way is adopted? */
static bool
listener_is_left(const struct master *m, const struct listener *l)
{
	const struct server *s = l->server;

	if (s->coming == NULL)
		return s->configured; /* its server goes with it */
	return !listener_is_asked_for(m, l, s->coming);
}

/* May a socket for these settings of s take the place of that one? */
static bool
listener_is_free_for(const struct master *m, const struct listener *l, const struct server *s,
		     const struct conf_server *set)
{
	if (l->server == NULL || l->server == s)
		return true;
	return set == s->coming && l->heir == NULL && listener_is_left(m, l);
}

/*
 * Bound already, for this server or for one that lets go of it?  Then there is
 * no other one to bind, and no client that finds nobody there.  An inherited
 * socket serves for its port, whatever its address.
 */
static bool
listener_claim(struct master *m, struct server *s, const struct conf_server *set,
	       const struct sockaddr_storage *ss)
{
	struct listener *l;
	bool found = false;

	TAILQ_FOREACH (l, &m->listeners->list, next) {
		if (!listener_fits(l, ss))
			continue;
		if (l->heir != s && !listener_is_free_for(m, l, s, set))
			continue;
		found = true;
		if (l->server == NULL)
			l->server = s;
		else if (l->server != s)
			l->heir = s;
	}
	return found;
}

/* Let a socket for these settings be bound beside those whose place it will take, or no longer. */
static void
share_places(struct master *m, const struct server *s, const struct conf_server *set, bool on)
{
	const struct listener *l;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (!l->inherited && listener_is_free_for(m, l, s, set))
			socket_share(l->fd, on);
}

/*
 * From one address to all at the same port, or back: until it is committed both
 * sockets are there.  They are shared for that moment only, so that a port of
 * somebody else stays busy.
 */
static int
bind_address(struct master *m, struct server *s, const struct conf_server *set,
	     struct sockaddr_storage *ss)
{
	int fd = socket_listen(ss, false), error;

	if (fd == -1 && errno == EADDRINUSE) {
		share_places(m, s, set, true);
		fd = socket_listen(ss, true);
		error = errno;
		share_places(m, s, set, false);
		errno = error;
	}
	return fd != -1 && listener_add(m, s, fd, ss) != NULL ? 0 : -1;
}

static int
open_one(struct master *m, struct server *s, const struct conf_server *set,
	 struct sockaddr_storage *ss, bool optional, char why[MSG_PATH_SIZE])
{
	struct msg_addr a;
	char text[LOG_ADDR_SIZE];

	if (listener_claim(m, s, set, ss) || bind_address(m, s, set, ss) == 0)
		return 0;
	if (optional && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return 0;
	socket_addr(&a, ss);
	snprintf(why, MSG_PATH_SIZE, "cannot listen on %s: %s%s", log_addr(text, &a),
		 strerror(errno),
		 errno == EACCES ? " (ports below 1024 need CAP_NET_BIND_SERVICE)" : "");
	return -1;
}

int
listeners_open(struct master *m, struct server *s, const struct conf_server *set,
	       char why[MSG_PATH_SIZE])
{
	struct sockets wanted = {.set = set, .chosen = listeners_port(m, s)};
	struct sockaddr_storage ss;
	bool optional;

	while (sockets_next(&wanted, &ss, &optional)) {
		if (open_one(m, s, set, &ss, optional, why) == -1) {
			listeners_abandon(m, s);
			return -1;
		}
		/* The first socket's port, if the kernel chose it, is everybody's. */
		if (wanted.chosen == 0)
			wanted.chosen = listeners_port(m, s);
	}
	return 0;
}

void
listeners_hand_over(struct master *m)
{
	struct listener *l;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->heir != NULL)
			listener_hand_over(l);
}

void
listeners_commit(struct master *m, struct server *s)
{
	struct listener *l, *t;

	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t) {
		if (l->server != s)
			continue;
		if (!listener_is_asked_for(m, l, &s->set)) {
			listener_close(m, l);
			continue;
		}
		l->serving = true;
		if (m->listeners->accepting)
			event_add(l->on_client, NULL);
	}
}

/* Let go of a server's sockets: all of them, or those that do not serve. */
static void
close_some(struct master *m, struct server *s, bool serving)
{
	struct listener *l, *t;

	TAILQ_FOREACH_SAFE (l, &m->listeners->list, next, t) {
		if (l->heir == s)
			l->heir = NULL;
		if (l->server == s && (serving || !l->serving))
			listener_close(m, l);
	}
}

void
listeners_abandon(struct master *m, struct server *s)
{
	close_some(m, s, false);
}

void
listeners_close(struct master *m, struct server *s)
{
	close_some(m, s, true);
}

uint16_t
listeners_port(const struct master *m, const struct server *s)
{
	const struct listener *l;

	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (l->server == s)
			return socket_port(&l->address);
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

static void
accept_all(struct master *m, bool on)
{
	struct listener *l;

	if (m->listeners->accepting == on)
		return;
	m->listeners->accepting = on;
	TAILQ_FOREACH (l, &m->listeners->list, next)
		if (!on)
			event_del(l->on_client);
		else if (l->serving)
			event_add(l->on_client, NULL);
}

void
listeners_accept(struct master *m, bool on, size_t fds)
{
	m->listeners->fds_kept = fds;
	accept_all(m, on && !m->listeners->no_room);
}

void
listeners_tick(struct master *m)
{
	m->listeners->no_room = false;
	refused_tick(m->listeners->refused, clock_ms());
}

void
listeners_close_all(struct master *m)
{
	struct listener *l;

	accept_all(m, false);
	refused_tick(m->listeners->refused, UINT64_MAX);
	while ((l = TAILQ_FIRST(&m->listeners->list)) != NULL)
		listener_free(m, l);
}

void
listeners_release(struct master *m, const struct msg_addr *peer, bool uncounted)
{
	limits_leave(m->listeners->limits, peer, uncounted);
	m->listeners->no_room = false;
}
