/*
 * How long a row may stay in its state, and what happens then.  Workers and
 * sessions end by themselves what takes too long; the limits here are longer,
 * and are for those that do not: stopped, stuck or taken.
 */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/log.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/table/conns_priv.h"
#include "daemon/table/jobs.h"
#include "daemon/table/report.h"

/* Milliseconds. */
enum {
	SPARE_MS = 10000,     /* that a grant waits for a session, and for each of them */
	OPENING_MS = 1800000, /* that a session takes to open the largest mailbox */
	MARGIN_MS = 30000,    /* beyond what worker and session keep to by themselves */
	LOOK_MS = 1000,	      /* between two looks */
	STILL_MS = 5000	      /* without a look: master itself did not run */
};

/* ---- the limits ---- */

static uint64_t
waiting_ms(const struct conf *conf, const struct conn *c)
{
	(void)c;
	return (uint64_t)conf->login_timeout * 1000;
}

/* The last line may come at the end of the whole time, a handshake or a decision follows it, and
 * another silence. */
static uint64_t
login_ms(const struct conf *conf, const struct conn *c)
{
	uint64_t seconds = (uint64_t)conf_login_limit(conf) + conf->handshake_timeout +
			   conf_decision_timeout(conf) + conf->password_timeout;

	return c->dropped ? MARGIN_MS : seconds * 1000 + MARGIN_MS;
}

static uint64_t
decision_ms(const struct conf *conf, const struct conn *c)
{
	(void)c;
	return (uint64_t)conf_decision_timeout(conf) * 1000;
}

static uint64_t
spare_ms(const struct conf *conf, const struct conn *c)
{
	(void)conf, (void)c;
	return SPARE_MS;
}

static uint64_t
idle_ms(const struct conn *c)
{
	return (uint64_t)c->idle_timeout * 1000;
}

/* Opening its mailbox; serving its client; gone, and the worker sends what is left. */
static uint64_t
session_ms(const struct conf *conf, const struct conn *c)
{
	(void)conf;
	if (c->job != NULL)
		return 0; /* it ends with who asked for it (jobs.h) */
	if (c->session == NULL)
		return c->dropped ? MARGIN_MS : idle_ms(c) + MARGIN_MS;
	return c->session->opened ? idle_ms(c) : OPENING_MS;
}

/* ---- what happens then ---- */

static void
waiting_too_long(struct master *m, struct conn *c)
{
	report_disconnect(c, CONN_END_TIMEOUT, 0);
	conns_free(m, c);
}

/* Its worker is told to end it.  One that does not is itself at fault. */
static void
kept_too_long(struct master *m, struct conn *c)
{
	if (!c->dropped) {
		conns_drop(c);
		c->deadline = clock_ms() + MARGIN_MS;
		return;
	}
	log_warn(c->row.id, "worker=%u does not end a connection", c->worker->number);
	workers_kill(m, c->worker->number, ETIMEDOUT);
}

static void
looked_up_too_long(struct master *m, struct conn *c)
{
	jobs_fail(m, c, "the auth helper does not answer");
}

static void
granted_too_long(struct master *m, struct conn *c)
{
	conns_grant_failed(m, c, LOGIN_TEMP, "no session");
}

static void
offered_too_long(struct master *m, struct conn *c)
{
	(void)m;
	sessions_kill(c->session); /* its end calls conns_not_taken */
}

/* For how long it has waited for a client that did nothing; 0: it works, or cannot be judged. */
static uint64_t
silent_ms(const struct conn *c)
{
	uint64_t now = clock_ms();
	struct scoreboard_head p;

	if (sessions_read_scoreboard(c->session, &p, NULL) == -1 ||
	    p.wait != SCOREBOARD_WAIT_CLIENT)
		return 0;
	return p.active < now ? now - p.active : 0;
}

/* A session that has worked for long has an old mark of activity when it comes to wait, so one
 * look proves nothing. */
static bool
is_overdue(struct conn *c)
{
	uint64_t silent = silent_ms(c), limit = idle_ms(c);

	c->overdue = silent > limit ? c->overdue + 1 : 0;
	c->deadline = clock_ms() + (silent > limit ? LOOK_MS : limit - silent);
	return c->overdue > MARGIN_MS / LOOK_MS;
}

static void
session_too_long(struct master *m, struct conn *c)
{
	if (c->session == NULL) {
		kept_too_long(m, c);
		return;
	}
	if (c->session->opened && !is_overdue(c))
		return;
	log_warn(c->row.id, "session pid=%ld is killed: it %s", (long)c->session->pid,
		 c->session->opened ? "outlives idle_timeout" : "does not open its mailbox");
	sessions_kill(c->session);
	c->deadline = clock_ms() + MARGIN_MS;
}

static const struct {
	uint64_t (*ms)(const struct conf *conf, const struct conn *c);
	void (*over)(struct master *m, struct conn *c);
} deadlines[] = {
    [CONN_WAITING] = {waiting_ms, waiting_too_long},
    [CONN_LOGIN] = {login_ms, kept_too_long},
    [CONN_LOOKUP] = {decision_ms, looked_up_too_long},
    [CONN_GRANTED] = {spare_ms, granted_too_long},
    [CONN_OFFERED] = {spare_ms, offered_too_long},
    [CONN_SESSION] = {session_ms, session_too_long},
};

void
conns_set_deadline(struct master *m, struct conn *c)
{
	uint64_t ms = deadlines[c->state].ms(m->conf, c);

	c->deadline = ms != 0 ? clock_ms() + ms : 0;
	c->overdue = 0;
}

/* ---- the look at all of them ---- */

/* Without the helper that gave it a grant comes to nothing, nor is a job's user found. */
static void
expire_with_helper(struct master *m)
{
	struct conn *c;

	if (helper_runs(m))
		return;
	jobs_helper_lost(m);
	while ((c = TAILQ_FIRST(&m->conns->granted)) != NULL)
		conns_grant_failed(m, c, LOGIN_TEMP, "auth helper lost");
}

/* What happens to one may end others, so the next one is found anew. */
static void
expire_all(struct master *m, uint64_t now)
{
	struct conn *c = conns_next(m, NULL), key;

	while (c != NULL) {
		key.row.id = c->row.id + 1;
		if (c->deadline != 0 && now >= c->deadline)
			deadlines[c->state].over(m, c);
		c = RB_NFIND(conn_tree, &m->conns->tree, &key);
	}
}

void
conns_expire(struct master *m)
{
	struct conns *cs = m->conns;
	uint64_t now = clock_ms(), since = now - cs->looked;

	expire_with_helper(m);
	if (since < LOOK_MS)
		return;
	cs->looked = now;
	/* What was said meanwhile is heard first. */
	if (since < STILL_MS)
		expire_all(m, now);
}
