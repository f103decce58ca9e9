#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/backends.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/source.h"
#include "daemon/table/conns_priv.h"
#include "daemon/roles/helper.h"
#include "daemon/table/jobs.h"
#include "daemon/ports/listeners.h"
#include "daemon/table/report.h"
#include "daemon/table/timestamp.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/sessions.h"
#include "daemon/settle.h"
#include "daemon/totals.h"
#include "daemon/waiters.h"

int
conns_compare(const struct conn *a, const struct conn *b)
{
	return a->row.id < b->row.id ? -1 : a->row.id > b->row.id;
}

RB_GENERATE(conn_tree, conn, by_id, conns_compare)

struct conns *
conns_new(struct master *m)
{
	struct conns *cs = calloc(1, sizeof(*cs));

	(void)m;
	if (cs == NULL)
		return NULL;
	RB_INIT(&cs->tree);
	TAILQ_INIT(&cs->waiting);
	TAILQ_INIT(&cs->granted);
	TAILQ_INIT(&cs->due);
	/* Ids go on rising over restarts as long as fewer than 2^24 clients come a second. */
	cs->last = (conn_id)time(NULL) << 24;
	return cs;
}

struct conn *
conns_find(struct master *m, conn_id id)
{
	struct conn key;

	key.row.id = id;
	return RB_FIND(conn_tree, &m->conns->tree, &key);
}

bool
conns_is_known(const struct conn *c)
{
	return c->row.proxy == CONN_PROXY_NONE || c->row.proxy == CONN_PROXY_TOLD;
}

/* The helper knows no row whose client is not known: nobody can log in there. */
static void
tell_row(struct master *m, const struct conn *c)
{
	if (conns_is_known(c))
		helper_row(m, &c->row);
}

void
conns_close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
conns_report_end(struct conn *c)
{
	c->end_due = false;
	if (c->end.why == SESSION_END_CLIENT && c->worker_lost)
		c->end.why = SESSION_END_WORKER;
	report_session_end(c, &c->end);
}

void
conns_leave_worker(struct master *m, struct conn *c)
{
	struct worker *w = c->worker;

	if (w == NULL)
		return;
	conns_set_due(m, c, CONN_DUE_NOTHING);
	TAILQ_REMOVE(&w->conns, c, in_worker);
	w->connections--;
	c->worker = NULL;
	if (c->end_due)
		conns_report_end(c);
}

static void
leave_state(struct conns *cs, struct conn *c)
{
	if (c->state == CONN_WAITING)
		TAILQ_REMOVE(&cs->waiting, c, in_queue);
	else if (c->state == CONN_GRANTED) {
		TAILQ_REMOVE(&cs->granted, c, in_queue);
		cs->ngranted--;
	} else if (c->state == CONN_OFFERED)
		cs->noffered--;
	else if (c->state == CONN_LOOKUP)
		cs->nlookups--;
}

void
conns_set_state(struct master *m, struct conn *c, enum conn_state state)
{
	struct conns *cs = m->conns;

	leave_state(cs, c);
	c->state = state;
	c->since = clock_ms();
	c->asked = false; /* who owes an answer may be done with it */
	conns_set_deadline(m, c);
	if (state == CONN_WAITING)
		TAILQ_INSERT_TAIL(&cs->waiting, c, in_queue);
	else if (state == CONN_GRANTED) {
		/* One that a spare has failed has waited longest. */
		if (c->tries > 0)
			TAILQ_INSERT_HEAD(&cs->granted, c, in_queue);
		else
			TAILQ_INSERT_TAIL(&cs->granted, c, in_queue);
		cs->ngranted++;
	} else if (state == CONN_OFFERED)
		cs->noffered++;
	else if (state == CONN_LOOKUP)
		cs->nlookups++;
	settle_soon(m->settle);
}

void
conns_set_due(struct master *m, struct conn *c, enum conn_due due)
{
	if (c->due != CONN_DUE_NOTHING)
		TAILQ_REMOVE(&m->conns->due, c, in_due);
	c->due = due;
	if (due != CONN_DUE_NOTHING)
		TAILQ_INSERT_TAIL(&m->conns->due, c, in_due);
	settle_soon(m->settle);
}

void
conns_free(struct master *m, struct conn *c)
{
	if (c->state != CONN_SESSION) {
		helper_row_gone(m, c->row.id);
		m->conns->undecided--;
	}
	leave_state(m->conns, c);
	conns_leave_worker(m, c);
	if (c->session != NULL) {
		c->session->conn = NULL;
		sessions_kill(c->session);
	}
	RB_REMOVE(conn_tree, &m->conns->tree, c);
	m->conns->count--;
	if (c->job != NULL)
		jobs_forget(m, c);
	else
		listeners_release(m, &c->row.peer, c->uncounted);
	/* Whoever still has the socket can do nothing with it. */
	if (c->fd != -1)
		shutdown(c->fd, SHUT_RDWR);
	conns_close_fd(&c->fd);
	conns_close_fd(&c->stream);
	conns_close_fd(&c->relay);
	conns_close_fd(&c->acked);
	free(c->balancer_tls);
	free(c->grant);
	free(c->login);
	waiters_wake(m->waiters, WAIT_CONN, c->row.id, NULL);
	report_gone(c);
	c->server->connections--;
	free(c);
	settle_soon(m->settle);
}

void
conns_free_if_done(struct master *m, struct conn *c)
{
	if (c->worker == NULL && c->session == NULL)
		conns_free(m, c);
}

/* What a balancer announces as loopback is none of this host. */
static bool
login_in_clear_allowed(const struct conf_server *s, const struct msg_conn *row)
{
	return s->cleartext_login == CLEARTEXT_ALWAYS ||
	       (s->cleartext_login == CLEARTEXT_LOOPBACK && row->proxy == CONN_PROXY_NONE &&
		source_is_loopback(&row->peer));
}

/* A login by APOP can come to something. */
static bool
apop_is_on(const struct conf_server *s, const struct msg_conn *row)
{
	const struct backend *b = backends_find(backends_auth, s->auth, NULL);

	return s->apop && b != NULL && b->apop &&
	       (row->tls != CONN_TLS_NONE || row->stls || row->clear_ok);
}

/* Master makes the timestamp, and the helper gets it from master: a worker cannot choose one whose
 * digest it has seen. */
static void
set_stamp(struct msg_conn *row, const struct conf_server *s)
{
	char host[MSG_NAME_SIZE] = "";

	if (!apop_is_on(s, row))
		return;
	gethostname(host, sizeof(host) - 1);
	timestamp_make(row->stamp, host);
}

struct conn *
conns_add(struct master *m, struct server *server)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->row.id = ++m->conns->last;
	c->row.server = server->slot;
	c->server = server;
	server->connections++;
	c->accepted = clock_ms();
	c->state = CONN_NEW;
	c->fd = c->stream = c->relay = c->acked = -1;
	RB_INSERT(conn_tree, &m->conns->tree, c);
	m->conns->count++;
	m->conns->undecided++;
	return c;
}

static uint32_t
undecided_of(const struct worker *w)
{
	const struct conn *c;
	uint32_t n = 0;

	TAILQ_FOREACH (c, &w->conns, in_worker)
		n += c->state == CONN_LOGIN;
	return n;
}

/* Too many have not logged in: the worker with most of them closes one, which it chooses. */
static void
shed_one(struct master *m)
{
	const struct worker *w, *most = NULL;

	for (w = workers_next(m, NULL); w != NULL; w = workers_next(m, w))
		if (w->child.ready && (most == NULL || undecided_of(w) > undecided_of(most)))
			most = w;
	if (most != NULL)
		workers_shed(m, most->number);
}

static void
conn_accepted(struct master *m, struct server *server, int fd, const struct msg_addr *peer,
	      bool uncounted)
{
	const struct conf_server *s = &server->set;
	struct conn *c = conns_add(m, server);

	if (c == NULL) {
		close(fd);
		listeners_release(m, peer, uncounted);
		return;
	}
	c->row.tls = server->active.socket == SOCKET_TLS ? CONN_TLS_IMPLICIT : CONN_TLS_NONE;
	c->row.stls = server->active.socket == SOCKET_STLS;
	c->row.peer = *peer;
	c->uncounted = uncounted;
	c->row.proxy = conf_networks_given(&s->proxy_from) ? CONN_PROXY_DUE : CONN_PROXY_NONE;
	c->row.trusted = uncounted && c->row.proxy == CONN_PROXY_NONE;
	c->row.clear_ok = login_in_clear_allowed(s, &c->row);
	set_stamp(&c->row, s);
	c->fd = fd;
	conns_set_state(m, c, CONN_WAITING);
	if (c->row.proxy != CONN_PROXY_DUE)
		report_connect(c);
	if (m->conns->undecided > m->conf->max_connections_before_login)
		shed_one(m);
}

const struct ports_calls conns_ports_calls = {.accepted = conn_accepted};

static int
hand_to_worker(struct master *m, struct conn *c, struct worker *w)
{
	conns_set_state(m, c, CONN_LOGIN);
	c->worker = w;
	workers_took(m, w);
	TAILQ_INSERT_TAIL(&w->conns, c, in_worker);
	return evchannel_send(&w->child.ec, MSG_CONN_NEW, &c->row, sizeof(c->row), &c->fd, 1);
}

static void
tell_rows(struct master *m)
{
	struct conn *c;

	RB_FOREACH (c, conn_tree, &m->conns->tree)
		if (c->state != CONN_WAITING && c->state != CONN_SESSION && c->job == NULL)
			tell_row(m, c);
}

/* Workers act on these: the helper must know by then what has changed about the row. */
static void
answer_due(struct master *m)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&m->conns->due)) != NULL && helper_is_clear(m)) {
		struct evchannel *ec = &c->worker->child.ec;
		struct msg_conn_ref ref = {c->row.id};
		struct msg_login_failed failed = {c->row.id, c->failed, 0};

		if (c->due == CONN_DUE_STLS_GO)
			evchannel_put(ec, MSG_STLS_GO, &ref, sizeof(ref));
		else if (c->due == CONN_DUE_RENEWED)
			evchannel_put(ec, MSG_CONN_RENEWED, &c->row, sizeof(c->row));
		else
			evchannel_put(ec, MSG_LOGIN_FAILED, &failed, sizeof(failed));
		conns_set_due(m, c, CONN_DUE_NOTHING);
	}
}

/*
 * A socket leaves for its worker only when its row has left for the helper, or
 * the helper would meet a login of a connection that it does not know.
 */
static void
route(struct master *m)
{
	struct conn *c;
	struct worker *w;

	while ((c = TAILQ_FIRST(&m->conns->waiting)) != NULL && helper_is_clear(m) &&
	       (w = workers_pick(m)) != NULL) {
		c->row.worker = w->number;
		tell_row(m, c);
		if (!helper_is_clear(m))
			return; /* told again when its queue is empty */
		if (hand_to_worker(m, c, w) == -1 && errno == EMFILE)
			conns_free(m, c);
	}
}

void
conns_settle(struct master *m)
{
	answer_due(m);
	route(m);
	conns_settle_grants(m);
}

void
conns_accept(struct master *m)
{
	enum {
		FDS_A_GRANT = 4, /* two ends of a pair, two memfds */
		SHED_ROOM = 64	 /* clients more than may be, until workers have closed as many */
	};
	bool room = m->conns->undecided < m->conf->max_connections_before_login + SHED_ROOM;

	listeners_accept(m, m->state == MASTER_SERVING && TAILQ_EMPTY(&m->conns->waiting) && room,
			 FDS_A_GRANT * m->conns->ngranted);
}

void
conns_start_helper(struct master *m)
{
	const struct conns *cs = m->conns;

	if (cs->nlookups + cs->ngranted + cs->noffered > 0 || !helper_may_start(m))
		return;
	helper_start(m);
	tell_rows(m);
}

void
conns_order_spares(struct master *m)
{
	sessions_settle(m, (uint32_t)m->conns->ngranted);
}

static struct conn *
conn_of_worker(struct master *m, const struct worker *w, conn_id id)
{
	struct conn *c = conns_find(m, id);

	return c != NULL && c->worker == w ? c : NULL;
}

bool
conns_is_of_worker(struct master *m, const struct worker *w, conn_id id)
{
	return conn_of_worker(m, w, id) != NULL;
}

bool
conns_stls_asked(struct master *m, struct worker *w, conn_id id)
{
	struct conn *c = conn_of_worker(m, w, id);

	if (c == NULL || c->state != CONN_LOGIN || !conns_is_known(c) || !c->row.stls ||
	    c->row.tls != CONN_TLS_NONE)
		return false;
	c->row.tls = CONN_TLS_STLS;
	c->row.stls = 0;
	tell_row(m, c);
	conns_set_due(m, c, CONN_DUE_STLS_GO);
	return true;
}

/* What the balancer has said of TLS, if anything: it is for people, and missing without memory. */
static void
keep_balancer_tls(struct conn *c, const struct msg_balancer_tls *said)
{
	if (said->version[0] == '\0' && said->cipher[0] == '\0' && said->client[0] == '\0')
		return;
	c->balancer_tls = malloc(sizeof(*said));
	if (c->balancer_tls != NULL)
		*c->balancer_tls = *said;
}

/*
 * Make the row that of the client that the balancer has announced, or of the balancer itself.
 * Neither is of trusted_networks: what a balancer says gives nobody a right.
 */
static enum conn_proxy
renew(struct master *m, struct conn *c, const struct msg_proxied *said)
{
	const struct conf_server *s = &c->server->set;
	const struct msg_addr balancer = c->row.peer;
	struct msg_addr peer = said->announced != 0 ? said->peer : balancer;
	enum conn_proxy result;

	source_unmap(&peer);
	result = listeners_renew(m, c->server, &balancer, c->uncounted, &peer);
	if (result != CONN_PROXY_TOLD)
		return result;
	c->uncounted = false;
	c->row.peer = peer;
	if (said->announced != 0) {
		c->balancer = balancer;
		keep_balancer_tls(c, &said->facts);
	}
	c->row.clear_ok = login_in_clear_allowed(s, &c->row) || (s->proxy_tls && said->tls != 0);
	set_stamp(&c->row, s);
	return CONN_PROXY_TOLD;
}

bool
conns_proxied(struct master *m, struct worker *w, const struct msg_proxied *said)
{
	struct conn *c = conn_of_worker(m, w, said->id);

	if (c == NULL || c->state != CONN_LOGIN || c->row.proxy != CONN_PROXY_DUE)
		return false;
	c->row.proxy = (uint8_t)renew(m, c, said);
	tell_row(m, c);
	conns_set_due(m, c, CONN_DUE_RENEWED);
	report_connect(c);
	return true;
}

bool
conns_worker_done(struct master *m, struct worker *w, const struct msg_conn_end *end)
{
	struct conn *c = conn_of_worker(m, w, end->id);

	if (c == NULL)
		return false;
	if (end->version != CONN_VERSION_NONE)
		totals_add(TOTAL_HANDSHAKES, end->version - 1, 0, 1);
	if (c->state == CONN_LOGIN || c->state == CONN_GRANTED) {
		report_disconnect(c, end->why, end->failures);
		conns_free(m, c);
		return true;
	}
	/* The client went away while its login was being decided: a session that got
	 * the stream finds out by itself. */
	conns_leave_worker(m, c);
	conns_free_if_done(m, c);
	return true;
}

void
conns_worker_lost(struct master *m, struct worker *w)
{
	struct conn *c, *t;

	TAILQ_FOREACH_SAFE (c, &w->conns, in_worker, t) {
		if (c->state == CONN_LOGIN || c->state == CONN_GRANTED) {
			report_disconnect(c, CONN_END_ERROR, 0);
			conns_free(m, c);
		} else {
			c->worker_lost = c->row.tls != CONN_TLS_NONE;
			conns_leave_worker(m, c);
			conns_free_if_done(m, c);
		}
	}
}

void
conns_drop(struct conn *c)
{
	struct msg_conn_ref ref = {c->row.id};

	if (c->fd != -1)
		shutdown(c->fd, SHUT_RDWR);
	if (c->worker != NULL)
		evchannel_put(&c->worker->child.ec, MSG_CONN_DROP, &ref, sizeof(ref));
	c->dropped = true;
}

void
conns_kill(struct master *m, struct conn *c)
{
	bool told = c->dropped;

	conns_drop(c);
	if (!told && c->session == NULL && (c->state == CONN_LOGIN || c->state == CONN_SESSION))
		conns_set_deadline(m, c);
	if (c->session != NULL)
		sessions_kill(c->session);
	conns_free_if_done(m, c);
}

void
conns_kill_server(struct master *m, struct server *s)
{
	struct conn *c, *t;

	RB_FOREACH_SAFE (c, conn_tree, &m->conns->tree, t)
		if (c->server == s)
			conns_kill(m, c);
}

void
conns_ask_state(struct conn *c)
{
	struct msg_conn_ref ref = {c->row.id};

	if (c->asked)
		return;
	c->asked = true;
	if (c->state == CONN_SESSION && c->session != NULL)
		sessions_ask_state(c->session);
	else if (c->worker != NULL)
		evchannel_put(&c->worker->child.ec, MSG_CONN_STATE_ASK, &ref, sizeof(ref));
	else
		c->asked = false;
}

bool
conns_worker_told_state(struct master *m, const struct worker *w,
			const struct msg_conn_state *state)
{
	struct conn *c = conn_of_worker(m, w, state->id);

	if (c == NULL || c->state == CONN_SESSION)
		return false;
	c->asked = false;
	waiters_wake(m->waiters, WAIT_STATE, state->id, state);
	return true;
}

void
conns_session_told_state(struct master *m, struct conn *c)
{
	c->asked = false;
	waiters_wake(m->waiters, WAIT_STATE, c->row.id, NULL);
}

struct conn *
conns_next(struct master *m, struct conn *c)
{
	return c == NULL ? RB_MIN(conn_tree, &m->conns->tree)
			 : RB_NEXT(conn_tree, &m->conns->tree, c);
}

void
conns_drop_undecided(struct master *m)
{
	struct conn *c, *t;

	RB_FOREACH_SAFE (c, conn_tree, &m->conns->tree, t) {
		if (c->state == CONN_SESSION)
			continue;
		if (c->job == NULL)
			report_disconnect(c, CONN_END_DROPPED, 0);
		conns_free(m, c);
	}
}

size_t
conns_count(const struct master *m)
{
	return m->conns->count;
}

size_t
conns_undecided(const struct master *m)
{
	return m->conns->undecided;
}
