#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/process.h"
#include "daemon/change.h"
#include "daemon/control.h"
#include "daemon/jobs.h"
#include "daemon/receipts.h"
#include "daemon/serve.h"
#include "daemon/sessions.h"
#include "daemon/settle.h"
#include "daemon/waiters.h"

enum {
	SESSION_QUEUE = 16,    /* messages that may wait for one session */
	CRASH_INTERVAL = 10000 /* milliseconds: at most one fresh spawner per this after crashes */
};

TAILQ_HEAD(session_list, session);

struct sessions {
	struct child *spawner;
	uint32_t number;      /* of the spawner that serves */
	struct child *former; /* replaced, until the new one's spares are here; else NULL */
	struct session_list list;
	uint32_t asked;	  /* spares on order */
	size_t count;	  /* with a grant */
	uint64_t renewed; /* clock_ms() of the last fresh spawner after a crash */
	bool renew_due;	  /* there was a crash since */
	struct backoff backoff;
	struct msg_ready confined; /* what the spawner said of its confinement */
	uint32_t landlock_abi;	   /* of the last session that opened a mailbox */
	bool landlock_told;	   /* there was such a session */
};

/* Of a session that did not live to tell. */
static const struct msg_session_end end_unreported = {.why = SESSION_END_KILLED,
						      .retrieved = UINT64_MAX,
						      .retrieved_octets = UINT64_MAX,
						      .topped = UINT64_MAX,
						      .deleted = UINT64_MAX,
						      .left = UINT64_MAX,
						      .again = UINT64_MAX};

static void session_end(struct evchannel *ec, int error, void *arg);
static void spawner_end(struct evchannel *ec, int error, void *arg);

static uint32_t
spares_ready(const struct sessions *ss)
{
	const struct session *s;
	uint32_t n = 0;

	TAILQ_FOREACH (s, &ss->list, next)
		n += s->spare && s->hello && s->spawner == ss->number;
	return n;
}

/* Spares in sight, the ones on their way included. */
static uint32_t
spares_in_hand(const struct sessions *ss)
{
	const struct session *s;
	uint32_t n = ss->asked;

	TAILQ_FOREACH (s, &ss->list, next) {
		if (!s->spare)
			break;
		n += s->spawner == ss->number;
	}
	return n;
}

static void
order_spares(struct master *m)
{
	struct sessions *ss = m->sessions;
	uint32_t ahead = m->state == MASTER_STOPPING ? 0 : m->conf->session_spares;
	uint32_t want = ahead + (uint32_t)conns_waiting_grants(m);
	uint32_t have = spares_in_hand(ss);
	struct msg_spawn order = {want > have ? want - have : 0};

	if (order.count == 0 || !ss->spawner->ready)
		return;
	if (evchannel_put(&ss->spawner->ec, MSG_SPAWN, &order, sizeof(order)) == 0)
		ss->asked += order.count;
}

static void
session_free(struct session *s)
{
	TAILQ_REMOVE(&s->master->sessions->list, s, next);
	receipts_forget(s);
	if (!s->spare)
		s->master->sessions->count--;
	evchannel_close(&s->ec);
	if (s->on_gone != NULL)
		event_free(s->on_gone);
	if (s->pidfd != -1)
		close(s->pidfd);
	if (s->page != -1)
		close(s->page);
	free(s);
}

void
sessions_kill(struct session *s)
{
	if (s->pidfd != -1)
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
}

/* The process ends by itself; its sessions live on. */
static void
former_free(struct sessions *ss)
{
	if (ss->former != NULL)
		child_let_go(ss->former);
	free(ss->former);
	ss->former = NULL;
}

/* A new spawner's first spares are here: the old ones, whose memory somebody may have felt out, go.
 */
static void
drop_former(struct sessions *ss)
{
	struct session *s, *t;

	TAILQ_FOREACH_SAFE (s, &ss->list, next, t)
		if (s->spare && s->spawner != ss->number)
			session_free(s);
	former_free(ss);
}

static void
session_hello(struct session *s, pid_t pid)
{
	struct master *m = s->master;

	if (s->hello || pid <= 0)
		return;
	s->pid = pid;
	s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	s->hello = true;
	if (m->sessions->former != NULL && spares_ready(m->sessions) >= m->conf->session_spares)
		drop_former(m->sessions);
	settle_soon(m->settle);
}

/* What a job may say beside, and nobody else: how it ended.  It may ask who has its mailbox, but
 * ends nobody. */
static void
job_msg(struct session *s, const struct msg *msg)
{
	struct conn *c = s->conn;

	if (msg->type == MSG_JOB_END && c->job != NULL && c->state == CONN_SESSION)
		jobs_ended(c, &msg->u.job_end);
	else if (msg->type == MSG_STATE)
		waiters_wake(s->master->waiters, WAIT_STATE, c->row.id, NULL);
	else if (msg->type != MSG_LOCK_ASK || c->state != CONN_SESSION ||
		 msg->u.lock_ask.purpose != LOCK_LOOK || !takeover_asked(s->master, c, &msg->u.lock_ask))
		session_end(&s->ec, EBADMSG, s);
}

static void
session_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct session *s = arg;
	struct conn *c = s->conn;

	if (msg->type == MSG_HELLO)
		session_hello(s, (pid_t)msg->pid);
	else if (msg->type == MSG_LOG) {
		/* Whatever it says, its line is about its own connection. */
		msg->u.log.id = c != NULL ? c->row.id : 0;
		if (log_admit(&s->bucket, ROLE_SESSION, s->pid, clock_ms()))
			log_foreign(ROLE_SESSION, s->pid, &msg->u.log);
	} else if (msg->type == MSG_TRACE && c != NULL &&
		   serve_trace(s->master, s->master->conf) != 0) {
		msg->u.trace.id = c->row.id;
		log_trace(&msg->u.trace);
	} else if (c == NULL || msg->u.ref.id != c->row.id) {
		return; /* about a connection that is not its own */
	} else if (msg->type == MSG_HAVE_IT && c->state == CONN_OFFERED) {
		conns_taken(s->master, c);
	} else if (msg->type == MSG_JOB_END || c->job != NULL) {
		job_msg(s, msg);
	} else if (msg->type == MSG_LOCK_ASK && c->state == CONN_SESSION && !s->opened) {
		if (!takeover_asked(s->master, c, &msg->u.lock_ask))
			session_end(ec, EBADMSG, s);
	} else if (msg->type == MSG_SESSION_OPEN && c->state == CONN_SESSION) {
		/* Said once, and a password is not its affair. */
		if (s->opened || msg->u.session_open.result == LOGIN_BAD) {
			session_end(ec, EBADMSG, s);
			return;
		}
		s->opened = true;
		s->refused = msg->u.session_open.result != LOGIN_OK;
		s->takeover.place =
		    s->refused ? (struct msg_lock_place){0} : msg->u.session_open.lock;
		s->master->sessions->landlock_abi = msg->u.session_open.landlock_abi;
		s->master->sessions->landlock_told = true;
		s->messages = msg->u.session_open.messages;
		conns_opened(s->master, c, &msg->u.session_open);
		if (!s->refused)
			receipts_opened(s->master, c, &msg->u.session_open);
	} else if (msg->type == MSG_RECEIPT && s->opened && !s->reported) {
		/* No more than there were. */
		if (s->receipts++ < s->messages)
			receipts_got(s, &msg->u.receipt);
		else
			session_end(ec, EBADMSG, s);
	} else if (msg->type == MSG_SESSION_END && c->state == CONN_SESSION) {
		s->end = msg->u.session_end;
		/* Whoever opened a mailbox has an end to report; only we say who is taken over. */
		if ((s->end.why == SESSION_END_REFUSED) != s->refused ||
		    (s->end.why == SESSION_END_TAKEOVER && s->takeover.told == 0) ||
		    s->end.why == SESSION_END_KILLED)
			s->end = end_unreported;
		s->reported = true;
		s->takeover.place = (struct msg_lock_place){0}; /* given up before */
	} else if (msg->type == MSG_STATE)
		waiters_wake(s->master->waiters, WAIT_STATE, c->row.id, NULL);
}

/* The process is gone, and with it its descriptors and locks. */
static void
session_gone(struct session *s)
{
	struct master *m = s->master;
	struct conn *c = s->conn;
	bool taken = c != NULL && c->state == CONN_SESSION;
	struct msg_session_end end = end_unreported;

	if (s->reported)
		end = s->end;
	else if (s->takeover.killed)
		end.why = SESSION_END_TAKEOVER;
	if (taken)
		takeover_session_gone(m, c);
	if (taken && end.again != UINT64_MAX)
		receipts_ended(m, c, &end, s->messages);
	if (c != NULL)
		c->session = NULL;
	session_free(s);
	if (taken)
		conns_session_gone(m, c, &end);
	else if (c != NULL)
		conns_not_taken(m, c);
	settle_soon(m->settle);
}

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	session_gone(arg);
}

static void
session_end(struct evchannel *ec, int error, void *arg)
{
	struct session *s = arg;
	struct pollfd gone = {s->pidfd, POLLIN, 0};

	(void)ec, (void)error;
	evchannel_close(&s->ec);
	s->dying = true;
	if (s->pidfd == -1 || poll(&gone, 1, 0) == 1) {
		session_gone(s);
		return;
	}
	/* A process that gave up its channel has no business any more. */
	sessions_kill(s);
	s->on_gone = event_new(s->master->base, s->pidfd, EV_READ, on_gone, s);
	if (s->on_gone == NULL || event_add(s->on_gone, NULL) == -1)
		session_gone(s);
}

static void
spare_arrived(struct master *m, struct msg *msg)
{
	struct sessions *ss = m->sessions;
	struct session *s;
	int fd = msg_take_fd(msg, 0);

	if (ss->asked > 0)
		ss->asked--;
	if (fd == -1)
		return;
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		close(fd);
		return;
	}
	s->master = m;
	s->pidfd = s->page = -1;
	s->spare = true;
	s->spawner = ss->number;
	TAILQ_INSERT_HEAD(&ss->list, s, next);
	if (evchannel_open(&s->ec, m->base, fd, ROLE_MASTER, ROLE_SESSION, SESSION_QUEUE,
			   session_msg, session_end, s) == -1)
		session_free(s);
}

/* A crash may be somebody feeling out the memory that all sessions of a spawner share. */
static bool
was_crash(int status)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGSYS};

	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		if (WIFSIGNALED(status) && WTERMSIG(status) == crashes[i])
			return true;
	return false;
}

static void
renew_if_due(struct master *m)
{
	struct sessions *ss = m->sessions;

	if (!ss->renew_due || m->state != MASTER_SERVING ||
	    (ss->renewed != 0 && clock_ms() - ss->renewed < CRASH_INTERVAL))
		return;
	ss->renew_due = false;
	ss->renewed = clock_ms();
	sessions_renew(m);
}

void
sessions_exited(struct master *m, pid_t pid, int status)
{
	struct sessions *ss = m->sessions;
	char text[160];

	/* Of a kill the session-end line tells. */
	if (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return;
	log_warn(0, "session pid=%ld %s", (long)pid,
		 process_status_text(text, sizeof(text), status));
	ss->renew_due |= was_crash(status);
	settle_soon(m->settle);
}

static void
spawner_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct master *m = arg;
	struct sessions *ss = m->sessions;
	bool current = ec == &ss->spawner->ec;

	if (child_common_msg(current ? ss->spawner : ss->former, msg))
		return;
	if (msg->type == MSG_EXITED) {
		sessions_exited(m, msg->u.exited.pid, msg->u.exited.status);
	} else if (msg->type == MSG_SPARE && current) {
		spare_arrived(m, msg);
	} else if (msg->type == MSG_READY) {
		ss->spawner->ready = true;
		ss->confined = msg->u.ready;
		log_info(0, "spawner ready seccomp=%u", msg->u.ready.seccomp);
		settle_soon(m->settle);
	} else if (msg->type == MSG_REFUSED) {
		change_refuse(m, ROLE_SPAWNER, msg->u.refused.why);
	}
}

static void
spawner_gone(struct master *m)
{
	struct sessions *ss = m->sessions;

	child_kill(ss->spawner);
	if (!ss->spawner->ready)
		change_lost(m, ROLE_SPAWNER);
	ss->spawner->ready = false;
	backoff_lost(&ss->backoff, clock_ms());
	settle_soon(m->settle);
}

static void
spawner_start(struct master *m)
{
	struct sessions *ss = m->sessions;
	struct msg_spawn_conf conf = {.sandbox = m->conf->sandbox,
				      .landlock_abi_max = m->conf->landlock_abi_max,
				      .ps_titles = m->conf->ps_titles,
				      .rootless = m->rootless};

	ss->number++;
	ss->asked = 0;
	if (child_start(ss->spawner, m->base, ROLE_SPAWNER, spawner_msg, spawner_end, m) == -1) {
		log_error(0, "cannot start pop3d-session: %s", strerror(errno));
		spawner_gone(m);
		return;
	}
	ss->spawner->may_report = m->conf->sandbox == SANDBOX_LOG;
	evchannel_put(&ss->spawner->ec, MSG_SPAWN_CONF, &conf, sizeof(conf));
}

static void
spawner_end(struct evchannel *ec, int error, void *arg)
{
	struct master *m = arg;
	struct sessions *ss = m->sessions;

	(void)error;
	if (ec != &ss->spawner->ec) {
		former_free(ss);
		return;
	}
	if (m->state != MASTER_STOPPING)
		log_warn(0, "session spawner lost; sessions go on");
	spawner_gone(m);
}

void
sessions_settle(struct master *m)
{
	struct sessions *ss = m->sessions;

	if (!evchannel_is_open(&ss->spawner->ec) && m->state != MASTER_STOPPING &&
	    backoff_is_over(&ss->backoff, m->settle))
		spawner_start(m);
	renew_if_due(m);
	order_spares(m);
}

struct sessions *
sessions_new(void)
{
	struct sessions *ss = calloc(1, sizeof(*ss));

	if (ss == NULL || (ss->spawner = child_new()) == NULL)
		return NULL;
	TAILQ_INIT(&ss->list);
	return ss;
}

void
sessions_renew(struct master *m)
{
	struct sessions *ss = m->sessions;
	struct child *fresh;

	/* Not ready: a fresh one is on its way already. */
	if (!ss->spawner->ready || (fresh = child_new()) == NULL)
		return;
	former_free(ss);
	ss->former = ss->spawner;
	ss->spawner = fresh;
	spawner_start(m);
}

bool
sessions_ready(const struct master *m)
{
	return m->sessions->spawner->ready && spares_ready(m->sessions) >= m->conf->session_spares;
}

struct session *
sessions_take_spare(struct master *m)
{
	struct session *s, *found = NULL;

	TAILQ_FOREACH (s, &m->sessions->list, next)
		if (s->spare && s->hello && !s->dying &&
		    (found == NULL || s->spawner > found->spawner))
			found = s;
	if (found != NULL) {
		/* Sessions stand behind the spares. */
		TAILQ_REMOVE(&m->sessions->list, found, next);
		TAILQ_INSERT_TAIL(&m->sessions->list, found, next);
		found->spare = false;
		m->sessions->count++;
	}
	return found;
}

int
sessions_serve(struct session *s, const struct msg_grant *g, size_t len, int stream)
{
	int fds[4] = {stream, -1, -1, -1};
	size_t nfds = 1;

	if ((s->page = page_make()) == -1)
		log_warn(g->id, "no page for a session: %s", strerror(errno));
	else
		fds[nfds++] = s->page;
	/* A session knows what each is by its place, so without a page the archive is not served.
	 */
	if (nfds == 2)
		nfds += serve_descriptors(s->master, fds + nfds);
	return evchannel_send(&s->ec, MSG_SERVE, g, len, fds, nfds);
}

void
sessions_ask_state(struct session *s)
{
	evchannel_put(&s->ec, MSG_STATE_ASK, NULL, 0);
}

int
sessions_read_page(const struct session *s, struct session_page *out, uint32_t **deleted)
{
	return s->page == -1 ? -1 : page_read(s->page, out, deleted);
}

void
sessions_say_status(struct master *m, struct ctl *c)
{
	const struct sessions *ss = m->sessions;

	char landlock[16] = "unknown";

	if (ss->landlock_told)
		(void)snprintf(landlock, sizeof(landlock), "%u", ss->landlock_abi);
	ctl_say(c, "spawner\tpid=%ld spares=%u seccomp=%u session_landlock=%s\n",
		(long)ss->spawner->pid, spares_ready(ss), ss->confined.seccomp, landlock);
}

void
sessions_heartbeat(struct master *m)
{
	struct child *c = m->sessions->spawner;

	if (evchannel_is_open(&c->ec) && !child_heartbeat(c)) {
		log_warn(0, "session spawner does not answer");
		spawner_end(&c->ec, ETIMEDOUT, m);
	}
}

void
sessions_stop(struct master *m)
{
	struct sessions *ss = m->sessions;
	struct session *s, *t;

	TAILQ_FOREACH_SAFE (s, &ss->list, next, t)
		if (s->spare)
			session_free(s);
	child_let_go(ss->spawner);
	former_free(ss);
}

void
sessions_kill_all(struct master *m)
{
	struct session *s;

	TAILQ_FOREACH (s, &m->sessions->list, next)
		sessions_kill(s);
}

size_t
sessions_count(const struct master *m)
{
	return m->sessions->count;
}
