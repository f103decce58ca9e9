/*
 * Ports without sockets: listeners.h as its comments say it, for tests of what
 * stands on it.  A server that went up is open; clients come by a call.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/count.h"
#include "daemon/ports/limits.h"
#include "daemon/ports/listeners.h"
#include "daemon/settle.h"
#include "daemon/table/conns.h"
#include "tests/unit/fake_master.h"

struct listeners {
	const struct ports_calls *calls;
	struct limits *limits;
	bool open[SERVERS_MAX], serving[SERVERS_MAX]; /* by slot */
	bool accepting;
};

bool fake_ports_busy;

struct listeners *
listeners_new(const struct ports_calls *calls)
{
	struct listeners *ls = calloc(1, sizeof(*ls));

	if (ls == NULL || (ls->limits = limits_new()) == NULL)
		abort();
	ls->calls = calls;
	return ls;
}

void
listeners_free(struct listeners *ls)
{
	limits_free(ls->limits);
	free(ls);
}

void
listeners_inherit(struct master *m)
{
	(void)m;
}

int
listeners_open(struct master *m, struct server *s, const struct conf_server *set,
	       char why[MSG_PATH_SIZE])
{
	(void)set;
	if (fake_ports_busy && !m->listeners->open[s->slot]) {
		why[0] = '?';
		why[1] = '\0';
		return -1;
	}
	m->listeners->open[s->slot] = true;
	return 0;
}

void
listeners_hand_over(struct master *m)
{
	(void)m;
}

void
listeners_commit(struct master *m, struct server *s)
{
	m->listeners->serving[s->slot] = true;
}

void
listeners_abandon(struct master *m, struct server *s)
{
	m->listeners->open[s->slot] &= m->listeners->serving[s->slot];
}

void
listeners_close(struct master *m, struct server *s)
{
	m->listeners->open[s->slot] = m->listeners->serving[s->slot] = false;
}

void
listeners_close_all(struct master *m)
{
	struct listeners *ls = m->listeners;

	for (size_t i = 0; i < COUNT_OF(ls->open); i++)
		ls->open[i] = ls->serving[i] = false;
	ls->accepting = false;
}

uint16_t
listeners_port(const struct master *m, const struct server *s)
{
	return m->listeners->open[s->slot] ? (uint16_t)(1000 + s->slot) : 0;
}

bool
listeners_inherited(const struct master *m, const struct server *s)
{
	(void)m, (void)s;
	return false;
}

void
listeners_accept(struct master *m, bool on, size_t fds)
{
	(void)fds;
	m->listeners->accepting = on;
}

void
listeners_tick(struct master *m)
{
	(void)m;
}

enum conn_proxy
listeners_renew(struct master *m, const struct server *s, const struct msg_addr *old,
		bool was_uncounted, const struct msg_addr *peer)
{
	static const uint32_t most[LIMIT_COUNT] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};

	if (limits_barred(&s->set, peer) != NULL)
		return CONN_PROXY_BARRED;
	if (fake_ports_busy || limits_enter(m->listeners->limits, peer, most, false) != LIMIT_COUNT)
		return CONN_PROXY_FULL;
	limits_leave(m->listeners->limits, old, was_uncounted);
	return CONN_PROXY_TOLD;
}

void
listeners_release(struct master *m, const struct msg_addr *peer, bool uncounted)
{
	limits_leave(m->listeners->limits, peer, uncounted);
}

bool
fake_accepts(void)
{
	return fake.m.listeners->accepting;
}

size_t
fake_clients(void)
{
	return limits_count(fake.m.listeners->limits);
}

conn_id
fake_connect(struct server *s)
{
	static const struct msg_addr peer = {
	    .family = AF_INET, .port = 1, .octets = {127, 0, 0, 1}};
	static const uint32_t most[LIMIT_COUNT] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	struct listeners *ls = fake.m.listeners;
	const struct conn *c, *last = NULL;

	if (!ls->accepting || !ls->serving[s->slot] ||
	    limits_enter(ls->limits, &peer, most, false) != LIMIT_COUNT)
		return 0;
	ls->calls->accepted(&fake.m, s, open("/dev/null", O_RDWR | O_CLOEXEC), &peer, false);
	settle_soon(fake.m.settle);
	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, (struct conn *)c))
		last = c;
	return last != NULL ? last->row.id : 0;
}
