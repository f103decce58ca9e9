/*
 * What each role's program makes of each message in each of its states.  The
 * programs themselves run here, and the test speaks as master (or as the helper)
 * does: what the table of a receiver has no row for ends the receiver's channel,
 * and everything else is survived.  The messages are those that msg.def lets the
 * test's side send, so one that is new is tried, and has to end the channel
 * wherever it is not named below.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/count.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "tests/unit/unit.h"

enum { PATIENCE_MS = 30000, NOBODY = 65534 };

/* The program under test, and what it speaks through. */
static struct {
	pid_t pid;
	struct channel master; /* our end of its channel */
	struct channel second; /* to a worker as its helper, to a spare as master */
	int client;	       /* our end of a stream */
} r;

static bool
is_root(void)
{
	return geteuid() == 0;
}

static uint32_t
served_uid(void)
{
	return is_root() ? NOBODY : geteuid();
}

/* ---- messages ---- */

/* A lawful message of this type, as empty as it may be.  False: these roles have none. */
static bool
make(struct msg *m, enum msg_type type, enum role from, enum role to)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
	if (type == MSG_JOB)
		m->u.job.argc = m->u.job.len = 1;
	for (m->nfds = 0; m->nfds < 2; m->nfds++)
		for (m->len = 0; m->len <= MSG_BODY_MAX; m->len++)
			if (msg_check(from, to, m) == 0)
				return true;
	return false;
}

static void
fill_grant(struct msg_grant *g, bool job)
{
	g->id = 1;
	g->job = job;
	g->idle_timeout = 60;
	g->rootless = !is_root();
	g->account.uid = served_uid();
	g->account.gid = is_root() ? NOBODY : getegid();
	(void)snprintf(g->account.user, sizeof(g->account.user), "ann");
}

/* With what a receiver needs to go on. */
static void
fill(struct msg *m)
{
	if (m->type == MSG_LOGIN_CONF) {
		m->u.login_conf.uid = served_uid();
		m->u.login_conf.gid = is_root() ? NOBODY : getegid();
		m->u.login_conf.max_connections = 10;
		m->u.login_conf.login_timeout = m->u.login_conf.login_limit = 60;
		m->u.login_conf.password_timeout = 60;
		m->u.login_conf.handshake_timeout = m->u.login_conf.decision_timeout = 60;
		m->u.login_conf.sandbox = SANDBOX_OFF;
	} else if (m->type == MSG_SPAWN_CONF) {
		m->u.spawn_conf.sandbox = SANDBOX_OFF;
		m->u.spawn_conf.rootless = !is_root();
	} else if (m->type == MSG_SERVE) {
		fill_grant(&m->u.grant, false);
	} else if (m->type == MSG_JOB || m->type == MSG_CONN_NEW) {
		m->u.ref.id = 1;
	} else if (m->type == MSG_AUTH_CONF) {
		m->u.auth_conf.sandbox = SANDBOX_OFF;
		m->u.auth_conf.auth_uid = served_uid();
		m->u.auth_conf.auth_gid = is_root() ? NOBODY : getegid();
	} else if (m->type == MSG_CHILD_CONF) {
		(void)snprintf(m->u.child_conf.auth, sizeof(m->u.child_conf.auth), "pam:pop3d");
	} else if (m->type == MSG_CHILD_ASK) {
		m->u.child_ask.lookup = 1;
	}
}

static void
send_msg(struct channel *c, const struct msg *m)
{
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if (channel_send(c, m->type, m->u.octets, m->len, pair, m->nfds) == -1)
		CU_ASSERT_EQUAL(errno, EPIPE); /* an earlier one has ended it */
	close(pair[0]);
	if (r.client == -1 && m->nfds > 0)
		r.client = pair[1];
	else
		close(pair[1]);
}

static void
say(struct channel *c, enum msg_type type)
{
	static struct msg m;

	CU_ASSERT_TRUE_FATAL(make(&m, type, c->self, c->peer));
	fill(&m);
	send_msg(c, &m);
}

/* Read until this message comes.  False: the channel has ended. */
static bool
hear(struct channel *c, enum msg_type type, struct msg *m)
{
	int got;

	while ((got = channel_wait(c, m, PATIENCE_MS)) == 1) {
		if (m->type == type)
			return true;
		msg_discard(m);
	}
	CU_ASSERT_EQUAL(got, -1); /* else it hangs */
	return false;
}

static bool
answers(struct channel *c, enum msg_type ask, enum msg_type answer)
{
	static struct msg m;

	if (ask != MSG_NONE)
		say(c, ask);
	if (!hear(c, answer, &m))
		return false;
	msg_discard(&m);
	return true;
}

/* ---- processes ---- */

static void
start(enum role role, const char *program, const char *word)
{
	char *argv[] = {(char *)program, (char *)word, NULL}, path[64];
	int pair[2];

	r.client = r.second.fd = -1;
	(void)snprintf(path, sizeof(path), "./%s", program);
	CU_ASSERT_EQUAL_FATAL(channel_pair(pair), 0);
	r.pid = process_start(AT_FDCWD, path, argv, pair[1], NULL);
	CU_ASSERT_TRUE_FATAL(r.pid > 0);
	close(pair[1]);
	channel_init(&r.master, pair[0], role == ROLE_AUTH_CHILD ? ROLE_AUTH : ROLE_MASTER, role,
		     64);
}

static void
stop(void)
{
	channel_close(&r.second);
	channel_close(&r.master);
	if (r.client != -1)
		close(r.client);
	kill(r.pid, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(r.pid, NULL, 0), r.pid);
}

/* ---- states ---- */

static void
worker_new(void)
{
	start(ROLE_LOGIN, "pop3d-login", NULL);
}

static void
worker_told(void)
{
	worker_new();
	say(&r.master, MSG_LOGIN_CONF);
}

static void
worker_serving(void)
{
	worker_told();
	say(&r.master, MSG_LOGIN_START);
	CU_ASSERT_TRUE(answers(&r.master, MSG_NONE, MSG_READY));
}

static void
gate_new(void)
{
	start(ROLE_AUTH, "pop3d-auth", NULL);
}

static void
dispatcher_new(void)
{
	start(ROLE_DISPATCH, "pop3d-dispatch", NULL);
}

static void
gate_told(void)
{
	gate_new();
	say(&r.master, MSG_AUTH_CONF);
}

static void
dispatcher_told(void)
{
	dispatcher_new();
	say(&r.master, MSG_AUTH_CONF);
}

static void
is_told_all(void)
{
	say(&r.master, MSG_AUTH_START);
	CU_ASSERT_TRUE(answers(&r.master, MSG_NONE, MSG_READY));
}

static void
gate_ready(void)
{
	gate_told();
	is_told_all();
}

static void
dispatcher_ready(void)
{
	dispatcher_told();
	is_told_all();
}

static void
gate_retold(void)
{
	gate_ready();
	say(&r.master, MSG_AUTH_CONF);
}

static void
dispatcher_retold(void)
{
	dispatcher_ready();
	say(&r.master, MSG_AUTH_CONF);
}

/* As the dispatcher sees it. */
static void
gate_asked(void)
{
	int pair[2];

	gate_new();
	CU_ASSERT_EQUAL_FATAL(channel_pair(pair), 0);
	CU_ASSERT_EQUAL(channel_send(&r.master, MSG_CHECK_CHANNEL, NULL, 0, &pair[1], 1), 0);
	close(pair[1]);
	channel_init(&r.second, pair[0], ROLE_DISPATCH, ROLE_AUTH, 64);
	say(&r.master, MSG_AUTH_CONF);
	is_told_all();
}

static void
child_new(void)
{
	start(ROLE_AUTH_CHILD, "pop3d-auth", "child");
}

static void
child_idle(void)
{
	child_new();
	say(&r.master, MSG_CHILD_CONF);
}

static void
spawner_new(void)
{
	start(ROLE_SPAWNER, "pop3d-session", NULL);
}

static void
spawner_ready(void)
{
	spawner_new();
	say(&r.master, MSG_SPAWN_CONF);
	CU_ASSERT_TRUE(answers(&r.master, MSG_NONE, MSG_READY));
}

static void
spare(void)
{
	static struct msg m;

	spawner_ready();
	CU_ASSERT_TRUE_FATAL(make(&m, MSG_SPAWN, ROLE_MASTER, ROLE_SPAWNER));
	m.u.spawn.count = 1;
	send_msg(&r.master, &m);
	CU_ASSERT_TRUE_FATAL(hear(&r.master, MSG_SPARE, &m));
	channel_init(&r.second, msg_take_fd(&m, 0), ROLE_MASTER, ROLE_SESSION, 64);
	msg_discard(&m);
}

static void
spare_for_job(void)
{
	static struct msg m;

	spare();
	CU_ASSERT_TRUE_FATAL(make(&m, MSG_SERVE, ROLE_MASTER, ROLE_SESSION));
	fill_grant(&m.u.grant, true);
	send_msg(&r.second, &m);
}

static void
session(void)
{
	spare();
	say(&r.second, MSG_SERVE);
	CU_ASSERT_TRUE(answers(&r.second, MSG_NONE, MSG_SESSION_OPEN));
}

/* ---- what each survives ---- */

enum { SURVIVES_MAX = 12 };

static const struct state {
	const char *name;
	void (*make)(void);
	struct channel *channel;
	enum msg_type ask, answer; /* how it shows that it goes on */
	enum msg_type survives[SURVIVES_MAX];
} states[] = {
    {"worker, new",
     worker_new,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_LOGIN_CONF, MSG_AUTH_CHANNEL, MSG_KEY_CHANNEL}},
    {"worker, told",
     worker_told,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_LOGIN_SERVER, MSG_LOGIN_START, MSG_AUTH_CHANNEL, MSG_KEY_CHANNEL}},
    {"worker, serving",
     worker_serving,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_CHANNEL, MSG_KEY_CHANNEL, MSG_CONN_NEW, MSG_CONN_SHED, MSG_STLS_GO,
      MSG_LOGIN_TAKEN, MSG_CONN_RENEWED, MSG_LOGIN_FAILED, MSG_CONN_DROP, MSG_CONN_STATE_ASK}},
    {"gate, new",
     gate_new,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_CHECK_CHANNEL, MSG_AUTH_CONF}},
    {"gate, told",
     gate_told,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_SERVER, MSG_AUTH_START}},
    {"gate, ready",
     gate_ready,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_CONF, MSG_ROW, MSG_ROW_GONE, MSG_GRANT_VOID, MSG_LOOKUP}},
    {"gate, told anew",
     gate_retold,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_SERVER, MSG_AUTH_START, MSG_ROW, MSG_ROW_GONE, MSG_GRANT_VOID,
      MSG_LOOKUP}},
    {"gate, asked", gate_asked, &r.second, MSG_CHECK, MSG_CHECKED, {MSG_CHECK}},
    {"dispatcher, new",
     dispatcher_new,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_CHECK_CHANNEL, MSG_AUTH_CONF}},
    {"dispatcher, told",
     dispatcher_told,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_SERVER, MSG_AUTH_START}},
    {"dispatcher, ready",
     dispatcher_ready,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_CONF, MSG_FAILURES, MSG_WORKER_NEW, MSG_WORKER_GONE, MSG_ROW,
      MSG_ROW_GONE}},
    {"dispatcher, told anew",
     dispatcher_retold,
     &r.master,
     MSG_PING,
     MSG_PONG,
     {MSG_PING, MSG_AUTH_SERVER, MSG_AUTH_START, MSG_FAILURES, MSG_WORKER_NEW, MSG_WORKER_GONE,
      MSG_ROW, MSG_ROW_GONE}},
    {"auth child, idle", child_idle, &r.master, MSG_CHILD_ASK, MSG_CHILD_ANSWER, {MSG_CHILD_ASK}},
    {"auth child, new", child_new, &r.master, MSG_CHILD_ASK, MSG_CHILD_ANSWER, {MSG_CHILD_CONF}},
    {"spawner, new", spawner_new, &r.master, MSG_PING, MSG_PONG, {MSG_PING, MSG_SPAWN_CONF}},
    {"spawner, ready", spawner_ready, &r.master, MSG_PING, MSG_PONG, {MSG_PING, MSG_SPAWN}},
    {"spare", spare, &r.second, MSG_NONE, MSG_HAVE_IT, {MSG_SERVE}},
    {"spare for a job", spare_for_job, &r.second, MSG_NONE, MSG_HAVE_IT, {MSG_JOB}},
    {"session", session, &r.second, MSG_STATE_ASK, MSG_STATE, {MSG_STATE_ASK, MSG_LOCK_ANSWER}},
};

static bool
survives(const struct state *s, enum msg_type type)
{
	for (size_t i = 0; i < SURVIVES_MAX; i++)
		if (s->survives[i] == type)
			return true;
	return false;
}

static void
try(const struct state *s, enum msg_type type)
{
	bool lives, lawful = survives(s, type);

	s->make();
	say(s->channel, type);
	/* who says nothing more until it is told more is waited for only to its end */
	lives = answers(s->channel,
			type == s->ask || (!lawful && s->ask == MSG_NONE) ? MSG_NONE : s->ask,
			s->answer);
	if (lives != lawful)
		printf("%s: %s %s ", s->name, msg_name(type), lives ? "is taken" : "ends it");
	CU_ASSERT_EQUAL(lives, lawful);
	stop();
}

/* Does it end the receiver by what it says? */
static bool
is_the_end(const struct state *s, enum msg_type type)
{
	return type == MSG_DRAIN || (type == MSG_TAKEOVER && s->make == session);
}

static void
test_receivers(void)
{
	static struct msg m;

	for (size_t i = 0; i < COUNT_OF(states); i++) {
		const struct state *s = &states[i];
		enum role self, peer;

		s->make();
		self = s->channel->self;
		peer = s->channel->peer;
		stop();
		for (int type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++)
			if (make(&m, (enum msg_type)type, self, peer) &&
			    !is_the_end(s, (enum msg_type)type))
				try(s, (enum msg_type)type);
	}
}

/* What the helper may not say ends its channel, and not the worker. */
static void
test_helper_of_a_worker(void)
{
	static struct msg m;
	int pair[2];

	worker_told();
	CU_ASSERT_EQUAL_FATAL(channel_pair(pair), 0);
	CU_ASSERT_EQUAL(channel_send(&r.master, MSG_AUTH_CHANNEL, NULL, 0, &pair[1], 1), 0);
	close(pair[1]);
	channel_init(&r.second, pair[0], ROLE_DISPATCH, ROLE_LOGIN, 64);
	say(&r.second, MSG_LOGIN_REFUSED);
	CU_ASSERT_EQUAL(channel_wait(&r.second, &m, PATIENCE_MS), -1);
	CU_ASSERT_EQUAL(errno, EPIPE);
	CU_ASSERT_TRUE(answers(&r.master, MSG_PING, MSG_PONG));
	stop();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"every message in every state of its receiver", test_receivers},
	    {"a helper that breaks a rule", test_helper_of_a_worker},
	    {NULL, NULL}};

	(void)signal(SIGPIPE, SIG_IGN);
	return unit_run("receivers", tests);
}
