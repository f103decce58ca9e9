#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/ports/listeners.h"
#include "daemon/ports/servers.h"
#include "daemon/settle.h"
#include "daemon/waiters.h"

struct servers {
	struct server_list list;
	struct server *slots[SERVERS_MAX];
	uint64_t automatic; /* names given out */
	uint64_t version;
};

struct servers *
servers_new(struct master *m)
{
	struct servers *ss = calloc(1, sizeof(*ss));

	(void)m;
	if (ss != NULL)
		TAILQ_INIT(&ss->list);
	return ss;
}

void
servers_free(struct servers *ss)
{
	struct server *s;

	if (ss == NULL)
		return;
	while ((s = TAILQ_FIRST(&ss->list)) != NULL) {
		TAILQ_REMOVE(&ss->list, s, next);
		free(s);
	}
	free(ss);
}

struct server_list *
servers_all(struct master *m)
{
	return &m->servers->list;
}

struct server *
servers_find(struct master *m, const char *name)
{
	struct server *s;

	TAILQ_FOREACH (s, &m->servers->list, next)
		if (strcmp(s->set.name, name) == 0)
			return s;
	return NULL;
}

struct server *
servers_at(struct master *m, uint32_t slot)
{
	return slot < SERVERS_MAX ? m->servers->slots[slot] : NULL;
}

struct server *
server_make(struct master *m, const char *name)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	while (s->slot < SERVERS_MAX && m->servers->slots[s->slot] != NULL)
		s->slot++;
	if (s->slot == SERVERS_MAX) {
		free(s);
		errno = EUSERS;
		return NULL;
	}
	s->set = m->conf->shared;
	memset(s->set.auth, 0, sizeof(s->set.auth));
	memset(s->set.storage, 0, sizeof(s->set.storage));
	snprintf(s->set.name, sizeof(s->set.name), "%s", name);
	s->set.socket = SOCKET_PLAIN;
	s->set.port.n = 1;
	s->set.port.number[0] = 110;
	m->servers->slots[s->slot] = s;
	TAILQ_INSERT_TAIL(&m->servers->list, s, next);
	return s;
}

void
servers_auto_name(struct master *m, char name[MSG_SERVER_SIZE])
{
	do
		snprintf(name, MSG_SERVER_SIZE, "pop3d%llu",
			 (unsigned long long)++m->servers->automatic);
	while (servers_find(m, name) != NULL);
}

static void
server_free(struct master *m, struct server *s)
{
	listeners_close(m, s);
	m->servers->slots[s->slot] = NULL;
	TAILQ_REMOVE(&m->servers->list, s, next);
	waiters_wake(m->waiters, WAIT_SERVER, s->slot, NULL);
	free(s);
	servers_changed(m);
}

uint64_t
servers_version(const struct master *m)
{
	return m->servers->version;
}

void
servers_changed(struct master *m)
{
	m->servers->version++;
	settle_soon(m->settle);
}

uint32_t
server_port(const struct server *s)
{
	return s->state == SERVER_UP ? s->port : s->set.port.number[0];
}

const char *
server_state_name(enum server_state state)
{
	static const char *const names[] = {"down", "up", "exiting"};

	return names[state];
}

void
server_serve(struct master *m, struct server *s)
{
	s->wanted_up = s->joined = false;
	s->state = SERVER_UP;
	listeners_commit(m, s);
	s->port =
	    s->set.port.number[0] != 0 ? (uint16_t)s->set.port.number[0] : listeners_port(m, s);
	s->active = s->set;
}

int
server_up(struct master *m, struct server *s, char why[MSG_PATH_SIZE])
{
	if (s->state == SERVER_EXITING) {
		snprintf(why, MSG_PATH_SIZE, "server \"%s\" is exiting", s->set.name);
		return -1;
	}
	if (s->state == SERVER_UP)
		return 0;
	if (listeners_open(m, s, server_coming(s), why) == -1)
		return -1;
	s->wanted_up = true;
	settle_soon(m->settle);
	return 0;
}

/* Does it serve when this configuration is adopted?  One that was taken down stays down. */
static bool
server_will_serve(const struct server *s)
{
	return s->state == SERVER_UP ||
	       (s->state == SERVER_DOWN && (!s->configured || s->wanted_up));
}

int
server_down(struct master *m, struct server *s, char why[MSG_PATH_SIZE])
{
	s->wanted_up = false;
	/* what was bound for its going up goes, unless a configuration that is under way wants it
	 */
	if (s->state == SERVER_DOWN && (s->coming == NULL || !server_will_serve(s)))
		listeners_abandon(m, s);
	if (s->state != SERVER_UP)
		return 0;
	if (listeners_inherited(m, s)) {
		snprintf(why, MSG_PATH_SIZE,
			 "server \"%s\" listens on a socket of the service manager", s->set.name);
		return -1;
	}
	listeners_close(m, s);
	s->state = SERVER_DOWN;
	return 0;
}

void
server_destroy(struct master *m, struct server *s)
{
	listeners_close(m, s);
	s->wanted_up = false;
	s->state = SERVER_EXITING;
	settle_soon(m->settle);
}

void
servers_settle(struct master *m)
{
	struct server *s, *t;

	TAILQ_FOREACH_SAFE (s, &m->servers->list, next, t)
		if (s->state == SERVER_EXITING && s->connections == 0)
			server_free(m, s);
}

/* ---- certificates and workers ---- */

const struct conf_server *
server_coming(const struct server *s)
{
	return s->coming != NULL ? s->coming : &s->set;
}

const struct conf_server *
server_with_certificate(const struct server *s)
{
	const struct conf_server *set = s->coming != NULL	? s->coming
					: s->wanted_up		? &s->set
					: s->state == SERVER_UP ? &s->active
								: NULL;

	return set != NULL && set->socket != SOCKET_PLAIN ? set : NULL;
}

/* ---- the configuration ---- */

static int
server_announce(struct master *m, const struct conf_server *set, char why[MSG_PATH_SIZE])
{
	struct server *s = servers_find(m, set->name);

	if (s == NULL) {
		if ((s = server_make(m, set->name)) == NULL) {
			(void)snprintf(why, MSG_PATH_SIZE, "server=%s %s", set->name,
				       strerror(errno));
			return -1;
		}
		s->fresh = true;
	}
	s->coming = set;
	return 0;
}

static int
server_prepare(struct master *m, struct server *s, char why[MSG_PATH_SIZE])
{
	char text[MSG_PATH_SIZE];

	if (s->coming == NULL || !server_will_serve(s) ||
	    listeners_open(m, s, s->coming, text) == 0)
		return 0;
	(void)snprintf(why, MSG_PATH_SIZE, "server=%s %.900s", s->coming->name, text);
	return -1;
}

int
servers_prepare(struct master *m, const struct conf *conf, char why[MSG_PATH_SIZE])
{
	struct server *s;

	/* First who wants what, then the sockets: one that lets go of its port may come later. */
	for (size_t i = 0; i < conf->nservers; i++)
		if (server_announce(m, &conf->servers[i], why) == -1)
			goto fail;
	TAILQ_FOREACH (s, &m->servers->list, next)
		if (server_prepare(m, s, why) == -1)
			goto fail;
	return 0;
fail:
	servers_abandon(m);
	return -1;
}

static void
server_abandon(struct master *m, struct server *s)
{
	s->coming = NULL;
	listeners_abandon(m, s);
	s->wanted_up = s->wanted_up && !s->joined;
	s->joined = false;
	if (s->fresh)
		server_destroy(m, s); /* a job may be about it already */
}

/* It was asked to go up meanwhile, and what was bound for that is closed. */
static void
server_bind_again(struct master *m, struct server *s)
{
	char why[MSG_PATH_SIZE];

	if (listeners_open(m, s, &s->set, why) == 0)
		return;
	log_error(0, "server=%s %s", s->set.name, why);
	s->wanted_up = false;
}

void
servers_abandon(struct master *m)
{
	struct server *s;

	TAILQ_FOREACH (s, &m->servers->list, next)
		server_abandon(m, s);
	TAILQ_FOREACH (s, &m->servers->list, next)
		if (s->wanted_up)
			server_bind_again(m, s);
}

void
servers_join(struct master *m)
{
	struct server *s;

	TAILQ_FOREACH (s, &m->servers->list, next)
		s->joined = s->wanted_up;
}

static void
server_adopt(struct master *m, struct server *s)
{
	bool serves = server_will_serve(s);

	s->set = *s->coming;
	s->coming = NULL;
	s->configured = true;
	s->fresh = false;
	if (s->state == SERVER_EXITING) {
		log_warn(0, "server=%s is exiting; a later reload can bring it back", s->set.name);
		return;
	}
	if (serves)
		server_serve(m, s);
}

void
servers_adopt(struct master *m, bool settings)
{
	struct server *s, *t;

	listeners_hand_over(m);
	TAILQ_FOREACH_SAFE (s, &m->servers->list, next, t) {
		if (s->coming != NULL)
			server_adopt(m, s);
		else if (s->configured && settings)
			server_destroy(m, s);
	}
}
