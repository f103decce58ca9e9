#include "config.h"

#include "daemon/table/inbox.h"

#include <string.h>
#include <sys/socket.h>

#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "daemon/log/foreign.h"
#include "daemon/table/conns.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/keys.h"
#include "daemon/table/jobs.h"
#include "daemon/table/receipts.h"
#include "daemon/table/report.h"
#include "daemon/roles/sessions.h"
#include "daemon/settle.h"
#include "daemon/table/takeover.h"
#include "daemon/waiters.h"
#include "daemon/roles/workers.h"

/* ---- from a worker ---- */

enum { WORKER_STARTING = 1, WORKER_READY = 2, WORKER_REFUSED = 4 };

static int
worker_state(const void *who, const struct msg *m)
{
	const struct worker *w = who;

	(void)m;
	return w->child.ready ? WORKER_READY : w->refused ? WORKER_REFUSED : WORKER_STARTING;
}

/* No worker writes a line about another's connection. */
static conn_id
own_id(const struct worker *w, conn_id id)
{
	return conns_is_of_worker(w->master, w, id) ? id : 0;
}

static int
worker_log(void *who, struct msg *m)
{
	struct worker *w = who;

	m->u.log.id = own_id(w, m->u.log.id);
	child_log(&w->child, &m->u.log);
	return 0;
}

static int
worker_trace(void *who, struct msg *m)
{
	const struct worker *w = who;

	m->u.trace.id = own_id(w, m->u.trace.id);
	if (w->child.may_trace)
		log_trace(&m->u.trace);
	return 0;
}

static int
worker_pong(void *who, struct msg *m)
{
	struct worker *w = who;

	(void)m;
	w->child.unanswered = 0;
	return 0;
}

static int
worker_sandbox_log(void *who, struct msg *m)
{
	struct worker *w = who;

	child_sandbox_log(&w->child, m);
	return 0;
}

static int
worker_certificate(void *who, struct msg *m)
{
	struct worker *w = who;

	certificates_add(&w->certificates, &m->u.certificate);
	return 0;
}

static int
worker_ready(void *who, struct msg *m)
{
	worker_is_ready(who, &m->u.ready);
	return 0;
}

static int
worker_refused(void *who, struct msg *m)
{
	worker_is_refused(who, m->u.refused.why);
	return 0;
}

static int
worker_stls(void *who, struct msg *m)
{
	struct worker *w = who;

	return conns_stls_asked(w->master, w, m->u.ref.id) ? 0 : INBOX_LATE;
}

static int
worker_proxied(void *who, struct msg *m)
{
	struct worker *w = who;
	uint16_t family = m->u.proxied.peer.family;

	if (m->u.proxied.announced != 0 && family != AF_INET && family != AF_INET6)
		return -1;
	return conns_proxied(w->master, w, &m->u.proxied) ? 0 : INBOX_LATE;
}

static int
worker_conn_state(void *who, struct msg *m)
{
	const struct worker *w = who;

	return conns_worker_told_state(w->master, w, &m->u.conn_state) ? 0 : INBOX_LATE;
}

static int
worker_conn_end(void *who, struct msg *m)
{
	struct worker *w = who;

	return conns_worker_done(w->master, w, &m->u.conn_end) ? 0 : INBOX_LATE;
}

static const struct inbox_row worker_rows[] = {
    {MSG_LOG, INBOX_ALWAYS, 0, worker_log},
    {MSG_TRACE, INBOX_ALWAYS, 0, worker_trace},
    {MSG_PONG, INBOX_ALWAYS, 0, worker_pong},
    {MSG_SANDBOX_LOG, WORKER_STARTING, 0, worker_sandbox_log},
    {MSG_CERTIFICATE, WORKER_STARTING, 0, worker_certificate},
    {MSG_READY, WORKER_STARTING, 0, worker_ready},
    {MSG_REFUSED, WORKER_STARTING, 0, worker_refused},
    {MSG_STLS_ASK, WORKER_READY, 0, worker_stls},
    {MSG_PROXIED, WORKER_READY, 0, worker_proxied},
    {MSG_CONN_STATE, WORKER_READY, 0, worker_conn_state},
    {MSG_CONN_END, WORKER_READY, 0, worker_conn_end},
};

static const struct inbox worker_inbox = {worker_rows, COUNT_OF(worker_rows), worker_state};

static int
from_worker(struct worker *w, struct msg *m)
{
	return inbox_take(&worker_inbox, w, m);
}

static void
worker_lost(struct worker *w)
{
	conns_worker_lost(w->master, w);
}

/* ---- from the key process ---- */

enum { CHILD_STARTING = 1, CHILD_READY = 2 };

static int
child_state(const struct child *c)
{
	return c->ready ? CHILD_READY : CHILD_STARTING;
}

static int
key_state(const void *who, const struct msg *m)
{
	const struct key_process *k = who;

	(void)m;
	return child_state(&k->child);
}

static int
key_log(void *who, struct msg *m)
{
	struct key_process *k = who;

	m->u.log.id = 0;
	child_log(&k->child, &m->u.log);
	return 0;
}

static int
key_pong(void *who, struct msg *m)
{
	struct key_process *k = who;

	(void)m;
	k->child.unanswered = 0;
	return 0;
}

static int
key_sandbox_log(void *who, struct msg *m)
{
	struct key_process *k = who;

	child_sandbox_log(&k->child, m);
	return 0;
}

static int
key_ready(void *who, struct msg *m)
{
	key_is_ready(who, &m->u.ready);
	return 0;
}

static int
key_refused(void *who, struct msg *m)
{
	key_is_refused(who, m->u.refused.why);
	return 0;
}

static const struct inbox_row key_rows[] = {
    {MSG_LOG, INBOX_ALWAYS, 0, key_log},
    {MSG_PONG, INBOX_ALWAYS, 0, key_pong},
    {MSG_SANDBOX_LOG, CHILD_STARTING, 0, key_sandbox_log},
    {MSG_READY, CHILD_STARTING, 0, key_ready},
    {MSG_REFUSED, CHILD_STARTING, 0, key_refused},
};

static const struct inbox key_inbox = {key_rows, COUNT_OF(key_rows), key_state};

static int
from_key(struct key_process *k, struct msg *m)
{
	return inbox_take(&key_inbox, k, m);
}

/* ---- from the auth helper's two processes ---- */

static int
helper_state(const void *who, const struct msg *m)
{
	(void)m;
	return child_state(who);
}

static int
helper_log(void *who, struct msg *m)
{
	child_log(who, &m->u.log);
	return 0;
}

static int
helper_pong(void *who, struct msg *m)
{
	struct child *c = who;

	(void)m;
	c->unanswered = 0;
	return 0;
}

static int
helper_sandbox_log(void *who, struct msg *m)
{
	child_sandbox_log(who, m);
	return 0;
}

static int
helper_got_ready(void *who, struct msg *m)
{
	struct child *c = who;

	(void)m;
	c->ready = true;
	settle_soon(helper_master(c)->settle);
	return 0;
}

/* The dispatcher takes any settings once it is confined; the gate goes on with its former ones. */
static int
helper_refused(void *who, struct msg *m)
{
	struct child *c = who;
	struct master *master = helper_master(c);
	struct role_trouble none = {0};

	if (!c->ready) {
		role_refused(&master->trouble[c->role], c->role, m->u.refused.why);
		settle_soon(master->settle);
	} else if (child_may_log(c)) {
		role_refused(&none, c->role, m->u.refused.why);
		log_warn(0, "pop3d-auth keeps its former settings: mend the configuration, reload");
	}
	return 0;
}

static int
gate_grant(void *who, struct msg *m)
{
	return conns_granted(helper_master(who), &m->u.grant, m->len) ? 0 : INBOX_LATE;
}

static int
gate_found(void *who, struct msg *m)
{
	return jobs_found(helper_master(who), &m->u.found) ? 0 : INBOX_LATE;
}

static const struct inbox_row gate_rows[] = {
    {MSG_LOG, INBOX_ALWAYS, 0, helper_log},
    {MSG_PONG, INBOX_ALWAYS, 0, helper_pong},
    {MSG_READY, CHILD_STARTING, CHILD_READY, helper_got_ready},
    {MSG_REFUSED, CHILD_STARTING | CHILD_READY, 0, helper_refused},
    {MSG_GRANT, CHILD_READY, 0, gate_grant},
    {MSG_FOUND, CHILD_READY, 0, gate_found},
};

static int
dispatcher_auth_failed(void *who, struct msg *m)
{
	if (m->u.auth_failed.result != LOGIN_OK)
		helper_count_refused(helper_master(who));
	report_count_failed(&m->u.auth_failed);
	if (child_may_log(who))
		report_auth_failed(&m->u.auth_failed);
	return 0;
}

static int
dispatcher_failures(void *who, struct msg *m)
{
	helper_keep_failures(helper_master(who), &m->u.failures);
	return 0;
}

static int
dispatcher_worker_bad(void *who, struct msg *m)
{
	workers_kill(helper_master(who), m->u.worker.worker, (int)m->u.worker.error);
	return 0;
}

static const struct inbox_row dispatcher_rows[] = {
    {MSG_LOG, INBOX_ALWAYS, 0, helper_log},
    {MSG_PONG, INBOX_ALWAYS, 0, helper_pong},
    {MSG_SANDBOX_LOG, CHILD_STARTING, 0, helper_sandbox_log},
    {MSG_READY, CHILD_STARTING, CHILD_READY, helper_got_ready},
    {MSG_REFUSED, CHILD_STARTING, 0, helper_refused},
    {MSG_AUTH_FAILED, CHILD_READY, 0, dispatcher_auth_failed},
    {MSG_FAILURES, CHILD_READY, 0, dispatcher_failures},
    {MSG_WORKER_BAD, CHILD_READY, 0, dispatcher_worker_bad},
};

static int
from_helper(struct child *c, struct msg *m)
{
	static const struct inbox gate = {gate_rows, COUNT_OF(gate_rows), helper_state},
				  dispatcher = {dispatcher_rows, COUNT_OF(dispatcher_rows),
						helper_state};

	return inbox_take(c->role == ROLE_AUTH ? &gate : &dispatcher, c, m);
}

/* ---- from a session ---- */

enum {
	SESSION_SPARE = 1,     /* has no grant */
	SESSION_OFFERED = 2,   /* has been given one */
	SESSION_OPENING = 4,   /* has said that it has it */
	SESSION_OPEN = 8,      /* has opened the mailbox */
	SESSION_NOT_OPEN = 16, /* could not */
	SESSION_ENDED = 32,    /* has said how it ended */
	SESSION_JOB = 64,      /* does a job */
	SESSION_GONE = 128,    /* its connection has gone, and it is being killed */
	SESSION_FOREIGN = 256, /* speaks of a connection that it does not have */
	SESSION_HAS_ROW = SESSION_OFFERED | SESSION_OPENING | SESSION_OPEN | SESSION_NOT_OPEN |
			  SESSION_ENDED | SESSION_JOB
};

/* Do its octets begin with the id of the connection that it is about? */
static bool
names_conn(const struct msg *m)
{
	return m->type != MSG_HELLO && m->type != MSG_LOG && m->type != MSG_TRACE;
}

static int
session_state(const void *who, const struct msg *m)
{
	const struct session *s = who;
	const struct conn *c = s->conn;

	if (s->spare)
		return SESSION_SPARE;
	if (c == NULL)
		return SESSION_GONE;
	if (names_conn(m) && m->u.ref.id != c->row.id)
		return SESSION_FOREIGN;
	if (c->state == CONN_OFFERED)
		return SESSION_OFFERED;
	if (c->job != NULL)
		return SESSION_JOB;
	if (s->reported)
		return SESSION_ENDED;
	return !s->opened ? SESSION_OPENING : s->refused ? SESSION_NOT_OPEN : SESSION_OPEN;
}

static int
session_hello(void *who, struct msg *m)
{
	return sessions_hello(who, (pid_t)m->pid);
}

static int
session_log(void *who, struct msg *m)
{
	struct session *s = who;

	/* Whatever it says, its line is about its own connection. */
	m->u.log.id = s->conn != NULL ? s->conn->row.id : 0;
	sessions_log(s, &m->u.log);
	return 0;
}

static int
session_trace(void *who, struct msg *m)
{
	const struct session *s = who;

	m->u.trace.id = s->conn->row.id;
	if (conf_trace(s->master->conf) != 0)
		log_trace(&m->u.trace);
	return 0;
}

static int
session_have_it(void *who, struct msg *m)
{
	const struct session *s = who;

	(void)m;
	conns_taken(s->master, s->conn);
	return 0;
}

static int
session_lock_ask(void *who, struct msg *m)
{
	struct session *s = who;

	return takeover_asked(s->master, s->conn, &m->u.lock_ask) ? 0 : -1;
}

/* A job may ask who has its mailbox, but ends nobody. */
static int
job_lock_ask(struct session *s, const struct msg *m)
{
	return m->u.lock_ask.purpose == LOCK_LOOK &&
		       takeover_asked(s->master, s->conn, &m->u.lock_ask)
		   ? 0
		   : -1;
}

static int
lock_ask(void *who, struct msg *m)
{
	struct session *s = who;

	return s->conn->job != NULL ? job_lock_ask(s, m) : session_lock_ask(s, m);
}

static int
session_open(void *who, struct msg *m)
{
	struct session *s = who;
	const struct msg_session_open *open = &m->u.session_open;

	if (open->result == LOGIN_BAD)
		return -1; /* a password is not its affair */
	s->opened = true;
	s->refused = open->result != LOGIN_OK;
	s->takeover.place = s->refused ? (struct msg_lock_place){0} : open->lock;
	s->messages = open->messages;
	sessions_confined(s->master, open->landlock_abi);
	conns_opened(s->master, s->conn, open);
	if (!s->refused)
		receipts_opened(s->master, s->conn, open);
	return 0;
}

/* No more than there were. */
static int
session_receipt(void *who, struct msg *m)
{
	struct session *s = who;

	if (s->receipts++ >= s->messages)
		return -1;
	receipts_got(s, &m->u.receipt);
	return 0;
}

static int
session_told_end(void *who, struct msg *m)
{
	struct session *s = who;
	uint32_t why = m->u.session_end.why;

	/* Who opened a mailbox has an end to report; only we say who is taken over or killed, and
	 * whose worker ended. */
	if ((why == SESSION_END_REFUSED) != s->refused ||
	    (why == SESSION_END_TAKEOVER && s->takeover.told == 0) || why == SESSION_END_KILLED ||
	    why == SESSION_END_WORKER)
		s->end = session_end_unreported;
	else
		s->end = m->u.session_end;
	s->reported = true;
	s->takeover.place = (struct msg_lock_place){0}; /* given up before */
	return 0;
}

static int
session_job_end(void *who, struct msg *m)
{
	const struct session *s = who;

	jobs_ended(s->conn, &m->u.job_end);
	return 0;
}

static int
session_told_state(void *who, struct msg *m)
{
	const struct session *s = who;

	(void)m;
	conns_session_told_state(s->master, s->conn);
	return 0;
}

static const struct inbox_row session_rows[] = {
    {MSG_HELLO, SESSION_SPARE, 0, session_hello},
    {MSG_LOG, INBOX_ALWAYS, 0, session_log},
    {MSG_TRACE, SESSION_HAS_ROW, SESSION_GONE, session_trace},
    {MSG_HAVE_IT, SESSION_OFFERED, SESSION_GONE, session_have_it},
    {MSG_LOCK_ASK, SESSION_OPENING | SESSION_JOB, SESSION_GONE, lock_ask},
    {MSG_SESSION_OPEN, SESSION_OPENING, SESSION_GONE, session_open},
    {MSG_RECEIPT, SESSION_OPEN, SESSION_GONE, session_receipt},
    {MSG_SESSION_END, SESSION_OPENING | SESSION_OPEN | SESSION_NOT_OPEN, SESSION_GONE,
     session_told_end},
    {MSG_JOB_END, SESSION_JOB, SESSION_GONE, session_job_end},
    {MSG_STATE, SESSION_HAS_ROW, SESSION_GONE, session_told_state},
};

static const struct inbox session_inbox = {session_rows, COUNT_OF(session_rows), session_state};

static int
from_session(struct session *s, struct msg *m)
{
	return inbox_take(&session_inbox, s, m);
}

/* It ended without a report: what its scoreboard tells.  Nothing was deleted before UPDATE. */
static struct msg_session_end
end_unreported(const struct session *s)
{
	struct msg_session_end end = session_end_unreported;
	struct scoreboard_head head;

	if (s->takeover.killed)
		end.why = SESSION_END_TAKEOVER;
	if (!s->opened || s->refused || sessions_read_scoreboard(s, &head, NULL) == -1)
		return end;
	end.retrieved = head.confirmed;
	end.retrieved_octets = head.confirmed_octets;
	end.topped = head.topped;
	end.again = head.again;
	if (head.state != SCOREBOARD_UPDATE) {
		end.deleted = 0;
		end.left = s->messages;
		end.kept = 0;
		end.undone = head.marked;
	}
	return end;
}

/* The process is gone, and with it its descriptors and locks. */
static void
session_gone(struct session *s)
{
	struct master *m = s->master;
	struct conn *c = s->conn;
	bool taken = c != NULL && c->state == CONN_SESSION;
	struct msg_session_end end;

	receipts_end(s);
	if (c == NULL)
		return;
	end = s->reported ? s->end : end_unreported(s);
	if (taken)
		takeover_session_gone(m, c);
	if (taken && s->reported && end.again != UINT64_MAX)
		receipts_ended(m, c, &end, s->messages);
	c->session = NULL;
	if (taken)
		conns_session_gone(m, c, &end);
	else
		conns_not_taken(m, c);
}

const struct role_calls inbox_calls = {
    .worker = from_worker,
    .worker_lost = worker_lost,
    .key = from_key,
    .helper = from_helper,
    .session = from_session,
    .session_gone = session_gone,
};
