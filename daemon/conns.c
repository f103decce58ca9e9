#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/conns.h"
#include "daemon/control.h"
#include "daemon/helper.h"
#include "daemon/limits.h"
#include "daemon/listeners.h"
#include "daemon/report.h"
#include "daemon/serve.h"
#include "daemon/servers.h"
#include "daemon/sessions.h"
#include "daemon/workers.h"

enum {
	GRANT_WAIT = 10000, /* milliseconds that a grant may wait for a session to have it */
	GRANT_TRIES = 2	    /* spares that it is offered to */
};

RB_HEAD(conn_tree, conn);

struct conns {
	struct conn_tree tree;
	struct conn_list waiting; /* CONN_WAITING, oldest first */
	struct conn_list granted; /* CONN_GRANTED, oldest first */
	size_t count, undecided, ngranted;
	bool held;	   /* somebody goes through the table: nobody else may change it */
	bool stls_waiting; /* some connection's go on waits for the helper's queue */
	conn_id last;
};

static int
conn_compare(const struct conn *a, const struct conn *b)
{
	return a->row.id < b->row.id ? -1 : a->row.id > b->row.id;
}

RB_PROTOTYPE(conn_tree, conn, by_id, conn_compare)
RB_GENERATE(conn_tree, conn, by_id, conn_compare)

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

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* Not the worker's any more. */
static void
leave_worker(struct master *m, struct conn *c)
{
	struct worker *w = c->worker;

	if (w == NULL)
		return;
	TAILQ_REMOVE(&w->conns, c, in_worker);
	c->worker = NULL;
	workers_release(m, w);
}

static void
leave_queue(struct master *m, struct conn *c)
{
	if (c->state == CONN_WAITING)
		TAILQ_REMOVE(&m->conns->waiting, c, in_queue);
	else if (c->state == CONN_GRANTED) {
		TAILQ_REMOVE(&m->conns->granted, c, in_queue);
		m->conns->ngranted--;
	}
}

static void
conn_free(struct master *m, struct conn *c)
{
	if (c->state != CONN_SESSION) {
		helper_about(m, MSG_ROW_GONE, c->row.id);
		m->conns->undecided--;
	}
	leave_queue(m, c);
	leave_worker(m, c);
	if (c->session != NULL) {
		c->session->conn = NULL;
		sessions_kill(c->session);
	}
	RB_REMOVE(conn_tree, &m->conns->tree, c);
	m->conns->count--;
	listeners_release(m, &c->row.peer);
	close_fd(&c->fd);
	close_fd(&c->stream);
	close_fd(&c->relay);
	free(c->grant);
	free(c->login);
	control_conn_gone(m, c->row.id);
	serve_disconnected(m, c);
	server_leave(m, c->server);
	free(c);
	master_check_idle(m);
}

/* Nobody serves it any more: neither a worker nor a session. */
static void
free_if_done(struct master *m, struct conn *c)
{
	if (c->worker == NULL && c->session == NULL)
		conn_free(m, c);
}

static bool
login_in_clear_allowed(const struct conf_server *s, const struct msg_addr *peer)
{
	return s->cleartext_login == CLEARTEXT_ALWAYS ||
	       (s->cleartext_login == CLEARTEXT_LOOPBACK && limits_is_loopback(peer));
}

/* The greeting announces APOP where a login by it can come to something. */
static bool
apop_is_on(const struct conf_server *s, const struct msg_conn *row)
{
	return s->apop &&
	       (strncmp(s->auth, "file:", strlen("file:")) == 0 ||
		strncmp(s->auth, "checkpassword:", strlen("checkpassword:")) == 0) &&
	       (row->tls != CONN_TLS_NONE || row->stls || row->clear_ok);
}

void
conns_accepted(struct master *m, struct server *server, int fd, const struct msg_addr *peer)
{
	const struct conf_server *s = &server->set;
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		listeners_release(m, peer);
		return;
	}
	c->row.id = ++m->conns->last;
	c->row.server = server->slot;
	c->server = server;
	server->connections++;
	c->row.tls = server->active.socket == SOCKET_TLS ? CONN_TLS_IMPLICIT : CONN_TLS_NONE;
	c->row.stls = server->active.socket == SOCKET_STLS;
	c->row.clear_ok = login_in_clear_allowed(s, peer);
	c->row.apop = apop_is_on(s, &c->row);
	c->row.peer = *peer;
	c->since = c->accepted = clock_ms();
	c->fd = fd;
	c->stream = c->relay = -1;
	c->state = CONN_WAITING;
	RB_INSERT(conn_tree, &m->conns->tree, c);
	TAILQ_INSERT_TAIL(&m->conns->waiting, c, in_queue);
	m->conns->count++;
	m->conns->undecided++;
	report_connect(c);
	serve_connected(m, c);
	conns_route(m);
}

static int
hand_to_worker(struct master *m, struct conn *c, struct worker *w)
{
	leave_queue(m, c);
	c->state = CONN_LOGIN;
	c->worker = w;
	w->connections++;
	TAILQ_INSERT_TAIL(&w->conns, c, in_worker);
	return evchannel_send(&w->child.ec, MSG_CONN_NEW, &c->row, sizeof(c->row), &c->fd, 1);
}

void
conns_tell_rows(struct master *m)
{
	struct conn *c;

	RB_FOREACH (c, conn_tree, &m->conns->tree)
		if (c->state != CONN_WAITING && c->state != CONN_SESSION)
			helper_row(m, &c->row);
}

/* Tell the worker to begin TLS, once the helper knows of it. */
static void
stls_go(struct conn *c)
{
	struct msg_conn_ref ref = {c->row.id};

	c->stls_going = false;
	evchannel_put(&c->worker->child.ec, MSG_STLS_GO, &ref, sizeof(ref));
}

static void
stls_go_waiting(struct master *m)
{
	struct conn *c;

	if (!m->conns->stls_waiting || !helper_is_clear(m))
		return;
	m->conns->stls_waiting = false;
	RB_FOREACH (c, conn_tree, &m->conns->tree)
		if (c->stls_going && c->worker != NULL)
			stls_go(c);
}

/*
 * A socket leaves for its worker only when its row has left for the helper, or
 * the helper would meet a login of a connection that it does not know.
 */
void
conns_route(struct master *m)
{
	struct conn *c;
	struct worker *w;

	if (m->conns->held)
		return;
	stls_go_waiting(m);
	while ((c = TAILQ_FIRST(&m->conns->waiting)) != NULL && helper_is_clear(m)) {
		if ((w = workers_pick(m)) == NULL) {
			listeners_pause(m);
			return;
		}
		c->row.worker = w->number;
		helper_row(m, &c->row);
		if (!helper_is_clear(m)) {
			/* The helper is behind: its queue's end calls us again. */
			w->used = false;
			return;
		}
		if (hand_to_worker(m, c, w) == -1 && errno == EMFILE)
			conn_free(m, c);
	}
	if (TAILQ_EMPTY(&m->conns->waiting))
		listeners_resume(m);
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

void
conns_stls_asked(struct master *m, struct worker *w, conn_id id)
{
	struct conn *c = conn_of_worker(m, w, id);

	if (c == NULL || c->state != CONN_LOGIN || !c->row.stls || c->row.tls != CONN_TLS_NONE)
		return;
	c->row.tls = CONN_TLS_STLS;
	c->row.stls = 0;
	helper_row(m, &c->row);
	c->stls_going = m->conns->stls_waiting = true;
	stls_go_waiting(m);
}

void
conns_worker_done(struct master *m, struct worker *w, const struct msg_conn_end *end)
{
	struct conn *c = conn_of_worker(m, w, end->id);

	if (c == NULL)
		return;
	if (c->state == CONN_LOGIN) {
		report_disconnect(c, end->why, end->failures);
		conn_free(m, c);
		return;
	}
	/* The client went away while its login was being decided: a session that got
	 * the stream finds out by itself. */
	leave_worker(m, c);
	if (c->state == CONN_GRANTED) {
		report_disconnect(c, end->why, end->failures);
		conn_free(m, c);
	} else
		free_if_done(m, c);
}

void
conns_worker_lost(struct master *m, struct worker *w)
{
	struct conn *c, *t;

	TAILQ_FOREACH_SAFE (c, &w->conns, in_worker, t) {
		if (c->state == CONN_LOGIN || c->state == CONN_GRANTED) {
			report_disconnect(c, CONN_END_ERROR, 0);
			if (c->fd != -1)
				shutdown(c->fd, SHUT_RDWR);
			conn_free(m, c);
		} else {
			leave_worker(m, c);
			free_if_done(m, c);
		}
	}
}

/* ---- from the grant to the session ---- */

static void
grant_failed(struct master *m, struct conn *c, enum login_result result, const char *reason)
{
	struct msg_login_failed failed = {c->row.id, result, 0};

	report_login_failed(c, result, reason);
	leave_queue(m, c);
	c->state = CONN_LOGIN;
	close_fd(&c->stream);
	close_fd(&c->relay);
	free(c->grant);
	free(c->login);
	c->grant = NULL;
	c->login = NULL;
	c->tries = 0;
	helper_about(m, MSG_GRANT_VOID, c->row.id);
	if (c->worker == NULL)
		conn_free(m, c);
	else
		evchannel_put(&c->worker->child.ec, MSG_LOGIN_FAILED, &failed, sizeof(failed));
}

static bool
uid_allowed(const struct master *m, uint32_t uid)
{
	return m->rootless ? uid == geteuid() : uid != 0 && uid >= m->conf->minimum_uid;
}

static size_t
grant_size(const struct msg_grant *g)
{
	return offsetof(struct msg_grant, account.groups) +
	       g->account.ngroups * sizeof(g->account.groups[0]);
}

/* What the session may know beside the account. */
static void
grant_complete(const struct master *m, const struct conn *c, struct msg_grant *g)
{
	memcpy(g->server, c->server->set.name, sizeof(g->server));
	g->tls = c->row.tls;
	g->peer = c->row.peer;
	g->idle_timeout = m->conf->idle_timeout;
	g->missing_maildir = m->conf->missing_maildir;
	g->trace = serve_trace(m, m->conf);
	g->ps_titles = m->conf->ps_titles;
	g->rootless = m->rootless;
}

static struct conn_login *
login_of(const struct msg_grant *g)
{
	struct conn_login *l = calloc(1, sizeof(*l));

	if (l != NULL) {
		memcpy(l->user, g->account.user, sizeof(l->user));
		l->uid = g->account.uid;
		l->mech = g->mech;
		memcpy(l->mailbox, g->mailbox, sizeof(l->mailbox));
		l->facts = g->facts;
	}
	return l;
}

void
conns_granted(struct master *m, const struct msg_grant *grant, size_t len)
{
	struct conn *c = conns_find(m, grant->id);

	if (c == NULL || c->state != CONN_LOGIN) {
		log_debug(grant->id, "grant for a connection that has gone");
		return;
	}
	c->grant = calloc(1, sizeof(*c->grant));
	c->login = login_of(grant);
	if (c->grant == NULL || c->login == NULL) {
		free(c->grant);
		free(c->login);
		c->grant = NULL;
		c->login = NULL;
		return; /* the worker's login_timeout ends it */
	}
	memcpy(c->grant, grant, len);
	grant_complete(m, c, c->grant);
	c->since = clock_ms();
	c->state = CONN_GRANTED;
	TAILQ_INSERT_TAIL(&m->conns->granted, c, in_queue);
	m->conns->ngranted++;
	if (!uid_allowed(m, grant->account.uid)) {
		log_error(grant->id, "auth helper granted uid %u", grant->account.uid);
		grant_failed(m, c, LOGIN_PERM, "uid not allowed");
		return;
	}
	conns_offer(m);
}

/* The stream that a session will have: the socket itself, or one end of a pair with TLS. */
static int
stream_make(struct conn *c)
{
	int pair[2];

	if (c->row.tls == CONN_TLS_NONE || c->stream != -1)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		return -1;
	c->stream = pair[0];
	c->relay = pair[1];
	return 0;
}

static void
offer_one(struct master *m, struct conn *c, struct session *s)
{
	int stream;

	if (stream_make(c) == -1) {
		log_error(c->row.id, "no stream for a session: %s", strerror(errno));
		grant_failed(m, c, LOGIN_TEMP, "no descriptor");
		return;
	}
	stream = c->row.tls == CONN_TLS_NONE ? c->fd : c->stream;
	leave_queue(m, c);
	c->state = CONN_OFFERED;
	c->tries++;
	c->session = s;
	s->conn = c;
	sessions_serve(s, c->grant, grant_size(c->grant), stream);
}

void
conns_offer(struct master *m)
{
	struct session *s;

	while (!TAILQ_EMPTY(&m->conns->granted) && (s = sessions_take_spare(m)) != NULL)
		offer_one(m, TAILQ_FIRST(&m->conns->granted), s);
}

void
conns_taken(struct master *m, struct conn *c)
{
	struct msg_conn_ref ref = {c->row.id};
	bool tls = c->row.tls != CONN_TLS_NONE;

	c->state = CONN_SESSION;
	m->conns->undecided--;
	/* Without its end of the pair the worker can do nothing for it. */
	if (c->worker != NULL && evchannel_send(&c->worker->child.ec, MSG_LOGIN_TAKEN, &ref,
						sizeof(ref), &c->relay, tls ? 1 : 0) == -1)
		evchannel_put(&c->worker->child.ec, MSG_CONN_DROP, &ref, sizeof(ref));
	/* Without TLS the worker has nothing left to do with it. */
	if (!tls)
		leave_worker(m, c);
	close_fd(&c->fd);
	close_fd(&c->stream);
	close_fd(&c->relay);
	free(c->grant);
	c->grant = NULL;
}

void
conns_opened(struct master *m, struct conn *c, const struct msg_session_open *open)
{
	static const char *const reasons[] = {[LOGIN_BAD] = "mailbox",
					      [LOGIN_TEMP] = "mailbox unavailable",
					      [LOGIN_PERM] = "mailbox broken",
					      [LOGIN_IN_USE] = "mailbox in use"};

	if (open->result == LOGIN_OK) {
		report_login(c, open);
		helper_about(m, MSG_GRANT_TAKEN, c->row.id);
	} else
		report_login_failed(c, open->result, reasons[open->result]);
}

void
conns_session_gone(struct master *m, struct conn *c, const struct msg_session_end *end)
{
	if (end->why != SESSION_END_REFUSED)
		report_session_end(c, end);
	helper_about(m, MSG_ROW_GONE, c->row.id);
	c->session = NULL;
	free_if_done(m, c);
	if (end->why != SESSION_END_REFUSED)
		serve_session_ended(m);
}

void
conns_not_taken(struct master *m, struct conn *c)
{
	c->session = NULL;
	if (c->worker == NULL) {
		conn_free(m, c);
		return;
	}
	if (c->tries >= GRANT_TRIES) {
		grant_failed(m, c, LOGIN_TEMP, "no session");
		return;
	}
	c->state = CONN_GRANTED;
	TAILQ_INSERT_HEAD(&m->conns->granted, c, in_queue);
	m->conns->ngranted++;
	conns_offer(m);
}

size_t
conns_settle_grants(struct master *m)
{
	struct conn *c, *t;
	size_t offered = 0;

	TAILQ_FOREACH_SAFE (c, &m->conns->granted, in_queue, t)
		grant_failed(m, c, LOGIN_TEMP, "auth helper lost");
	RB_FOREACH (c, conn_tree, &m->conns->tree)
		offered += c->state == CONN_OFFERED;
	return offered;
}

void
conns_tick(struct master *m)
{
	struct conn *c, *t;
	uint64_t now = clock_ms();

	TAILQ_FOREACH_SAFE (c, &m->conns->granted, in_queue, t)
		if (now - c->since > GRANT_WAIT)
			grant_failed(m, c, LOGIN_TEMP, "no session");
	RB_FOREACH (c, conn_tree, &m->conns->tree)
		if (c->state == CONN_OFFERED && now - c->since > GRANT_WAIT)
			sessions_kill(c->session); /* its end calls conns_not_taken */
}

void
conns_kill(struct master *m, struct conn *c)
{
	struct msg_conn_ref ref = {c->row.id};
	struct worker *w = c->worker;
	struct session *s = c->session;

	/* Whatever a worker still does with it: the socket is dead. */
	if (c->fd != -1)
		shutdown(c->fd, SHUT_RDWR);
	if (w != NULL)
		evchannel_put(&w->child.ec, MSG_CONN_DROP, &ref, sizeof(ref));
	if (s != NULL)
		sessions_kill(s);
	if (w == NULL && s == NULL)
		conn_free(m, c);
}

void
conns_kill_server(struct master *m, struct server *s)
{
	struct conn *c, *t;

	s->connections++; /* keeps it while we go through */
	m->conns->held = true;
	RB_FOREACH_SAFE (c, conn_tree, &m->conns->tree, t)
		if (c->server == s)
			conns_kill(m, c);
	m->conns->held = false;
	server_leave(m, s);
	conns_route(m);
}

void
conns_ask_state(struct conn *c)
{
	struct msg_conn_ref ref = {c->row.id};

	if (c->state == CONN_SESSION && c->session != NULL)
		sessions_ask_state(c->session);
	else if (c->worker != NULL)
		evchannel_put(&c->worker->child.ec, MSG_CONN_STATE_ASK, &ref, sizeof(ref));
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

	m->conns->held = true;
	RB_FOREACH_SAFE (c, conn_tree, &m->conns->tree, t) {
		if (c->state == CONN_SESSION)
			continue;
		if (c->fd != -1)
			shutdown(c->fd, SHUT_RDWR);
		report_disconnect(c, CONN_END_DROPPED, 0);
		conn_free(m, c);
	}
	m->conns->held = false;
}

size_t
conns_count(const struct master *m)
{
	return m->conns->count;
}

size_t
conns_waiting_grants(const struct master *m)
{
	return m->conns->ngranted;
}

size_t
conns_undecided(const struct master *m)
{
	return m->conns->undecided;
}
