#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/keys.h"
#include "daemon/ports/servers.h"
#include "daemon/settle.h"
#include "daemon/totals.h"
#include "daemon/roles/workers.h"

TAILQ_HEAD(worker_list, worker);

struct workers {
	struct worker_list list;
	uint32_t next_number;
	uint32_t newest;	 /* generation being started or serving */
	uint32_t serving;	 /* generation that gets connections; 0: none yet */
	uint64_t turns;		 /* connections given out */
	const struct conf *conf; /* of the newest generation; borrowed */
	struct backoff backoff;
	struct backoff channels; /* that workers could not be given */
};

/* One-shot workers are made ahead; others are as many as the setting says. */
enum {
	QUEUED_TOO_MUCH = 1024,
	DONE_PATIENCE = 5000 /* milliseconds for a worker without work to end */
};

static bool
worker_has_room(const struct master *m, const struct worker *w)
{
	return w->child.ready && !w->draining && !w->used && w->generation == m->workers->serving &&
	       w->connections < m->conf->worker_connections &&
	       w->child.ec.ch.queued < QUEUED_TOO_MUCH;
}

/* A message for each certificate. */
static void
worker_send_server(struct worker *w, const struct conf *conf, const struct server *s)
{
	const struct conf_server *set = server_with_certificate(s);
	struct msg_login_server msg;

	/* With none it would have nothing to do with it. */
	for (size_t i = 0; set != NULL && i < set->certificate.n; i++) {
		memset(&msg, 0, sizeof(msg));
		msg.server = s->slot;
		msg.any_name = conf->tls_unknown_name == UNKNOWN_NAME_FIRST;
		memcpy(msg.name, set->name, sizeof(msg.name));
		memcpy(msg.certificate, set->certificate.path[i], sizeof(msg.certificate));
		memcpy(msg.tls_ciphers, conf->tls_ciphers, sizeof(msg.tls_ciphers));
		evchannel_put(&w->child.ec, MSG_LOGIN_SERVER, &msg, sizeof(msg));
	}
}

static void
worker_send_settings(struct worker *w, const struct conf *conf)
{
	struct master *m = w->master;
	const struct server *s;
	struct msg_login_conf msg;

	memset(&msg, 0, sizeof(msg));
	gethostname(msg.hostname, sizeof(msg.hostname) - 1);
	if (!m->rootless)
		snprintf(msg.chroot_dir, sizeof(msg.chroot_dir), "%.*s/empty",
			 (int)sizeof(msg.chroot_dir) - 8, conf->runtime_dir);
	msg.uid = m->accounts.login_uid;
	msg.gid = m->accounts.login_gid;
	msg.max_connections = conf->worker_connections;
	msg.login_timeout = conf->login_timeout;
	msg.password_timeout = conf->password_timeout;
	msg.login_limit = conf_login_limit(conf);
	msg.handshake_timeout = conf->handshake_timeout;
	msg.decision_timeout = conf_decision_timeout(conf);
	msg.sandbox = conf->sandbox;
	msg.landlock_abi_max = conf->landlock_abi_max;
	msg.trace = conf_trace(conf);
	msg.ps_titles = conf->ps_titles;
	msg.one_shot = conf->worker_connections == 1;
	msg.generation = w->generation;
	evchannel_put(&w->child.ec, MSG_LOGIN_CONF, &msg, sizeof(msg));
	TAILQ_FOREACH (s, servers_all(w->master), next)
		worker_send_server(w, conf, s);
	evchannel_put(&w->child.ec, MSG_LOGIN_START, NULL, 0);
}

/* A channel to the process of that number; `known` is the number of the one that it has a channel
 * to.  `give` sends the other end, `type` is the message that brings this one.  Without a
 * descriptor it is tried again. */
static void
worker_connect(struct worker *w, uint64_t number, uint64_t *known, enum msg_type type,
	       void (*give)(const struct worker *w, int fd))
{
	struct master *m = w->master;
	int pair[2];

	if (number == 0 || number == *known || !backoff_is_over(&m->workers->channels, m->settle))
		return;
	if (channel_pair(pair) == -1) {
		log_error(0, "no %s for worker=%u: %s", msg_name(type), w->number, strerror(errno));
		backoff_lost(&m->workers->channels, clock_ms());
		settle_soon(m->settle);
		return;
	}
	*known = number;
	give(w, pair[0]);
	evchannel_send(&w->child.ec, type, NULL, 0, &pair[1], 1);
	close(pair[0]);
	close(pair[1]);
}

static void
give_helper(const struct worker *w, int fd)
{
	helper_worker_new(w->master, w->number, fd);
}

static void
give_keys(const struct worker *w, int fd)
{
	keys_worker_new(w->master, w->generation, w->number, fd);
}

static void worker_msg(struct evchannel *ec, struct msg *msg, void *arg);
static void worker_end(struct evchannel *ec, int error, void *arg);

static int
worker_start(struct master *m, const struct conf *conf)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	TAILQ_INIT(&w->conns);
	STAILQ_INIT(&w->certificates);
	w->master = m;
	w->number = ++m->workers->next_number;
	w->generation = m->workers->newest;
	if (child_start(&w->child, m->base, ROLE_LOGIN, worker_msg, worker_end, w) == -1) {
		log_error(0, "cannot start pop3d-login: %s", strerror(errno));
		free(w);
		return -1;
	}
	w->child.may_report = conf->sandbox == SANDBOX_LOG;
	w->child.may_trace = conf_trace(conf) != 0;
	TAILQ_INSERT_TAIL(&m->workers->list, w, next);
	worker_send_settings(w, conf);
	return 0;
}

/* Gone for us; the process may still have to be reaped. */
static void
worker_forget(struct worker *w)
{
	struct master *m = w->master;

	TAILQ_REMOVE(&m->workers->list, w, next);
	m->calls->worker_lost(w);
	helper_worker_gone(m, w->number);
	child_kill(&w->child);
	certificates_free(&w->certificates);
	free(w);
}

/* Workers of the newest generation that serve, or will, and can still take a connection. */
static uint32_t
workers_in_hand(const struct master *m)
{
	const struct worker *w;
	uint32_t n = 0;

	TAILQ_FOREACH (w, &m->workers->list, next)
		n += w->generation == m->workers->newest && !w->draining && !w->used;
	return n;
}

/* One of the newest generation ended that should not have. */
static void
count_lost(struct master *m, bool ready)
{
	backoff_lost(&m->workers->backoff, clock_ms());
	m->trouble[ROLE_LOGIN].lost += !ready;
	settle_soon(m->settle);
}

/* Does a worker of that generation serve, or will one? */
static bool
generation_is_in_use(const struct master *m, uint32_t generation)
{
	const struct worker *w;

	if (generation == m->workers->newest || generation == m->workers->serving)
		return true;
	TAILQ_FOREACH (w, &m->workers->list, next)
		if (w->generation == generation)
			return true;
	return false;
}

/* As many of the newest generation as there should be. */
static void
start_missing(struct master *m)
{
	const struct conf *conf = m->workers->conf;

	while (workers_in_hand(m) < conf->login_workers &&
	       backoff_is_over(&m->workers->backoff, m->settle))
		if (worker_start(m, conf) == -1)
			count_lost(m, false);
}

void
workers_settle(struct master *m)
{
	struct worker *w;

	if (m->state != MASTER_STOPPING) {
		keys_settle(m, generation_is_in_use);
		start_missing(m);
	}
	TAILQ_FOREACH (w, &m->workers->list, next) {
		worker_connect(w, helper_number(m), &w->helper, MSG_AUTH_CHANNEL, give_helper);
		worker_connect(w, keys_number(m, w->generation), &w->keys, MSG_KEY_CHANNEL,
			       give_keys);
	}
}

void
worker_is_ready(struct worker *w, const struct msg_ready *ready)
{
	w->child.ready = true;
	w->confined = *ready;
	log_info(0, "worker=%u ready generation=%u landlock_abi=%u seccomp=%u", w->number,
		 w->generation, ready->landlock_abi, ready->seccomp);
	settle_soon(w->master->settle);
}

void
worker_is_refused(struct worker *w, const char *why)
{
	w->draining = w->refused = true;
	role_refused(&w->master->trouble[ROLE_LOGIN], ROLE_LOGIN, why);
	settle_soon(w->master->settle);
}

static void
worker_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct worker *w = arg;

	if (w->master->calls->worker(w, msg) == -1)
		worker_end(ec, EBADMSG, w);
}

static void
worker_end(struct evchannel *ec, int error, void *arg)
{
	struct worker *w = arg;
	struct master *m = w->master;
	bool expected = w->draining || w->used || m->state == MASTER_STOPPING;
	bool newest = w->generation == m->workers->newest, ready = w->child.ready;
	bool refused = w->refused;

	(void)ec;
	role_ended(&m->trouble[ROLE_LOGIN], &w->child, error);
	if (!expected) {
		totals_add(TOTAL_LOST, ROLE_LOGIN, 0, 1);
		log_warn(0, "worker=%u lost (%s) connections=%u", w->number,
			 channel_end_text(error), w->connections);
	}
	worker_forget(w);
	if (newest && (!expected || refused))
		count_lost(m, ready);
	settle_soon(m->settle);
}

struct workers *
workers_new(void)
{
	struct workers *ws = calloc(1, sizeof(*ws));

	if (ws != NULL)
		TAILQ_INIT(&ws->list);
	return ws;
}

static void
servers_told(struct master *m)
{
	static const struct conf_paths none;
	struct server *s;

	TAILQ_FOREACH (s, servers_all(m), next) {
		const struct conf_server *set = server_with_certificate(s);

		s->told.certificate = set != NULL ? set->certificate : none;
		s->told.key = set != NULL ? set->certificate_key : none;
	}
}

bool
workers_know(const struct master *m, const struct server *s)
{
	const struct conf_server *set = &s->set;

	return set->socket == SOCKET_PLAIN ||
	       (workers_ready(m) &&
		memcmp(&s->told.certificate, &set->certificate, sizeof(set->certificate)) == 0 &&
		memcmp(&s->told.key, &set->certificate_key, sizeof(set->certificate_key)) == 0);
}

void
workers_begin_generation(struct master *m, const struct conf *conf)
{
	m->workers->newest++;
	m->workers->conf = conf;
	m->workers->backoff = (struct backoff){0};
	m->trouble[ROLE_LOGIN] = (struct role_trouble){0};
	keys_begin_generation(m, m->workers->newest, conf);
	servers_told(m);
}

bool
workers_ready(const struct master *m)
{
	const struct conf *conf = m->workers->conf;
	const struct worker *w;
	uint32_t ready = 0;

	TAILQ_FOREACH (w, &m->workers->list, next)
		ready += w->generation == m->workers->newest && w->child.ready && !w->draining;
	return ready >= conf->login_workers && keys_ready(m, m->workers->newest);
}

static void
worker_drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = true;
	evchannel_put(&w->child.ec, MSG_DRAIN, NULL, 0);
}

void
workers_switch(struct master *m)
{
	const struct worker *new;
	struct server *s;
	struct worker *w;

	TAILQ_FOREACH (s, servers_all(m), next)
		s->known = s->told;
	m->workers->serving = m->workers->newest;
	if ((new = workers_serving(m)) != NULL)
		certificates_log(&new->certificates);
	TAILQ_FOREACH (w, &m->workers->list, next)
		if (w->generation != m->workers->serving)
			worker_drain(w);
}

void
workers_abandon(struct master *m)
{
	struct server *s;
	struct worker *w, *t;

	TAILQ_FOREACH (s, servers_all(m), next)
		s->told = s->known;
	TAILQ_FOREACH_SAFE (w, &m->workers->list, next, t)
		if (w->generation == m->workers->newest)
			worker_forget(w);
	if (m->workers->newest != m->workers->serving)
		keys_end_generation(m, m->workers->newest);
	m->workers->newest = m->workers->serving;
	m->workers->conf = m->conf;
}

unsigned
workers_old_generations(const struct master *m)
{
	const struct worker *w;
	uint32_t last = 0;
	unsigned n = 0;

	/* The list is in order of generations. */
	TAILQ_FOREACH (w, &m->workers->list, next)
		if (w->generation != m->workers->serving && w->generation != last &&
		    w->generation != m->workers->newest) {
			last = w->generation;
			n++;
		}
	return n;
}

void
workers_close_oldest(struct master *m)
{
	struct worker *w, *t, *first = TAILQ_FIRST(&m->workers->list);
	uint32_t oldest = first != NULL ? first->generation : 0;

	if (oldest == m->workers->serving)
		return;
	TAILQ_FOREACH_SAFE (w, &m->workers->list, next, t)
		if (w->generation == oldest)
			worker_forget(w);
}

static bool
worker_is_before(const struct worker *a, const struct worker *b)
{
	if (a->child.unanswered != b->child.unanswered)
		return a->child.unanswered < b->child.unanswered;
	return a->turn < b->turn;
}

struct worker *
workers_pick(struct master *m)
{
	struct worker *w, *best = NULL;

	/* In turn: one that was taken over and drops its clients must not get all of them.  One
	 * that owes an answer to a heartbeat is passed over while others have room. */
	TAILQ_FOREACH (w, &m->workers->list, next)
		if (worker_has_room(m, w) && (best == NULL || worker_is_before(w, best)))
			best = w;
	return best;
}

void
workers_took(struct master *m, struct worker *w)
{
	w->turn = ++m->workers->turns;
	w->connections++;
	w->used = m->conf->worker_connections == 1;
}

void
workers_shed(struct master *m, uint32_t number)
{
	struct worker *w;

	TAILQ_FOREACH (w, &m->workers->list, next)
		if (w->number == number)
			evchannel_put(&w->child.ec, MSG_CONN_SHED, NULL, 0);
}

void
workers_kill(struct master *m, uint32_t number, int error)
{
	struct worker *w;

	TAILQ_FOREACH (w, &m->workers->list, next)
		if (w->number == number) {
			worker_end(&w->child.ec, error, w);
			return;
		}
}

const struct worker *
workers_serving(const struct master *m)
{
	const struct worker *w;

	TAILQ_FOREACH (w, &m->workers->list, next)
		if (w->generation == m->workers->serving && w->child.ready)
			return w;
	return NULL;
}

const struct worker *
workers_next(const struct master *m, const struct worker *w)
{
	return w == NULL ? TAILQ_FIRST(&m->workers->list) : TAILQ_NEXT(w, next);
}

void
workers_heartbeat(struct master *m)
{
	struct worker *w, *t;

	TAILQ_FOREACH_SAFE (w, &m->workers->list, next, t)
		if (!child_heartbeat(&w->child)) {
			log_warn(0, "worker=%u does not answer", w->number);
			worker_end(&w->child.ec, ETIMEDOUT, w);
		}
}

void
workers_tick(struct master *m)
{
	struct worker *w, *t;
	uint64_t now = clock_ms();

	TAILQ_FOREACH_SAFE (w, &m->workers->list, next, t) {
		if ((!w->draining && !w->used) || w->connections > 0)
			w->done_since = now;
		else if (now - w->done_since > DONE_PATIENCE) {
			log_warn(0, "worker=%u has nothing left to do and does not end", w->number);
			worker_forget(w);
		}
	}
}

void
workers_drain_all(struct master *m)
{
	struct worker *w;

	TAILQ_FOREACH (w, &m->workers->list, next)
		worker_drain(w);
}

void
workers_kill_all(struct master *m)
{
	struct worker *w;

	while ((w = TAILQ_FIRST(&m->workers->list)) != NULL)
		worker_forget(w);
}
