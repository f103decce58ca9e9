/*
 * Random sequences of events against master's tables, with fake roles that do
 * what real ones may do at any moment, and now and then what they may not.
 * After each event everything that master promises must hold; at the end of a
 * sequence, when the roles behave, all must come to rest.
 *
 * POP3D_MODEL_SEQUENCES: how many (default 2000).  A sequence that fails is
 * told by its seed and the shortest part of it that fails; POP3D_MODEL_SEED=N
 * runs that one and prints its events.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/change.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/steps.h"
#include "daemon/table/conns_priv.h"
#include "daemon/table/jobs.h"
#include "daemon/waiters.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

enum {
	SEQUENCES = 2000,
	BATCH = 1000,
	EVENTS_MAX = 60,
	HANG_SECONDS = 20,  /* of processor time that a sequence may take */
	REST_SECONDS = 200, /* of the fake clock, for all to come to rest */
	REQUESTS = 64,
	ROWS = 1024 /* that a sequence has at most */
};

/* Milliseconds, as DESIGN 5.9 has them. */
enum {
	GRANT_LIMIT = 10000,
	OPENING_LIMIT = 1800000,
	MARGIN = 30000,
	SLACK = 3000,	      /* looks are a second apart */
	CHANGE_LIMIT = 660000 /* of a change: its turn comes in ten minutes */
};

#define SETTINGS_END                                                                               \
	"log = stderr log_level = error login_timeout = 60 password_timeout = 60 idle_timeout = "  \
	"60\n"                                                                                     \
	"server tls { port = 1 socket = 'plain+stls' auth = '' certificate = '/c' "                \
	"certificate_key = '/k' }\n"

static const char *const settings[] = {
    "login_workers = 2 worker_connections = 2 session_spares = 1\n"
    "server plain { port = 2 socket = plain auth = '' }\n" SETTINGS_END,
    "login_workers = 3 worker_connections = 1 session_spares = 2\n"
    "server plain { port = 2 socket = plain auth = '' }\n" SETTINGS_END,
    "login_workers = 1 worker_connections = 64 session_spares = 3\n"
    "server plain { port = 2 socket = plain auth = '' }\n" SETTINGS_END,
};

/* ---- chance ---- */

static uint64_t chance;

static uint32_t
any(uint32_t n)
{
	chance ^= chance >> 12;
	chance ^= chance << 25;
	chance ^= chance >> 27;
	return (uint32_t)((chance * UINT64_C(2685821657736338717)) >> 33) % n;
}

static bool
one_in(uint32_t n)
{
	return any(n) == 0;
}

/* ---- what went wrong ---- */

static struct {
	uint64_t seed;
	unsigned step;
	const char *event;
	bool tell;    /* every event */
	bool no_pair; /* descriptors have been missing: channels may wait for their turn */
	char fault[160];
} run;

static void __attribute__((format(printf, 1, 2))) fault(const char *fmt, ...)
{
	va_list ap;

	if (run.fault[0] != '\0')
		return;
	va_start(ap, fmt);
	(void)vsnprintf(run.fault, sizeof(run.fault), fmt, ap);
	va_end(ap);
}

/* A crash or a loop without an end: the seed is what is needed. */
static void
on_signal(int sig)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "\nsignal %d: seed %llu, event %u, %s\n", sig,
			 (unsigned long long)run.seed, run.step, run.event);

	(void)!write(STDOUT_FILENO, text, (size_t)n);
	_exit(1);
}

/* ---- requests: who waits for what, and how long he may ---- */

static struct request {
	struct waiter w;
	uint64_t limit; /* clock_ms(); 0: answered, or free */
} requests[REQUESTS];

static void
on_answer(struct waiter *w, const void *result)
{
	(void)result;
	((struct request *)w)->limit = 0;
}

static void
ask(enum wait_kind kind, uint64_t id, uint64_t ms)
{
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		if (requests[i].limit == 0) {
			requests[i].limit = fake.now + ms;
			waiters_add(fake.m.waiters, &requests[i].w, kind, id, on_answer);
			return;
		}
}

static void
requests_drop(void)
{
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		if (requests[i].limit != 0) {
			waiters_cancel(fake.m.waiters, &requests[i].w);
			requests[i].limit = 0;
		}
}

/* ---- whom it happens to ---- */

static struct conn *
any_row(bool (*fits)(const struct conn *c))
{
	struct conn *c, *found = NULL;
	uint32_t n = 0;

	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, c))
		if ((fits == NULL || fits(c)) && one_in(++n))
			found = c;
	return found;
}

static struct fake_peer *
any_peer(enum role role, bool (*fits)(const struct fake_peer *p))
{
	struct fake_peer *p, *found = NULL;
	uint32_t n = 0;

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->role == role && p->ec != NULL && p->ec->end != NULL &&
		    (fits == NULL || fits(p)) && one_in(++n))
			found = p;
	return found;
}

static struct fake_peer *
peer_with(const struct evchannel *ec)
{
	struct fake_peer *p;

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->ec == ec)
			break;
	return p;
}

static struct server *
any_server(void)
{
	struct server *s, *found = NULL;
	uint32_t n = 0;

	TAILQ_FOREACH (s, servers_all(&fake.m), next)
		if (one_in(++n))
			found = s;
	return found;
}

/* The test's own mark: a process that answers no heartbeat. */
enum { NEW, READY, STUCK };

/* ---- workers ---- */

static bool
worker_is_starting(const struct fake_peer *p)
{
	const struct worker *w = p->ec->arg;

	return !w->child.ready && !w->refused;
}

static bool
with_worker(const struct conn *c)
{
	return c->worker != NULL;
}

static void
clients_come(void)
{
	struct server *s = any_server();

	for (uint32_t i = 1 + any(4); i > 0 && s != NULL; i--)
		(void)fake_connect(s);
}

static void
worker_says_ready(void)
{
	static const struct msg_ready ready;
	struct fake_peer *p = any_peer(ROLE_LOGIN, worker_is_starting);

	if (p != NULL)
		fake_say(p, MSG_READY, &ready, sizeof(ready));
}

static void
all_ready(void)
{
	fake_all_ready();
}

static void
worker_refuses(void)
{
	static const struct msg_refused refused = {"no"};
	struct fake_peer *p = any_peer(ROLE_LOGIN, worker_is_starting);

	if (p != NULL && one_in(3))
		fake_say(p, MSG_REFUSED, &refused, sizeof(refused));
}

static void
worker_stls(void)
{
	const struct conn *c = any_row(with_worker);
	struct fake_peer *p = c != NULL ? peer_with(&c->worker->child.ec) : NULL;

	if (p != NULL)
		fake_say_ref(p, MSG_STLS_ASK, c->row.id);
}

static void
worker_ends_conn(void)
{
	const struct conn *c = any_row(with_worker);
	struct fake_peer *p = c != NULL ? peer_with(&c->worker->child.ec) : NULL;
	struct msg_conn_end end = {.why = any(CONN_END_COUNT)};

	if (p == NULL)
		return;
	end.id = c->row.id;
	fake_say(p, MSG_CONN_END, &end, sizeof(end));
}

static void
worker_dies(void)
{
	struct fake_peer *p = any_peer(ROLE_LOGIN, NULL);

	if (p != NULL)
		fake_exit(p, one_in(2) ? SIGSEGV : 0);
}

/* One that has nothing left to do ends, as it was told. */
static bool
worker_is_done(const struct fake_peer *p)
{
	const struct worker *w = p->ec->arg;

	return (w->draining || w->used) && w->connections == 0;
}

static void
worker_ends(void)
{
	struct fake_peer *p = any_peer(ROLE_LOGIN, worker_is_done);

	if (p != NULL)
		fake_exit(p, 0);
}

/* ---- the helper ---- */

static bool
undecided(const struct conn *c)
{
	return c->state == CONN_LOGIN && c->due == CONN_DUE_NOTHING;
}

static void
helper_grants(void)
{
	const struct conn *c = any_row(one_in(20) ? NULL : undecided);
	struct fake_peer *p = fake_peer(ROLE_AUTH, 0);

	if (c != NULL && p != NULL && helper_ready(&fake.m))
		fake_grant(c->row.id, one_in(2) ? "ann" : "bob", geteuid() + one_in(20));
}

static bool
is_looked_up(const struct conn *c)
{
	return c->state == CONN_LOOKUP;
}

static void
helper_finds(void)
{
	const struct conn *c = any_row(one_in(20) ? NULL : is_looked_up);
	struct fake_peer *p = fake_peer(ROLE_AUTH, 0);
	static struct msg_found found;

	if (c == NULL || p == NULL || !helper_ready(&fake.m))
		return;
	found.id = c->row.id;
	found.result = one_in(4) ? LOGIN_TEMP : LOGIN_OK;
	found.account.uid = geteuid();
	memcpy(found.account.user, "ann", 4);
	memcpy(found.mailbox, "/m", 3);
	fake_say(p, MSG_FOUND, &found,
		 offsetof(struct msg_found, account) + offsetof(struct msg_account, groups));
}

/* Gate or dispatcher. */
static struct fake_peer *
one_of_helper(void)
{
	return fake_peer(one_in(2) ? ROLE_AUTH : ROLE_DISPATCH, 0);
}

static void
helper_dies(void)
{
	struct fake_peer *p = one_of_helper();

	if (p != NULL)
		fake_exit(p, SIGSEGV);
}

static void
helper_slows(void)
{
	struct fake_peer *p = one_of_helper();

	if (p != NULL)
		p->slow = true;
}

static void
helper_reads(void)
{
	struct fake_peer *p = one_of_helper();

	if (p != NULL)
		fake_read(p);
}

static void
helper_accuses(void)
{
	struct fake_peer *p = fake_peer(ROLE_DISPATCH, 0), *w = any_peer(ROLE_LOGIN, NULL);
	struct msg_worker bad;

	if (p == NULL || w == NULL || !helper_ready(&fake.m))
		return;
	bad = (struct msg_worker){((struct worker *)w->ec->arg)->number, 0};
	fake_say(p, MSG_WORKER_BAD, &bad, sizeof(bad));
}

/* ---- the spawner and its sessions ---- */

static void
spawner_dies(void)
{
	struct fake_peer *p = any_peer(ROLE_SPAWNER, NULL);

	if (p != NULL)
		fake_exit(p, SIGSEGV);
}

static bool
is_silent_spare(const struct fake_peer *p)
{
	return !((const struct session *)p->ec->arg)->hello;
}

static void
spare_comes(void)
{
	struct fake_peer *p = any_peer(ROLE_SPAWNER, NULL), *spare;

	if (p == NULL || p->state == NEW)
		return;
	spare = fake_spare(p);
	if (one_in(2))
		fake_hello(spare);
}

static void
spare_speaks(void)
{
	struct fake_peer *p = any_peer(ROLE_SESSION, is_silent_spare);

	if (p != NULL)
		fake_hello(p);
}

static void
session_dies(void)
{
	struct fake_peer *p = any_peer(ROLE_SESSION, NULL);

	if (p != NULL)
		fake_exit(p, one_in(2) ? SIGSEGV : SIGKILL);
}

/* It gives up its channel; the process is there a while longer. */
static void
session_lets_go(void)
{
	struct fake_peer *p = any_peer(ROLE_SESSION, NULL);

	if (p != NULL)
		fake_lose(p, EPIPE);
}

static bool
is_offered(const struct conn *c)
{
	return c->state == CONN_OFFERED && c->session != NULL;
}

static bool
is_served(const struct conn *c)
{
	return c->state == CONN_SESSION && c->session != NULL && !c->session->dying;
}

static struct fake_peer *
session_of(const struct conn *c)
{
	return c != NULL && c->session != NULL ? peer_with(&c->session->ec) : NULL;
}

static void
session_has_it(void)
{
	const struct conn *c = any_row(is_offered);
	struct fake_peer *p = session_of(c);

	if (p != NULL)
		fake_say_ref(p, MSG_HAVE_IT, c->row.id);
}

static void
session_opens(void)
{
	const struct conn *c = any_row(is_served);
	struct fake_peer *p = session_of(c);
	struct msg_session_open open = {.messages = any(4),
					.result = one_in(4) ? LOGIN_IN_USE : LOGIN_OK,
					.lock = {1, 1 + any(3)}};

	if (p == NULL || c->job != NULL || c->session->opened)
		return;
	open.id = c->row.id;
	fake_say(p, MSG_SESSION_OPEN, &open, sizeof(open));
}

static void
session_asks_lock(void)
{
	const struct conn *c = any_row(is_served);
	struct fake_peer *p = session_of(c);
	struct msg_lock_ask q = {.place = {1, 1 + any(3)}, .purpose = any(LOCK_PURPOSE_COUNT)};

	if (p == NULL || c->session->opened)
		return;
	q.id = c->row.id;
	fake_say(p, MSG_LOCK_ASK, &q, sizeof(q));
}

static void
session_says_end(const struct conn *c, struct fake_peer *p)
{
	struct msg_session_end end = {
	    .id = c->row.id, .why = c->session->refused ? SESSION_END_REFUSED : SESSION_END_QUIT};
	struct msg_job_end job = {.id = c->row.id, .status = 1};

	if (c->job != NULL)
		fake_say(p, MSG_JOB_END, &job, sizeof(job));
	else if (!c->session->reported)
		fake_say(p, MSG_SESSION_END, &end, sizeof(end));
}

static void
session_ends(void)
{
	const struct conn *c = any_row(is_served);
	struct fake_peer *p = session_of(c);

	if (p == NULL)
		return;
	session_says_end(c, p);
	if (one_in(2))
		fake_exit(p, 0);
}

static void
session_deletes(void)
{
	const struct conn *c = any_row(is_served);
	struct fake_peer *p = session_of(c);
	struct msg_receipt r = {.octets = 1, .uid = "u"};

	if (p == NULL || !c->session->opened || c->session->refused || c->job != NULL)
		return;
	r.id = c->row.id;
	fake_say(p, MSG_RECEIPT, &r, sizeof(r));
}

/* Its scoreboard says that it waits for its client from now on, or that it works. */
static void
session_shows(void)
{
	const struct conn *c = any_row(is_served);
	struct scoreboard *b = c != NULL ? scoreboard_map(c->session->scoreboard) : NULL;

	if (b == NULL)
		return;
	scoreboard_begin(b);
	b->head.wait = one_in(4) ? SCOREBOARD_WAIT_DISK : SCOREBOARD_WAIT_CLIENT;
	b->head.active = fake.now;
	scoreboard_end(b);
	munmap(b, sizeof(*b));
}

/* ---- how long a row may stay as it is ---- */

enum phase {
	NO_LIMIT,
	WAITS,
	LOGS_IN,
	TOLD_TO_END, /* its worker was */
	IS_LOOKED_UP,
	IS_GRANTED,
	IS_OFFERED,
	OPENS,
	IS_SILENT, /* its session waits for its client */
	IS_LEFT	   /* its session has ended, its worker has not */
};

static const char *const phases[] = {
    "without a limit", "waiting", "before login",	 "told to end", "looked up",
    "granted",	       "offered", "opening its mailbox", "silent",	"left by its session"};

/* When each row came into its phase; a row's place is its number. */
static struct stay {
	conn_id id;
	enum phase phase;
	uint64_t state_since, since; /* clock_ms() */
} stays[ROWS];

static enum phase
phase_of_session(const struct conn *c)
{
	struct scoreboard_head head;

	if (c->job != NULL)
		return NO_LIMIT;
	if (c->session == NULL)
		return c->dropped ? TOLD_TO_END : IS_LEFT;
	if (!c->session->opened)
		return OPENS;
	return sessions_read_scoreboard(c->session, &head, NULL) == 0 &&
		       head.wait == SCOREBOARD_WAIT_CLIENT
		   ? IS_SILENT
		   : NO_LIMIT;
}

static enum phase
phase_of(const struct conn *c)
{
	static const enum phase of_state[] = {[CONN_WAITING] = WAITS,
					      [CONN_LOGIN] = LOGS_IN,
					      [CONN_LOOKUP] = IS_LOOKED_UP,
					      [CONN_GRANTED] = IS_GRANTED,
					      [CONN_OFFERED] = IS_OFFERED};

	if (c->state == CONN_SESSION)
		return phase_of_session(c);
	return c->state == CONN_LOGIN && c->dropped ? TOLD_TO_END : of_state[c->state];
}

static uint64_t
limit_of(enum phase phase, const struct conn *c)
{
	const struct conf *conf = fake.m.conf;
	uint64_t login = conf->login_timeout * UINT64_C(1000),
		 idle = c->idle_timeout * UINT64_C(1000),
		 decision = conf_decision_timeout(conf) * UINT64_C(1000);
	const uint64_t limits[] = {[NO_LIMIT] = UINT64_MAX - SLACK,
				   [WAITS] = login,
				   [LOGS_IN] = conf_login_limit(conf) * UINT64_C(1000) +
					       conf->handshake_timeout * UINT64_C(1000) + decision +
					       conf->password_timeout * UINT64_C(1000) + MARGIN,
				   [TOLD_TO_END] = MARGIN,
				   [IS_LOOKED_UP] = decision,
				   [IS_GRANTED] = GRANT_LIMIT,
				   [IS_OFFERED] = GRANT_LIMIT,
				   [OPENS] = OPENING_LIMIT,
				   [IS_SILENT] =
				       idle + 3 * MARGIN, /* 30 looks, up to two seconds apart */
				   [IS_LEFT] = idle + MARGIN};

	return limits[phase];
}

/* It came into this phase now: a worker that shall end it has been told so. */
static void
check_told(const struct conn *c, enum phase phase)
{
	const struct fake_peer *p =
	    phase == TOLD_TO_END && c->worker != NULL ? peer_with(&c->worker->child.ec) : NULL;

	if (p != NULL && !p->ended && fake_got(p, MSG_CONN_DROP, c->row.id) == 0)
		fault("a connection shall end, and its worker was not told");
}

/* The row stays until the kernel has ended the process. */
static bool
session_is_killed(const struct conn *c)
{
	const struct fake_peer *p = session_of(c);

	return c->session != NULL && (c->session->dying || (p != NULL && p->killed));
}

/* What ends a row in time: it is gone, in another phase, or its session is killed. */
static void
check_stay(const struct conn *c)
{
	struct stay *s = &stays[c->row.id % ROWS];
	enum phase phase = phase_of(c);

	if (s->id != c->row.id || s->phase != phase || s->state_since != c->since) {
		*s = (struct stay){c->row.id, phase, c->since, fake.now};
		check_told(c, phase);
	}
	if (fake.now - s->since > limit_of(phase, c) + SLACK && !session_is_killed(c))
		fault("a row is %s for %llu ms", phases[phase],
		      (unsigned long long)(fake.now - s->since));
}

static void
check_deadlines(void)
{
	struct conn *c;

	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, c))
		check_stay(c);
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		if (requests[i].limit != 0 && requests[i].limit < fake.now &&
		    fake.m.state == MASTER_SERVING)
			fault("a request of kind %d was not answered", requests[i].w.kind);
}

/* ---- anybody ---- */

/* A message at the wrong moment, or of the wrong connection: late, or the end of who sent it. */
static void
wrong_message(void)
{
	static const struct msg_ready ready;
	static const enum msg_type of_session[] = {MSG_HAVE_IT, MSG_STATE, MSG_HELLO};
	struct fake_peer *p = any_peer((enum role)any(ROLE_COUNT), NULL);
	const struct conn *c = any_row(NULL);
	enum msg_type type = of_session[any(COUNT_OF(of_session))];

	if (p == NULL)
		return;
	if (p->role != ROLE_SESSION)
		fake_say(p, MSG_READY, &ready, sizeof(ready));
	else if (p->role == ROLE_SESSION && type == MSG_HELLO)
		fake_hello(p);
	else if (p->role == ROLE_SESSION && c != NULL)
		fake_say_ref(p, type, c->row.id);
}

static void
goes_silent(void)
{
	struct fake_peer *p = any_peer((enum role)any(ROLE_COUNT), NULL);

	if (p != NULL && p->role != ROLE_SESSION && p->state != NEW)
		p->state = STUCK;
}

static void
killed_end(void)
{
	fake_bury();
}

static void
time_passes(void)
{
	fake_pass(1 + any(one_in(10) ? 60000 : 3000));
}

static void
answer_pings(void)
{
	struct fake_peer *p, *t;

	TAILQ_FOREACH_SAFE (p, &fake.peers, next, t)
		if (p->ec != NULL && p->state != STUCK && !p->slow)
			fake_pong(p);
}

/* Processes answer their heartbeats: limits of minutes are reached. */
static void
minutes_pass(void)
{
	uint32_t seconds = one_in(16) ? OPENING_LIMIT / 1000 + 100 : any(500);

	for (; seconds > 0 && run.fault[0] == '\0' && !fake.over; seconds--) {
		fake_pass(1000);
		answer_pings();
		check_deadlines();
	}
}

static void
no_processes(void)
{
	fake.no_process = !fake.no_process;
}

static void
no_descriptors(void)
{
	fake.no_pair = !fake.no_pair;
	run.no_pair = true;
}

/* ---- the administrator ---- */

static char path[] = "/tmp/pop3d-model-XXXXXX";

/* The file is what it was at the start, another one, or none that is right. */
static void
write_settings(void)
{
	static const char *const others[] = {
	    "idle_timeout = 700\nserver third { port = 3 socket = plain auth = '' }\n", "",
	    "no such setting"};
	FILE *f = fopen(path, "we");

	if (f == NULL)
		abort();
	fprintf(f, "%s%s", settings[run.seed / 256 % COUNT_OF(settings)],
		others[any(COUNT_OF(others))]);
	fclose(f);
}

static void
reload(void)
{
	write_settings();
	change_settings(&fake.m);
	ask(WAIT_GENERATION, 0, CHANGE_LIMIT);
}

static void
new_certificate(void)
{
	change_workers(&fake.m);
	ask(WAIT_GENERATION, 0, CHANGE_LIMIT);
}

static void
server_goes_up(void)
{
	struct server *s = any_server();
	char why[MSG_PATH_SIZE];

	if (s != NULL)
		(void)server_up(&fake.m, s, why);
}

static void
server_goes_down(void)
{
	struct server *s = any_server();
	char why[MSG_PATH_SIZE];

	if (s != NULL)
		(void)server_down(&fake.m, s, why);
}

static void
server_goes(void)
{
	struct server *s = any_server();

	if (s == NULL)
		return;
	server_destroy(&fake.m, s);
	if (one_in(2))
		conns_kill_server(&fake.m, s);
	ask(WAIT_SERVER, s->slot, UINT32_MAX);
}

static void
server_is_made(void)
{
	static const char *const names[] = {"plain", "x", "y"};
	const char *name = names[any(COUNT_OF(names))];

	if (servers_find(&fake.m, name) == NULL && server_make(&fake.m, name) != NULL)
		servers_changed(&fake.m);
}

static void
ports_taken(void)
{
	fake_ports_busy = !fake_ports_busy;
}

static void
conn_is_killed(void)
{
	struct conn *c = any_row(NULL);

	if (c == NULL)
		return;
	ask(WAIT_CONN, c->row.id, UINT32_MAX);
	conns_kill(&fake.m, c);
}

static void
state_is_asked(void)
{
	struct conn *c = any_row(NULL);

	if (c != NULL)
		conns_ask_state(c);
}

static void
job_is_asked(void)
{
	char *words[] = {(char *)"box", (char *)"list"}, why[MSG_PATH_SIZE];
	struct server *s = any_server();
	conn_id id;

	if (s == NULL)
		return;
	id = jobs_begin(&fake.m, s, "ann", "", COUNT_OF(words), words, why);
	if (id != 0)
		ask(WAIT_JOB, id, UINT32_MAX);
}

static bool
is_job(const struct conn *c)
{
	return c->job != NULL;
}

static void
job_is_left(void)
{
	const struct conn *c = any_row(is_job);

	if (c != NULL)
		jobs_abandon(&fake.m, c->row.id);
}

static void
stop(void)
{
	if (one_in(4))
		master_stop(&fake.m, one_in(2));
}

static const struct event {
	const char *name;
	unsigned weight;
	void (*happens)(void);
} events[] = {
    {"clients come", 12, clients_come},
    {"all are ready", 12, all_ready},
    {"a worker is ready", 4, worker_says_ready},
    {"a worker refuses", 1, worker_refuses},
    {"a worker asks for STLS", 4, worker_stls},
    {"a worker is done with a connection", 4, worker_ends_conn},
    {"a worker dies", 2, worker_dies},
    {"a worker ends", 2, worker_ends},
    {"the helper grants", 14, helper_grants},
    {"the helper finds", 4, helper_finds},
    {"the helper dies", 2, helper_dies},
    {"the helper is slow", 2, helper_slows},
    {"the helper reads", 3, helper_reads},
    {"the helper accuses a worker", 1, helper_accuses},
    {"a spawner dies", 2, spawner_dies},
    {"a spare comes", 4, spare_comes},
    {"a spare speaks", 4, spare_speaks},
    {"a session dies", 3, session_dies},
    {"a session lets go of its channel", 2, session_lets_go},
    {"a session has its grant", 10, session_has_it},
    {"a session opens its mailbox", 8, session_opens},
    {"a session asks about a lock", 3, session_asks_lock},
    {"a session deletes", 2, session_deletes},
    {"a session ends", 5, session_ends},
    {"a session shows what it does", 4, session_shows},
    {"a message at the wrong moment", 1, wrong_message},
    {"somebody answers no heartbeat", 1, goes_silent},
    {"killed processes end", 8, killed_end},
    {"time passes", 10, time_passes},
    {"minutes pass", 1, minutes_pass},
    {"processes cannot be started, or can again", 1, no_processes},
    {"there are no descriptors, or some again", 1, no_descriptors},
    {"reload", 3, reload},
    {"a new certificate", 3, new_certificate},
    {"up", 3, server_goes_up},
    {"down", 1, server_goes_down},
    {"destroy", 1, server_goes},
    {"new", 2, server_is_made},
    {"the ports are taken, or free again", 1, ports_taken},
    {"conn kill", 2, conn_is_killed},
    {"conn state", 1, state_is_asked},
    {"a job", 4, job_is_asked},
    {"a job is left", 1, job_is_left},
    {"stop", 1, stop},
};

/* ---- what must hold ---- */

/* All that settling may change: servers, rows, what was sent, how many processes there are. */
static uint64_t
fingerprint(void)
{
	uint64_t hash = fake.sent;
	const struct fake_peer *p;
	const struct server *s;
	struct conn *c;

	TAILQ_FOREACH (s, servers_all(&fake.m), next)
		hash = hash * 31 + s->slot * 8 + s->state;
	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, c))
		hash = hash * 31 + c->row.id + (uint64_t)c->state * 7 + (uint64_t)c->due * 3 +
		       (c->session != NULL) + 2u * (c->worker != NULL);
	TAILQ_FOREACH (p, &fake.peers, next)
		hash = hash * 31 + (p->ec != NULL) + 2u * p->killed;
	return hash * 31 + fake.m.state + fake_accepts() + 2u * change_is_under_way(&fake.m);
}

static void
show(void)
{
	const struct fake_peer *p;
	struct conn *c;

	printf("state %d, sent %llu, accepts %d, change %d;", fake.m.state,
	       (unsigned long long)fake.sent, fake_accepts(), change_is_under_way(&fake.m));
	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, c))
		printf(" row %llx state %d due %d session %d worker %d;",
		       (unsigned long long)c->row.id & 0xffff, c->state, c->due, c->session != NULL,
		       c->worker != NULL);
	TAILQ_FOREACH (p, &fake.peers, next)
		if (!p->ended)
			printf(" %s %d open %d killed %d;", role_name(p->role), p->pid,
			       p->ec != NULL, p->killed);
	printf("\n");
}

static void
check_settled(void)
{
	uint64_t before = fingerprint();

	if (run.tell)
		show();

	steps_settle(&fake.m);
	if (fingerprint() == before)
		return;
	fault("a second settling changed something");
	if (run.tell)
		show();
}

static bool
is_spare(const struct fake_peer *p)
{
	const struct session *s = p->ec->arg;

	return s->spare && s->hello && !s->dying;
}

static void
check_nobody_waits(void)
{
	const struct conns *cs = fake.m.conns;

	if (!TAILQ_EMPTY(&cs->waiting) && helper_is_clear(&fake.m) && workers_pick(&fake.m) != NULL)
		fault("a client waits, and a worker has room");
	if (!TAILQ_EMPTY(&cs->granted) && any_peer(ROLE_SESSION, is_spare) != NULL)
		fault("a grant waits, and there is a spare");
	if (!TAILQ_EMPTY(&cs->due) && helper_is_clear(&fake.m))
		fault("a worker waits for an answer that may leave");
	if (TAILQ_EMPTY(&cs->waiting) && fake.m.state == MASTER_SERVING && !fake_accepts())
		fault("clients are not accepted");
	if (!TAILQ_EMPTY(&cs->waiting) && fake_accepts())
		fault("clients are accepted, and one waits");
}

static bool
was_told(const struct fake_peer *p, enum msg_type type, uint32_t number)
{
	const struct fake_msg *m;

	TAILQ_FOREACH (m, &p->got, next)
		if (m->type == type && m->u.number == number)
			return true;
	return false;
}

/* Does the dispatcher know all workers? */
static bool
workers_are_connected(void)
{
	const struct fake_peer *p, *dispatcher = fake_peer(ROLE_DISPATCH, 0);

	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->role == ROLE_LOGIN && p->ec != NULL &&
		    !was_told(dispatcher, MSG_WORKER_NEW, ((struct worker *)p->ec->arg)->number))
			return false;
	return true;
}

/* Nothing is left of a lost helper's decisions; one that is there knows rows, servers, workers. */
static void
check_helper(void)
{
	const struct conns *cs = fake.m.conns;
	const struct fake_peer *helper = fake_peer(ROLE_AUTH, 0),
			       *dispatcher = fake_peer(ROLE_DISPATCH, 0);
	const struct server *s;
	struct conn *c;

	if ((helper == NULL) != (dispatcher == NULL))
		fault("half of the helper runs");
	if (helper == NULL && cs->ngranted + cs->nlookups > 0)
		fault("the helper is lost, and what it was to decide stands");
	if (helper != NULL && !helper_ready(&fake.m) && cs->ngranted + cs->noffered > 0)
		fault("a new helper was started while offers of the former one stood");
	if (helper == NULL || !helper_is_clear(&fake.m))
		return;
	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, c))
		if (c->state != CONN_WAITING && c->state != CONN_SESSION && c->job == NULL &&
		    (fake_got(helper, MSG_ROW, c->row.id) == 0 ||
		     fake_got(dispatcher, MSG_ROW, c->row.id) == 0))
			fault("the helper does not know a row");
	TAILQ_FOREACH (s, servers_all(&fake.m), next)
		if (!s->fresh && (!was_told(helper, MSG_AUTH_SERVER, s->slot) ||
				  !was_told(dispatcher, MSG_AUTH_SERVER, s->slot)))
			fault("the helper does not know a server");
	if (!run.no_pair && !workers_are_connected())
		fault("a worker has no channel to the helper");
}

/* The counts that stand beside the rows are those of the rows. */
static void
check_counts(void)
{
	const struct conns *cs = fake.m.conns;
	size_t n = 0, by_state[CONN_SESSION + 1] = {0}, clients = 0, at_servers = 0, at_workers = 0;
	const struct server *s;
	const struct fake_peer *p;
	struct conn *c;

	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, c)) {
		n++;
		by_state[c->state]++;
		clients += c->job == NULL;
		at_workers += c->worker != NULL;
	}
	TAILQ_FOREACH (s, servers_all(&fake.m), next)
		at_servers += s->connections;
	TAILQ_FOREACH (p, &fake.peers, next)
		if (p->role == ROLE_LOGIN && p->ec != NULL)
			at_workers -= ((const struct worker *)p->ec->arg)->connections;
	if (n != cs->count || n != at_servers || n - by_state[CONN_SESSION] != cs->undecided ||
	    by_state[CONN_GRANTED] != cs->ngranted || by_state[CONN_OFFERED] != cs->noffered ||
	    by_state[CONN_LOOKUP] != cs->nlookups || n - clients != cs->njobs)
		fault("the counts of the table are not those of its rows");
	if (at_workers != 0)
		fault("the counts of workers are not those of the rows");
	if (clients != fake_clients())
		fault("%zu clients are counted, there are %zu", fake_clients(), clients);
	if (fake.unlawful != 0)
		fault("master has sent what breaks a rule");
}

static void
check(void)
{
	fake_loop();
	if (fake.over)
		return;
	check_settled();
	check_nobody_waits();
	check_deadlines();
	check_helper();
	check_counts();
	if (fake.m.stop != fake.m.stop_done && fake.m.state != MASTER_STARTING)
		fault("it was asked to stop, and has not begun to");
}

/* ---- what roles do by themselves ---- */

/* Everybody does his best for this row. */
static void
finish_row(struct conn *c)
{
	struct msg_conn_end end = {.id = c->row.id, .why = CONN_END_QUIT};
	struct fake_peer *p = session_of(c);

	if (p != NULL && c->state == CONN_OFFERED)
		fake_say_ref(p, MSG_HAVE_IT, c->row.id);
	else if (p != NULL) {
		session_says_end(c, p);
		fake_exit(p, 0);
	} else if (c->worker != NULL && (p = peer_with(&c->worker->child.ec)) != NULL)
		fake_say(p, MSG_CONN_END, &end, sizeof(end));
	else if (c->state == CONN_LOOKUP)
		jobs_abandon(&fake.m, c->row.id);
}

static void
behave(void)
{
	struct fake_peer *p, *t;
	struct conn *c;

	fake.no_process = fake.no_pair = fake_ports_busy = false;
	TAILQ_FOREACH_SAFE (p, &fake.peers, next, t) {
		fake_read(p);
		p->state = p->state == STUCK ? READY : p->state;
	}
	fake_bury();
	fake_all_ready();
	while (any_peer(ROLE_SESSION, is_silent_spare) != NULL)
		spare_speaks();
	for (uint32_t i = 0; i < 4; i++)
		worker_ends();
	fake_loop();
	if ((c = any_row(NULL)) != NULL)
		finish_row(c);
	fake_loop();
	answer_pings();
}

static bool
at_rest(void)
{
	const struct master *m = &fake.m;

	if (m->state == MASTER_STOPPING || change_has_failed(m))
		return fake.over;
	return m->state == MASTER_SERVING && conns_count(m) == 0 && helper_ready(m) &&
	       workers_ready(m) && sessions_ready(m) && !change_is_pending(m) &&
	       workers_are_connected();
}

static void
check_rest(void)
{
	unsigned waited = 0;

	for (; waited < REST_SECONDS && run.fault[0] == '\0' && !at_rest(); waited++) {
		behave();
		check();
		fake_pass(1000);
	}
	if (!at_rest())
		fault("no rest: state %d, %zu connections, helper %d, workers %d, spares %d, "
		      "change %d",
		      fake.m.state, conns_count(&fake.m), helper_ready(&fake.m),
		      workers_ready(&fake.m), sessions_ready(&fake.m), change_is_pending(&fake.m));
	for (size_t i = 0; i < COUNT_OF(requests) && fake.m.state == MASTER_SERVING; i++)
		if (requests[i].limit != 0)
			fault("a request of kind %d is not answered at rest", requests[i].w.kind);
}

/* ---- a sequence ---- */

static const struct event *
any_event(void)
{
	static unsigned sum;
	uint32_t n;
	size_t i = 0;

	if (sum == 0)
		for (size_t k = 0; k < COUNT_OF(events); k++)
			sum += events[k].weight;
	for (n = any(sum); n >= events[i].weight; i++)
		n -= events[i].weight;
	return &events[i];
}

/* Is a sequence of this seed, no longer than this, right? */
static bool
sequence(uint64_t seed, unsigned most)
{
	const struct itimerval limit = {.it_value = {HANG_SECONDS, 0}};
	unsigned length;

	run.seed = seed;
	run.fault[0] = '\0';
	run.no_pair = false;
	chance = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < 4; i++)
		(void)any(2);
	length = 5 + any(EVENTS_MAX - 5);
	setitimer(ITIMER_PROF, &limit, NULL);
	fake_ports_busy = false;
	if (one_in(10))
		fake_begin(settings[seed / 256 % COUNT_OF(settings)]);
	else
		fake_begin_serving(settings[seed / 256 % COUNT_OF(settings)]);
	fake.m.conf_path = path;
	for (run.step = 0;
	     run.step < length && run.step < most && run.fault[0] == '\0' && !fake.over;
	     run.step++) {
		const struct event *e = any_event();

		run.event = e->name;
		if (run.tell)
			printf("%u: %s\n", run.step, e->name);
		e->happens();
		check();
		answer_pings();
		fake_loop();
	}
	run.event = "coming to rest";
	if (run.tell)
		printf("%s\n", run.event);
	check_rest();
	requests_drop();
	fake_end();
	return run.fault[0] == '\0';
}

/* The shortest part from its beginning that fails. */
static void
tell(uint64_t seed)
{
	unsigned n = 0;

	while (sequence(seed, n) && n < EVENTS_MAX)
		n++;
	printf("seed %llu: %s, after %u events, the last: %s\n", (unsigned long long)seed,
	       run.fault, n, run.event);
}

static uint64_t
number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* Sequences in a process of their own, since the fakes do not free all they make.  The number that
 * failed. */
static unsigned
batch(uint64_t seed, uint64_t end)
{
	unsigned bad = 0;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == -1)
		return 1;
	if (pid > 0)
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status)
			   ? (unsigned)WEXITSTATUS(status)
			   : 1;
	for (; seed < end && bad < 3; seed++)
		if (!sequence(seed, EVENTS_MAX)) {
			bad++;
			tell(seed);
		}
	fflush(stdout);
	_exit((int)bad);
}

static void
test_sequences(void)
{
	uint64_t n = number("POP3D_MODEL_SEQUENCES", SEQUENCES), bad = 0;

	if (getenv("POP3D_MODEL_SEED") != NULL) {
		run.tell = true;
		CU_ASSERT_TRUE(sequence(number("POP3D_MODEL_SEED", 0), EVENTS_MAX));
		printf("%s\n", run.fault);
		return;
	}
	for (uint64_t seed = 0; seed < n && bad < 3; seed += BATCH)
		bad += batch(seed, n - seed < BATCH ? n : seed + BATCH);
	CU_ASSERT_EQUAL(bad, 0);
}

int
main(void)
{
	static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGPROF};
	static const struct unit_test tests[] = {{"random sequences", test_sequences},
						 {NULL, NULL}};

	int fd = mkstemp(path), status;

	if (fd == -1)
		return EXIT_FAILURE;
	close(fd);
	for (size_t i = 0; i < COUNT_OF(deadly); i++)
		signal(deadly[i], on_signal);
	status = unit_run("model", tests);
	unlink(path);
	return status;
}
