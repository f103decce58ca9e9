#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "daemon/change.h"
#include "daemon/master.h"
#include "daemon/ports/listeners.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/keys.h"
#include "daemon/roles/programs.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/steps.h"
#include "daemon/table/conns.h"
#include "tests/unit/fake_master.h"

struct fake fake = {.now = 1000000};

static pid_t last_pid = 1000000; /* none of them is anybody's */

/* ---- what the kernel does for master ---- */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock == CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	*ts = (struct timespec){(time_t)(fake.now / 1000), (long)(fake.now % 1000 * 1000000)};
	return 0;
}

pid_t
process_start(int program, const char *path, char *const argv[], int channel, void (*before)(void))
{
	(void)program, (void)path, (void)argv, (void)channel, (void)before;
	if (!fake.no_process)
		return ++last_pid;
	errno = EAGAIN;
	return -1;
}

/* No program has to be installed. */
int
programs_open(char *why, size_t cap)
{
	(void)why, (void)cap;
	return 0;
}

int
programs_descriptor(enum role role)
{
	(void)role;
	return -1;
}

const char *
process_status_text(char *dst, size_t cap, int status)
{
	snprintf(dst, cap, "status %d", status);
	return dst;
}

static struct fake_peer *
by_pid(pid_t pid)
{
	struct fake_peer *p;

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->pid == pid)
			break;
	return p;
}

int
kill(pid_t pid, int sig)
{
	struct fake_peer *p = by_pid(pid);

	if (p != NULL && sig == SIGKILL)
		p->killed = true;
	return p != NULL ? 0 : -1;
}

int
pidfd_open(pid_t pid, unsigned flags)
{
	struct fake_peer *p = by_pid(pid);

	(void)flags;
	if (p == NULL || p->ended) {
		errno = ESRCH;
		return -1;
	}
	p->gone = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return p->pidfd = fcntl(p->gone, F_DUPFD_CLOEXEC, 0);
}

int
pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags)
{
	struct fake_peer *p;

	(void)info, (void)flags;
	TAILQ_FOREACH_REVERSE (p, &fake.peers, fake_peers, next)
		if (p->pidfd == pidfd)
			break;
	if (p == NULL || p->ended)
		return -1;
	p->killed = sig == SIGKILL;
	return 0;
}

int
socketpair(int domain, int type, int protocol, int pair[2])
{
	if (!fake.no_pair && (fake.no_pair_at == 0 || --fake.no_pair_at > 0))
		return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
	errno = EMFILE;
	return -1;
}

/* ---- channels (channel_event.h): what is sent is kept, what is said is called ---- */

int
evchannel_open(struct evchannel *ec, struct event_base *base, int fd, enum role self,
	       enum role peer, size_t queue_max, evchannel_msg_fn *msg, evchannel_end_fn *end,
	       void *arg)
{
	struct fake_peer *p = calloc(1, sizeof(*p));

	(void)base;
	if (p == NULL)
		abort();
	*p = (struct fake_peer){.role = peer, .ec = ec, .slow = fake.slow, .pidfd = -1, .gone = -1};
	p->pid = peer == ROLE_SESSION ? ++last_pid : last_pid;
	TAILQ_INIT(&p->got);
	TAILQ_INSERT_TAIL(&fake.peers, p, next);
	memset(ec, 0, sizeof(*ec));
	ec->ch = (struct channel){.fd = fd, .self = self, .peer = peer, .queue_max = queue_max};
	ec->msg = msg;
	ec->end = end;
	ec->arg = arg;
	ec->on_write = (struct event *)p; /* nobody else looks at it */
	return 0;
}

static struct fake_peer *
peer_of(const struct evchannel *ec)
{
	return (struct fake_peer *)ec->on_write;
}

void
evchannel_close(struct evchannel *ec)
{
	if (ec->on_write != NULL) {
		peer_of(ec)->ec = NULL;
		close(ec->ch.fd);
	}
	if (ec->gone != NULL)
		*ec->gone = true;
	memset(ec, 0, sizeof(*ec));
	ec->ch.fd = -1;
}

static void
check_rules(enum role to, enum msg_type type, const void *body, size_t len, size_t nfds)
{
	static struct msg m;

	m.type = type;
	m.len = len;
	m.nfds = nfds;
	if (len > 0)
		memcpy(&m.u, body, len);
	if (msg_check(ROLE_MASTER, to, &m) == -1)
		fake.unlawful++;
}

static void
keep(struct fake_peer *p, enum msg_type type, const void *body, size_t len, size_t nfds)
{
	struct fake_msg *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->type = type;
	m->len = len;
	m->nfds = nfds;
	if (len > 0)
		memcpy(&m->u, body, len < sizeof(m->u) ? len : sizeof(m->u));
	TAILQ_INSERT_TAIL(&p->got, m, next);
}

int
evchannel_send(struct evchannel *ec, enum msg_type type, const void *body, size_t len,
	       const int *fds, size_t nfds)
{
	struct fake_peer *p = peer_of(ec);

	(void)fds;
	errno = EPIPE;
	if (ec->end == NULL)
		return -1;
	check_rules(p->role, type, body, len, nfds);
	fake.sent++;
	if (p->slow && ec->ch.queued == ec->ch.queue_max)
		errno = ENOBUFS;
	else if (!p->ended) {
		keep(p, type, body, len, nfds);
		if (p->slow) {
			ec->ch.queued++;
			ec->ch.first = (struct channel_item *)p;
		}
		return 0;
	}
	if (ec->failed == 0)
		ec->failed = errno;
	return -1;
}

int
evchannel_put(struct evchannel *ec, enum msg_type type, const void *body, size_t len)
{
	return evchannel_send(ec, type, body, len, NULL, 0);
}

void
evchannel_read_dry(struct evchannel *ec)
{
	(void)ec;
}

void
evchannel_pause(struct evchannel *ec)
{
	ec->paused = true;
}

void
evchannel_resume(struct evchannel *ec)
{
	ec->paused = false;
}

bool
evchannel_is_open(const struct evchannel *ec)
{
	return ec->end != NULL;
}

/* ---- what a role does ---- */

void
fake_say(struct fake_peer *p, enum msg_type type, const void *body, size_t len)
{
	static struct msg m;

	if (p->ec == NULL || p->ec->end == NULL || p->ec->paused)
		return;
	m = (struct msg){.type = type, .len = len, .pid = p->pid, .fds = {-1, -1, -1, -1}};
	if (len > 0)
		memcpy(&m.u, body, len);
	if (type == MSG_SPARE || type == MSG_SANDBOX_LOG) {
		m.nfds = 1;
		m.fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	if (msg_check(p->role, ROLE_MASTER, &m) == -1)
		abort(); /* the channel would not have let it through */
	p->ec->msg(p->ec, &m, p->ec->arg);
	msg_discard(&m);
}

void
fake_say_ref(struct fake_peer *p, enum msg_type type, conn_id id)
{
	struct msg_conn_ref ref = {id};

	fake_say(p, type, &ref, sizeof(ref));
}

struct fake_peer *
fake_spare(struct fake_peer *spawner)
{
	const struct fake_peer *last = TAILQ_LAST(&fake.peers, fake_peers);
	struct msg_spare spare = {1};
	struct fake_peer *p;

	fake_say(spawner, MSG_SPARE, &spare, sizeof(spare));
	p = TAILQ_LAST(&fake.peers, fake_peers);
	return p != last ? p : NULL;
}

void
fake_hello(struct fake_peer *p)
{
	if (p != NULL)
		fake_say(p, MSG_HELLO, NULL, 0);
}

void
fake_read(struct fake_peer *p)
{
	struct evchannel *ec = p->ec;
	bool waited = p->slow && ec != NULL && ec->ch.queued > 0;

	p->slow = false;
	if (!waited)
		return;
	ec->ch.queued = 0;
	ec->ch.first = NULL;
	if (ec->drained != NULL)
		ec->drained(ec, ec->arg);
}

void
fake_lose(struct fake_peer *p, int error)
{
	struct evchannel *ec = p->ec;
	evchannel_end_fn *end = ec != NULL ? ec->end : NULL;

	if (end == NULL)
		return;
	ec->end = NULL;
	end(ec, error, ec->arg);
}

void
fake_exit(struct fake_peer *p, int status)
{
	struct fake_peer *spawner = fake_peer(ROLE_SPAWNER, 0);
	uint64_t one = 1;

	if (p->ended)
		return;
	p->ended = true;
	if (p->gone != -1 && write(p->gone, &one, sizeof(one)) == -1)
		abort();
	fake_lose(p, EPIPE);
	if (child_reaped(p->pid, status))
		return;
	if (spawner != NULL && spawner->state != 0) {
		struct msg_exited exited = {p->pid, status};

		fake_say(spawner, MSG_EXITED, &exited, sizeof(exited));
	} else
		sessions_exited(&fake.m, p->pid, status);
}

void
fake_bury(void)
{
	struct fake_peer *p;

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->killed || p->ec == NULL)
			fake_exit(p, p->killed ? SIGKILL : 0);
	fake_loop();
}

/* ---- what a role has got ---- */

unsigned
fake_got(const struct fake_peer *p, enum msg_type type, conn_id id)
{
	const struct fake_msg *m;
	unsigned n = 0;

	TAILQ_FOREACH (m, &p->got, next)
		n += m->type == type && (id == 0 || m->u.ref.id == id);
	return n;
}

const struct fake_msg *
fake_last(const struct fake_peer *p, enum msg_type type)
{
	const struct fake_msg *m;

	TAILQ_FOREACH_REVERSE (m, &p->got, fake_msgs, next)
		if (m->type == type)
			break;
	return m;
}

void
fake_drop(struct fake_peer *p, enum msg_type type)
{
	struct fake_msg *m, *t;

	TAILQ_FOREACH_SAFE (m, &p->got, next, t)
		if (type == 0 || m->type == type) {
			TAILQ_REMOVE(&p->got, m, next);
			free(m);
		}
}

void
fake_forget(struct fake_peer *p)
{
	fake_drop(p, 0);
}

void
fake_pong(struct fake_peer *p)
{
	static const struct msg_ping pong;

	if (fake_got(p, MSG_PING, 0) == 0)
		return;
	fake_drop(p, MSG_PING);
	fake_say(p, MSG_PONG, &pong, sizeof(pong));
}

/* ---- which roles there are ---- */

struct fake_peer *
fake_peer(enum role role, unsigned n)
{
	struct fake_peer *p;

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->role == role && p->ec != NULL && p->ec->end != NULL && n-- == 0)
			break;
	return p;
}

unsigned
fake_count(enum role role)
{
	unsigned n = 0;

	while (fake_peer(role, n) != NULL)
		n++;
	return n;
}

static void
peer_free(struct fake_peer *p)
{
	fake_forget(p);
	TAILQ_REMOVE(&fake.peers, p, next);
	if (p->gone != -1)
		close(p->gone);
	free(p);
}

/* Of the processes that are there, the last one that got such a message about the connection. */
static struct fake_peer *
peer_with(conn_id id, enum msg_type type)
{
	struct fake_peer *p;

	TAILQ_FOREACH_REVERSE (p, &fake.peers, fake_peers, next)
		if (!p->ended && fake_got(p, type, id) > 0)
			break;
	return p;
}

struct fake_peer *
fake_worker_of(conn_id id)
{
	return peer_with(id, MSG_CONN_NEW);
}

struct fake_peer *
fake_session_of(conn_id id)
{
	return peer_with(id, MSG_SERVE);
}

void
fake_grant(conn_id id, const char *user, uint32_t uid)
{
	static struct msg_grant g;

	memset(&g, 0, offsetof(struct msg_grant, account.groups));
	g.id = id;
	snprintf(g.storage, sizeof(g.storage), "maildir");
	snprintf(g.mailbox, sizeof(g.mailbox), "/home/%s/Maildir", user);
	snprintf(g.account.user, sizeof(g.account.user), "%s", user);
	snprintf(g.account.home, sizeof(g.account.home), "/home/%s", user);
	g.account.uid = uid;
	fake_say(fake_peer(ROLE_AUTH, 0), MSG_GRANT, &g,
		 offsetof(struct msg_grant, account.groups));
	fake_loop();
}

void
fake_take(conn_id id)
{
	fake_say_ref(fake_session_of(id), MSG_HAVE_IT, id);
	fake_loop();
}

void
fake_open(conn_id id, enum login_result result)
{
	struct msg_session_open open = {.id = id, .result = result, .messages = 2, .octets = 100};

	fake_say(fake_session_of(id), MSG_SESSION_OPEN, &open, sizeof(open));
	fake_loop();
}

void
fake_conn_end(conn_id id, enum conn_end why)
{
	struct msg_conn_end end = {.id = id, .why = why};

	fake_say(fake_worker_of(id), MSG_CONN_END, &end, sizeof(end));
	fake_loop();
}

void
fake_session_end(conn_id id, enum session_end why)
{
	struct msg_session_end end = {.id = id, .why = why};
	struct fake_peer *p = fake_session_of(id);

	fake_say(p, MSG_SESSION_END, &end, sizeof(end));
	fake_exit(p, 0);
	fake_loop();
}

/* ---- master as a whole ---- */

static void
conf_hear(void *arg, bool is_fault, const char *line)
{
	(void)arg, (void)is_fault;
	puts(line);
}

static struct conf *
conf_of(const char *settings)
{
	static const struct conf_hearer hearer = {conf_hear, NULL};
	char path[] = "/tmp/pop3d-fake-XXXXXX";
	int fd = mkstemp(path);
	struct conf *c = calloc(1, sizeof(*c));

	if (c == NULL || fd == -1 || write(fd, settings, strlen(settings)) == -1 ||
	    conf_load(path, c, &hearer) == -1)
		abort();
	close(fd);
	unlink(path);
	return c;
}

/* The settings of a world before that had the same ones: they are large. */
static struct conf *kept;
static const char *kept_text;

void
fake_begin(const char *settings)
{
	struct master *m = &fake.m;

	if (kept == NULL || kept_text != settings) {
		free(kept);
		kept = conf_of(settings);
		kept_text = settings;
	}
	fake = (struct fake){.now = (fake.now / 1000000 + 1) * 1000000};
	TAILQ_INIT(&fake.peers);
	*m = (struct master){.conf = kept, .rootless = true, .state = MASTER_STARTING};
	log_set_level(kept->log_level);
	if ((m->base = event_base_new()) == NULL || event_base_priority_init(m->base, 2) == -1 ||
	    master_make_parts(m) == -1 || change_find_accounts(m, m->conf) == -1)
		abort();
	listeners_inherit(m);
	if (change_prepare(m, m->conf) == -1)
		abort();
	change_start(m);
	fake_loop();
}

/* Channels that failed while master sent: told from the loop. */
static bool
tell_failed(void)
{
	struct fake_peer *p;

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->ec != NULL && p->ec->end != NULL && p->ec->failed != 0) {
			fake_lose(p, p->ec->failed);
			return true;
		}
	return false;
}

void
fake_loop(void)
{
	do {
		event_base_loop(fake.m.base, EVLOOP_NONBLOCK);
		fake.over |= event_base_got_break(fake.m.base);
	} while (tell_failed());
}

void
fake_pass(uint32_t ms)
{
	while (ms > 0) {
		uint64_t left = 1000 - fake.now % 1000;
		uint32_t step = ms < left ? ms : (uint32_t)left;

		fake.now += step;
		ms -= step;
		if (fake.now % 1000 == 0)
			steps_tick(&fake.m);
		fake_loop();
	}
}

/* Those that were ordered, and those that are ordered meanwhile. */
static void
make_spares(struct fake_peer *spawner)
{
	struct fake_msg *m, *t;

	TAILQ_FOREACH_SAFE (m, &spawner->got, next, t) {
		if (m->type != MSG_SPAWN)
			continue;
		for (uint32_t i = 0; i < m->u.spawn.count; i++)
			fake_hello(fake_spare(spawner));
		fake_loop();
		t = TAILQ_NEXT(m, next);
		m->u.spawn.count = 0;
	}
}

void
fake_all_ready(void)
{
	static const struct msg_ready ready;
	struct fake_peer *p;

	TAILQ_FOREACH (p, &fake.peers, next) {
		if (p->ec == NULL || p->ec->end == NULL)
			continue;
		if (p->role == ROLE_LOGIN && !((struct worker *)p->ec->arg)->child.ready)
			fake_say(p, MSG_READY, &ready, sizeof(ready));
		else if (p->role == ROLE_KEY && !((struct key_process *)p->ec->arg)->child.ready)
			fake_say(p, MSG_READY, &ready, sizeof(ready));
		else if ((p->role == ROLE_AUTH || p->role == ROLE_DISPATCH) &&
			 !helper_child(&fake.m, p->role)->ready)
			fake_say(p, MSG_READY, &ready, sizeof(ready));
		else if (p->role == ROLE_SPAWNER && p->state == 0) {
			p->state = 1;
			fake_say(p, MSG_READY, &ready, sizeof(ready));
		}
		fake_loop();
		if (p->role == ROLE_SPAWNER)
			make_spares(p);
	}
	fake_loop();
}

void
fake_begin_serving(const char *settings)
{
	fake_begin(settings);
	fake_all_ready();
	if (fake.m.state != MASTER_SERVING)
		abort();
}

void
fake_end(void)
{
	struct master *m = &fake.m;
	struct fake_peer *p;

	m->state = MASTER_STOPPING;
	conns_drop_undecided(m);
	workers_kill_all(m);
	keys_stop(m);
	helper_stop(m);
	sessions_stop(m);
	while ((p = TAILQ_FIRST(&fake.peers)) != NULL) {
		fake_exit(p, 0);
		fake_loop();
		peer_free(p);
	}
	listeners_close_all(m);
	master_free_parts(m);
	event_base_free(m->base);
	if (m->conf != kept) {
		free(m->conf);
		kept = NULL; /* the change that brought these has freed them */
	}
}
