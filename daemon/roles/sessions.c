#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "daemon/log/foreign.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "daemon/roles/crashes.h"
#include "daemon/roles/sessions.h"
#include "daemon/settle.h"
#include "daemon/totals.h"

enum { SESSION_QUEUE = 16 /* messages that may wait for one session */ };

TAILQ_HEAD(session_list, session);

struct sessions {
	struct child *spawner;
	uint32_t number;      /* of the spawner that serves */
	struct child *former; /* replaced, until the new one's spares are here; else NULL */
	struct session_list list;
	uint32_t asked;	  /* spares on order */
	uint32_t wanted;  /* by grants that wait for one */
	size_t count;	  /* with a grant */
	uint32_t tainted; /* spawners up to this number had a crash: their spares serve nobody */
	struct crashes *crashes;
	struct backoff backoff;
	struct msg_ready confined; /* what the spawner said of its confinement */
	uint32_t landlock_abi;	   /* of the last session that opened a mailbox */
	bool landlock_told;	   /* there was such a session */
};

const struct msg_session_end session_end_unreported = {.why = SESSION_END_KILLED,
						       .retrieved = UINT64_MAX,
						       .retrieved_octets = UINT64_MAX,
						       .topped = UINT64_MAX,
						       .deleted = UINT64_MAX,
						       .left = UINT64_MAX,
						       .again = UINT64_MAX,
						       .kept = UINT64_MAX,
						       .undone = UINT64_MAX};

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
	uint32_t want = ahead + ss->wanted;
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
	if (!s->spare)
		s->master->sessions->count--;
	evchannel_close(&s->ec);
	if (s->on_gone != NULL)
		event_free(s->on_gone);
	if (s->pidfd != -1)
		close(s->pidfd);
	if (s->scoreboard != -1)
		close(s->scoreboard);
	free(s);
}

void
sessions_kill(struct session *s)
{
	if (s->pidfd != -1)
		pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
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

/* A pidfd of the spare that has spoken, or -1.  Its spawner may have reaped it meanwhile and its
 * pid may be another's: not so if its channel, whose other end it alone has, has not ended by now.
 */
static int
spare_pidfd(const struct session *s, pid_t pid)
{
	struct pollfd channel = {s->ec.ch.fd, 0, 0};
	int fd = pidfd_open(pid, 0);

	if (fd != -1 && poll(&channel, 1, 0) == 1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
sessions_hello(struct session *s, pid_t pid)
{
	struct master *m = s->master;

	if (s->hello || pid <= 0)
		return -1;
	s->pid = pid;
	s->pidfd = spare_pidfd(s, pid);
	s->hello = true;
	if (m->sessions->former != NULL && spares_ready(m->sessions) >= m->conf->session_spares)
		drop_former(m->sessions);
	settle_soon(m->settle);
	return 0;
}

void
sessions_log(struct session *s, const struct msg_log *line)
{
	if (log_admit(&s->bucket, ROLE_SESSION, s->pid, clock_ms()))
		log_foreign(ROLE_SESSION, s->pid, line);
}

void
sessions_confined(struct master *m, uint32_t landlock_abi)
{
	m->sessions->landlock_abi = landlock_abi;
	m->sessions->landlock_told = true;
}

static void
session_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct session *s = arg;

	if (s->master->calls->session(s, msg) == -1)
		session_end(ec, EBADMSG, s);
}

/* Whose session it is, and what it does, for when it turns out to have crashed. */
static struct crash_session
session_whose(const struct session *s)
{
	static const char *const states[SCOREBOARD_STATE_COUNT] = {"login", "trans", "update"};
	struct crash_session whose = {.pid = s->pid, .spawner = s->spawner, .uid = s->uid};
	struct scoreboard_head board = {.state = SCOREBOARD_LOGIN};

	whose.conn = s->id;
	snprintf(whose.user, sizeof(whose.user), "%s", s->user);
	(void)sessions_read_scoreboard(s, &board, NULL);
	snprintf(whose.doing, sizeof(whose.doing), "%s%s%s", states[board.state],
		 board.command[0] != '\0' ? " " : "", board.command);
	return whose;
}

/* The process is gone, and with it its descriptors and locks. */
static void
session_gone(struct session *s)
{
	struct master *m = s->master;
	struct crash_session whose = session_whose(s);

	crashes_remember(m->sessions->crashes, &whose);
	m->calls->session_gone(s);
	session_free(s);
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
	s->pidfd = s->scoreboard = -1;
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

/* Spares of a spawner that had a crash have the memory that was felt out. */
static void
drop_tainted(struct sessions *ss)
{
	struct session *s, *t;

	TAILQ_FOREACH_SAFE (s, &ss->list, next, t)
		if (s->spare && s->spawner <= ss->tainted)
			session_free(s);
}

/* What that process was; with `user` empty a spare, or not known any more. */
static struct crash_session
find_whose(const struct sessions *ss, pid_t pid)
{
	const struct crash_session *gone = crashes_find(ss->crashes, pid);
	const struct session *s;

	TAILQ_FOREACH (s, &ss->list, next)
		if (s->pid == pid)
			return session_whose(s);
	return gone != NULL ? *gone : (struct crash_session){.pid = pid, .spawner = ss->number};
}

static void
session_crashed(struct sessions *ss, const struct crash_session *whose, int status)
{
	char user[LOG_QUOTED_SIZE], doing[4 * sizeof(whose->doing) + 8], id[LOG_ID_SIZE];

	log_warn(whose->conn, "session-crash conn=%s user=%s uid=%u pid=%ld signal=%d doing=%s%s",
		 log_conn(id, whose->conn),
		 log_quote(user, sizeof(user), whose->user, strlen(whose->user)), whose->uid,
		 (long)whose->pid, WTERMSIG(status),
		 log_quote(doing, sizeof(doing), whose->doing, strlen(whose->doing)),
		 WTERMSIG(status) == SIGSYS ? " (outside its sandbox, see sandbox = \"log\")" : "");
	totals_add(TOTAL_CRASHES, 0, 0, 1);
	crashes_count(ss->crashes, whose->uid, whose->user, clock_ms());
}

void
sessions_exited(struct master *m, pid_t pid, int status)
{
	struct sessions *ss = m->sessions;
	struct crash_session whose;
	char text[160];

	/* Of a kill the session-end line tells. */
	if (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return;
	whose = find_whose(ss, pid);
	if (was_crash(status) && whose.user[0] != '\0')
		session_crashed(ss, &whose, status);
	else
		log_warn(0, "session pid=%ld %s", (long)pid,
			 process_status_text(text, sizeof(text), status));
	if (was_crash(status) && whose.spawner > ss->tainted) {
		ss->tainted = whose.spawner;
		drop_tainted(ss);
		settle_soon(m->settle);
	}
}

bool
sessions_keep_out(const struct master *m, uint32_t uid, const char *user)
{
	return crashes_keep_out(m->sessions->crashes, uid, user, clock_ms());
}

/* ---- what the spawner says ---- */

enum { SPAWNER_STARTING = 1, SPAWNER_READY = 2, SPAWNER_FORMER = 4 };

/* Who speaks: the spawner that serves, or the one before it. */
struct speaker {
	struct master *m;
	struct child *child;
};

static int
speaker_state(const void *who, const struct msg *msg)
{
	const struct speaker *s = who;

	(void)msg;
	if (s->child != s->m->sessions->spawner)
		return SPAWNER_FORMER;
	return s->child->ready ? SPAWNER_READY : SPAWNER_STARTING;
}

static int
spawner_log(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	child_log(s->child, &msg->u.log);
	return 0;
}

static int
spawner_pong(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	(void)msg;
	s->child->unanswered = 0;
	return 0;
}

static int
spawner_sandbox_log(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	child_sandbox_log(s->child, msg);
	return 0;
}

/* What a host does without is said once. */
static void
warn_of_lacks(const struct conf *conf)
{
	static bool told;
	const char *lacks = sandbox_lacks(conf->landlock_abi_max);

	if (conf->sandbox == SANDBOX_ON && lacks != NULL && !told)
		log_warn(0, "sandbox: the kernel lacks %s: a session is not confined by it", lacks);
	told = true;
}

static int
spawner_is_ready(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	s->child->ready = true;
	s->m->sessions->confined = msg->u.ready;
	log_info(0, "spawner ready seccomp=%u", msg->u.ready.seccomp);
	warn_of_lacks(s->m->conf);
	settle_soon(s->m->settle);
	return 0;
}

static int
spawner_refused(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	role_refused(&s->m->trouble[ROLE_SPAWNER], ROLE_SPAWNER, msg->u.refused.why);
	settle_soon(s->m->settle);
	return 0;
}

static int
spawner_spare(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	spare_arrived(s->m, msg);
	return 0;
}

static int
spawner_exited(void *who, struct msg *msg)
{
	const struct speaker *s = who;

	sessions_exited(s->m, msg->u.exited.pid, msg->u.exited.status);
	return 0;
}

static const struct inbox_row spawner_rows[] = {
    {MSG_LOG, INBOX_ALWAYS, 0, spawner_log},
    {MSG_PONG, INBOX_ALWAYS, 0, spawner_pong},
    {MSG_SANDBOX_LOG, SPAWNER_STARTING, 0, spawner_sandbox_log},
    {MSG_READY, SPAWNER_STARTING, 0, spawner_is_ready},
    {MSG_REFUSED, SPAWNER_STARTING, 0, spawner_refused},
    {MSG_SPARE, SPAWNER_READY, SPAWNER_FORMER, spawner_spare},
    {MSG_EXITED, SPAWNER_READY | SPAWNER_FORMER, 0, spawner_exited},
};

static const struct inbox spawner_inbox = {spawner_rows, COUNT_OF(spawner_rows), speaker_state};

static void
spawner_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct master *m = arg;
	struct sessions *ss = m->sessions;
	struct speaker s = {m, ec == &ss->spawner->ec ? ss->spawner : ss->former};

	if (inbox_take(&spawner_inbox, &s, msg) == -1)
		spawner_end(ec, EBADMSG, m);
}

/* ---- its start and its end ---- */

static void
spawner_gone(struct master *m)
{
	struct sessions *ss = m->sessions;

	child_kill(ss->spawner);
	m->trouble[ROLE_SPAWNER].lost += !ss->spawner->ready;
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

	if (ec != &ss->spawner->ec) {
		former_free(ss);
		return;
	}
	role_ended(&m->trouble[ROLE_SPAWNER], ss->spawner, error);
	if (m->state != MASTER_STOPPING) {
		totals_add(TOTAL_LOST, ROLE_SPAWNER, 0, 1);
		log_warn(0, "session spawner lost; sessions go on");
	}
	spawner_gone(m);
}

void
sessions_settle(struct master *m, uint32_t waiting)
{
	struct sessions *ss = m->sessions;

	ss->wanted = waiting;
	if (ss->tainted == ss->number && m->state != MASTER_STOPPING)
		sessions_renew(m);
	if (!evchannel_is_open(&ss->spawner->ec) && m->state != MASTER_STOPPING &&
	    backoff_is_over(&ss->backoff, m->settle))
		spawner_start(m);
	order_spares(m);
}

struct sessions *
sessions_new(void)
{
	struct sessions *ss = calloc(1, sizeof(*ss));

	if (ss == NULL)
		return NULL;
	TAILQ_INIT(&ss->list);
	if ((ss->spawner = child_new()) == NULL || (ss->crashes = crashes_new()) == NULL) {
		sessions_free(ss);
		return NULL;
	}
	return ss;
}

void
sessions_free(struct sessions *ss)
{
	if (ss == NULL)
		return;
	free(ss->spawner);
	free(ss->crashes);
	free(ss);
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
sessions_serve(struct session *s, const struct msg_grant *g, size_t len, int stream, int acked)
{
	const struct conf_one_user *one = &s->master->conf->one_user;
	int fds[MSG_FDS_MAX] = {stream};
	size_t nfds = 1;

	s->id = g->id;
	s->uid = g->account.uid;
	memcpy(s->user, g->account.user, sizeof(s->user));
	if (acked != -1)
		fds[nfds++] = acked;
	if ((s->scoreboard = scoreboard_make()) == -1)
		log_warn(g->id, "no scoreboard for a session: %s", strerror(errno));
	else
		fds[nfds++] = s->scoreboard;
	/* A session knows what each is by its place, so without a scoreboard the archive is not
	 * served.
	 */
	for (size_t i = 0; one->on && s->scoreboard != -1 && i < COUNT_OF(one->archive); i++)
		fds[nfds++] = one->archive[i];
	return evchannel_send(&s->ec, MSG_SERVE, g, len, fds, nfds);
}

void
sessions_ask_state(struct session *s)
{
	evchannel_put(&s->ec, MSG_STATE_ASK, NULL, 0);
}

int
sessions_read_scoreboard(const struct session *s, struct scoreboard_head *out, uint32_t **deleted)
{
	return s->scoreboard == -1 ? -1 : scoreboard_read(s->scoreboard, out, deleted);
}

void
sessions_status(const struct master *m, struct sessions_status *out)
{
	const struct sessions *ss = m->sessions;

	*out = (struct sessions_status){.pid = ss->spawner->pid,
					.spares = spares_ready(ss),
					.sessions = ss->count,
					.seccomp = ss->confined.seccomp,
					.landlock_told = ss->landlock_told,
					.landlock_abi = ss->landlock_abi};
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
