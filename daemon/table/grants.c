/*
 * The way of a connection from the gate's grant to the session that has it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/acked.h"
#include "common/clock.h"
#include "common/count.h"
#include "common/log.h"
#include "daemon/remember.h"
#include "daemon/table/conns_priv.h"
#include "daemon/table/exposed.h"
#include "daemon/roles/helper.h"
#include "daemon/table/jobs.h"
#include "daemon/table/report.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/sessions.h"
#include "daemon/totals.h"

enum {
	GRANT_TRIES = 2 /* spares that a grant is offered to */
};

void
conns_grant_failed(struct master *m, struct conn *c, enum login_result result, const char *reason)
{
	if (c->job != NULL) {
		jobs_fail(m, c, reason);
		return;
	}
	report_login_failed(c, result, reason);
	conns_set_state(m, c, CONN_LOGIN);
	conns_close_fd(&c->stream);
	conns_close_fd(&c->relay);
	conns_close_fd(&c->acked);
	free(c->grant);
	free(c->login);
	c->grant = NULL;
	c->login = NULL;
	c->tries = 0;
	helper_grant_void(m, c->row.id);
	if (c->worker == NULL)
		conns_free(m, c);
	else {
		c->failed = result;
		conns_set_due(m, c, CONN_DUE_FAILED);
	}
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
	g->idle_timeout = c->idle_timeout;
	g->memory = m->conf->session_memory;
	g->missing_maildir = m->conf->missing_maildir;
	g->had_mail = remember_had_mail(g->account.uid, g->mailbox);
	g->mbox_format = (uint16_t)c->server->set.mbox_format;
	g->mbox_split = (uint16_t)c->server->set.mbox_split;
	memcpy(g->mbox_journal, c->server->set.mbox_journal, sizeof(g->mbox_journal));
	g->trace = conf_trace(m->conf);
	g->ps_titles = m->conf->ps_titles;
	g->rootless = m->rootless;
}

static bool
is_session_of(const struct conn *c, const struct server *server, const struct conn_login *login)
{
	bool lives = c->state == CONN_GRANTED || (c->session != NULL && !c->session->reported);

	return lives && c->job == NULL && c->server == server && c->login->uid == login->uid &&
	       strcmp(c->login->user, login->user) == 0;
}

/* More sessions of that user on that server than it allows, `c` included?  Others may have the same
 * uid, or on another server the same name: they do not keep out each other. */
static bool
too_many_sessions(struct master *m, const struct conn *c)
{
	uint32_t most = c->server->set.max_sessions_per_user, n = 0;

	for (const struct conn *i = conns_next(m, NULL); i != NULL && most > 0;
	     i = conns_next(m, (struct conn *)(uintptr_t)i))
		n += is_session_of(i, c->server, c->login);
	return n > most;
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
		l->granted = clock_ms();
	}
	return l;
}

void
conns_grant(struct master *m, struct conn *c, struct msg_grant *grant)
{
	struct conn_login *login = grant != NULL ? login_of(grant) : NULL;

	if (login == NULL) {
		free(grant);
		conns_grant_failed(m, c, LOGIN_TEMP, "no memory");
		return;
	}
	free(c->login);
	c->login = login;
	c->grant = grant;
	c->idle_timeout = m->conf->idle_timeout;
	grant_complete(m, c, c->grant);
	conns_set_state(m, c, CONN_GRANTED);
	if (!uid_allowed(m, grant->account.uid)) {
		log_error(grant->id, "auth helper granted uid %u", grant->account.uid);
		conns_grant_failed(m, c, LOGIN_PERM, "uid not allowed");
	} else if (c->job == NULL &&
		   sessions_keep_out(m, grant->account.uid, grant->account.user)) {
		conns_grant_failed(m, c, LOGIN_TEMP, "session crashed");
	} else if (c->job == NULL && too_many_sessions(m, c)) {
		conns_grant_failed(m, c, LOGIN_IN_USE, "max_sessions_per_user");
	}
}

bool
conns_granted(struct master *m, const struct msg_grant *grant, size_t len)
{
	struct conn *c = conns_find(m, grant->id);
	struct msg_grant *own;

	if (c == NULL || c->state != CONN_LOGIN || !conns_is_known(c))
		return false;
	if ((own = calloc(1, sizeof(*own))) != NULL)
		memcpy(own, grant, len);
	totals_time(TOTAL_CHECK_TIME, grant->check_ms);
	conns_grant(m, c, own);
	return true;
}

/* Is the session's stream one end of a pair, or the client's socket itself? */
static bool
has_pair(const struct conn *c)
{
	return c->row.tls != CONN_TLS_NONE || c->job != NULL;
}

/* Make that pair, and with TLS the memfd in which the worker tells what was acknowledged. */
static int
stream_make(struct conn *c)
{
	int pair[2];

	if (!has_pair(c) || c->stream != -1)
		return 0;
	if (c->row.tls != CONN_TLS_NONE && (c->acked = acked_make()) == -1)
		return -1;
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
		sessions_kill(s); /* no spare any more, and nobody's: it would wait for ever */
		conns_grant_failed(m, c, LOGIN_TEMP, "no descriptor");
		return;
	}
	stream = has_pair(c) ? c->stream : c->fd;
	conns_set_state(m, c, CONN_OFFERED);
	c->tries++;
	c->session = s;
	s->conn = c;
	sessions_serve(s, c->grant, grant_size(c->grant), stream, c->acked);
	if (c->job != NULL)
		jobs_send(c, s);
}

void
conns_settle_grants(struct master *m)
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
	const int fds[] = {c->relay, c->acked};

	conns_set_state(m, c, CONN_SESSION);
	c->login->since = (int64_t)time(NULL);
	m->conns->undecided--;
	if (c->job != NULL)
		jobs_taken(m, c);
	/* Without its end of the pair the worker can do nothing for it. */
	if (c->worker != NULL && evchannel_send(&c->worker->child.ec, MSG_LOGIN_TAKEN, &ref,
						sizeof(ref), fds, tls ? COUNT_OF(fds) : 0) == -1)
		evchannel_put(&c->worker->child.ec, MSG_CONN_DROP, &ref, sizeof(ref));
	/* Without TLS the worker has nothing left to do with it. */
	if (!tls)
		conns_leave_worker(m, c);
	conns_close_fd(&c->fd);
	conns_close_fd(&c->stream);
	conns_close_fd(&c->relay);
	conns_close_fd(&c->acked);
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

	conns_set_deadline(m, c);
	if (open->result == LOGIN_OK) {
		totals_time(TOTAL_LOGIN_TIME, clock_ms() - c->login->granted);
		report_login(c, open);
		if (open->exposed != EXPOSED_NOTHING &&
		    exposed_is_due(c->server->set.name, c->login->user, clock_ms()))
			report_exposed(c, (enum exposed)open->exposed);
		if (open->messages > 0)
			remember_mail(c->login->uid, c->login->mailbox);
	} else {
		report_login_failed(c, open->result, reasons[open->result]);
		helper_row_gone(m, c->row.id); /* the session may stay to say so again */
	}
}

void
conns_session_gone(struct master *m, struct conn *c, const struct msg_session_end *end)
{
	if (c->job != NULL) {
		c->session = NULL;
		conns_free(m, c);
		return;
	}
	/* A lost worker looks like that to its session, which may be gone before we hear of the
	 * worker's end. */
	c->end = *end;
	c->end_due = end->why == SESSION_END_CLIENT && c->worker != NULL;
	if (!c->end_due)
		conns_report_end(c);
	helper_row_gone(m, c->row.id);
	c->session = NULL;
	c->asked = false;
	conns_set_deadline(m, c);
	conns_free_if_done(m, c);
	if (end->why != SESSION_END_REFUSED)
		report_session_over(m);
}

void
conns_not_taken(struct master *m, struct conn *c)
{
	c->session = NULL;
	if (c->worker == NULL) {
		conns_free(m, c);
		return;
	}
	if (c->tries >= GRANT_TRIES) {
		conns_grant_failed(m, c, LOGIN_TEMP, "no session");
		return;
	}
	conns_set_state(m, c, CONN_GRANTED);
}
