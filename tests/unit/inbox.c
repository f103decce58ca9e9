/*
 * What master makes of each message in each state of who sends it: it is
 * handled or, after a race, dropped; or it breaks a rule and ends the sender.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/crashes.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/table/conns.h"
#include "daemon/table/jobs.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

static const char settings[] = "log = stderr log_level = error\n"
			       "login_workers = 1 session_spares = 1\n"
			       "server main { port = 1100 socket = plain auth = '' }\n"
			       "server tls { port = 1995 socket = tls auth = ''"
			       " certificate = '/c' certificate_key = '/k' }\n";

static conn_id id; /* of the connection that the messages are about */

/* ---- the messages, as lawful as one of their kind can be ---- */

static void
say_id(struct fake_peer *p, enum msg_type type)
{
	static union {
		conn_id id;
		struct msg_conn_end conn_end;
		struct msg_conn_state conn_state;
		struct msg_lock_ask lock_ask;
		struct msg_session_open open;
		struct msg_receipt receipt;
		struct msg_session_end end;
		struct msg_job_end job_end;
		struct msg_proxied proxied;
	} u;
	static const struct {
		enum msg_type type;
		size_t len;
	} lens[] = {{MSG_CONN_END, sizeof(u.conn_end)}, {MSG_CONN_STATE, sizeof(u.conn_state)},
		    {MSG_LOCK_ASK, sizeof(u.lock_ask)}, {MSG_SESSION_OPEN, sizeof(u.open)},
		    {MSG_RECEIPT, sizeof(u.receipt)},	{MSG_SESSION_END, sizeof(u.end)},
		    {MSG_JOB_END, sizeof(u.job_end)},	{MSG_HAVE_IT, sizeof(u.id)},
		    {MSG_STATE, sizeof(u.id)},		{MSG_STLS_ASK, sizeof(u.id)},
		    {MSG_PROXIED, sizeof(u.proxied)}};

	memset(&u, 0, sizeof(u));
	u.id = id;
	for (size_t i = 0; i < COUNT_OF(lens); i++)
		if (lens[i].type == type)
			fake_say(p, type, &u, lens[i].len);
}

static void
say(struct fake_peer *p, enum msg_type type)
{
	static struct msg m;

	memset(&m.u, 0, sizeof(m.u));
	if (type == MSG_HELLO)
		fake_hello(p);
	else if (type == MSG_LOG)
		fake_say(p, type, &m.u, offsetof(struct msg_log, text) + 1);
	else if (type == MSG_TRACE)
		fake_say(p, type, &m.u, offsetof(struct msg_trace, text) + 1);
	else if (type == MSG_PONG)
		fake_say(p, type, &m.u, sizeof(m.u.ping));
	else if (type == MSG_READY)
		fake_say(p, type, &m.u, sizeof(m.u.ready));
	else if (type == MSG_REFUSED)
		fake_say(p, type, &m.u, sizeof(m.u.refused));
	else if (type == MSG_CERTIFICATE)
		fake_say(p, type, &m.u, sizeof(m.u.certificate));
	else if (type == MSG_AUTH_FAILED) {
		m.u.auth_failed.result = LOGIN_BAD;
		fake_say(p, type, &m.u, sizeof(m.u.auth_failed));
	} else if (type == MSG_WORKER_BAD)
		fake_say(p, type, &m.u, sizeof(m.u.worker));
	else if (type == MSG_GRANT)
		fake_say(p, type, &m.u, offsetof(struct msg_grant, account.groups));
	else if (type == MSG_FOUND)
		fake_say(p, type, &m.u,
			 offsetof(struct msg_found, account) +
			     offsetof(struct msg_account, groups));
	else if (type == MSG_SPARE)
		fake_say(p, type, &m.u, sizeof(m.u.spare));
	else if (type == MSG_EXITED)
		fake_say(p, type, &m.u, sizeof(m.u.exited));
	else
		say_id(p, type);
}

/* ---- the states ---- */

static struct fake_peer *
spare_before_hello(void)
{
	fake_begin_serving(settings);
	id = 1;
	return fake_spare(fake_peer(ROLE_SPAWNER, 0));
}

static struct fake_peer *
spare(void)
{
	fake_begin_serving(settings);
	id = 1;
	return fake_peer(ROLE_SESSION, 0);
}

static struct fake_peer *
offered(void)
{
	fake_begin_serving(settings);
	id = fake_connect(servers_find(&fake.m, "main"));
	fake_loop();
	fake_grant(id, "ann", geteuid());
	return fake_session_of(id);
}

static struct fake_peer *
opening(void)
{
	struct fake_peer *p = offered();

	fake_take(id);
	return p;
}

static struct fake_peer *
opened(void)
{
	struct fake_peer *p = opening();

	fake_open(id, LOGIN_OK);
	return p;
}

static struct fake_peer *
not_opened(void)
{
	struct fake_peer *p = opening();

	fake_open(id, LOGIN_IN_USE);
	return p;
}

static struct fake_peer *
ended(void)
{
	struct fake_peer *p = opened();

	say(p, MSG_SESSION_END);
	return p;
}

static struct fake_peer *
with_job(void)
{
	char *words[] = {(char *)"box"}, why[MSG_PATH_SIZE];
	static struct msg_found f;

	fake_begin_serving(settings);
	id = jobs_begin(&fake.m, servers_find(&fake.m, "main"), "ann", "", 1, words, why);
	f.id = id;
	f.account.uid = geteuid();
	(void)snprintf(f.account.user, sizeof(f.account.user), "ann");
	(void)snprintf(f.mailbox, sizeof(f.mailbox), "/m");
	fake_say(fake_peer(ROLE_AUTH, 0), MSG_FOUND, &f,
		 offsetof(struct msg_found, account) + offsetof(struct msg_account, groups));
	fake_loop();
	fake_take(id);
	return fake_session_of(id);
}

/* Its connection has gone, and it is being killed. */
static struct fake_peer *
gone(void)
{
	struct fake_peer *p = offered();

	conns_drop_undecided(&fake.m);
	return p;
}

/* It speaks of another's. */
static struct fake_peer *
foreign(void)
{
	struct fake_peer *p = opening();

	id++;
	return p;
}

static struct fake_peer *
worker_starting(void)
{
	fake_begin(settings);
	id = 1;
	return fake_peer(ROLE_LOGIN, 0);
}

static struct fake_peer *
worker_ready(void)
{
	fake_begin_serving(settings);
	id = fake_connect(servers_find(&fake.m, "main"));
	fake_loop();
	return fake_peer(ROLE_LOGIN, 0);
}

static struct fake_peer *
worker_refused(void)
{
	struct fake_peer *p;

	fake_begin_serving(settings);
	fake_exit(fake_peer(ROLE_LOGIN, 0), 0);
	fake_loop();
	p = fake_peer(ROLE_LOGIN, 0);
	say(p, MSG_REFUSED);
	return p;
}

static struct fake_peer *
key_starting(void)
{
	fake_begin(settings);
	return fake_peer(ROLE_KEY, 0);
}

static struct fake_peer *
key_is_ready(void)
{
	fake_begin_serving(settings);
	return fake_peer(ROLE_KEY, 0);
}

static struct fake_peer *
gate_starting(void)
{
	fake_begin(settings);
	return fake_peer(ROLE_AUTH, 0);
}

static struct fake_peer *
gate_is_ready(void)
{
	fake_begin_serving(settings);
	return fake_peer(ROLE_AUTH, 0);
}

static struct fake_peer *
dispatcher_starting(void)
{
	fake_begin(settings);
	return fake_peer(ROLE_DISPATCH, 0);
}

static struct fake_peer *
dispatcher_is_ready(void)
{
	fake_begin_serving(settings);
	return fake_peer(ROLE_DISPATCH, 0);
}

static struct fake_peer *
spawner_starting(void)
{
	fake_begin(settings);
	return fake_peer(ROLE_SPAWNER, 0);
}

static struct fake_peer *
spawner_is_ready(void)
{
	fake_begin_serving(settings);
	return fake_peer(ROLE_SPAWNER, 0);
}

/* Another one is being started in its place. */
static struct fake_peer *
spawner_former(void)
{
	struct fake_peer *p = spawner_is_ready();

	sessions_renew(&fake.m);
	return p;
}

/* ---- which is which: + handled or dropped, - ends the sender ---- */

enum { MESSAGES_MAX = 12 };

static const struct table {
	const char *who;
	enum msg_type messages[MESSAGES_MAX]; /* as the signs stand */
	struct {
		const char *name, *signs;
		struct fake_peer *(*make)(void);
	} states[10];
} tables[] = {
    {"session",
     {MSG_HELLO, MSG_LOG, MSG_TRACE, MSG_HAVE_IT, MSG_LOCK_ASK, MSG_SESSION_OPEN, MSG_RECEIPT,
      MSG_SESSION_END, MSG_JOB_END, MSG_STATE},
     {{"spare that has not spoken", "++--------", spare_before_hello},
      {"spare", "-+--------", spare},
      {"offered", "-+++-----+", offered},
      {"opening", "-++-++-+-+", opening},
      {"open", "-++---++-+", opened},
      {"not open", "-++----+-+", not_opened},
      {"ended", "-++------+", ended},
      {"with a job", "-++-+---++", with_job},
      {"gone", "-+++++++++", gone},
      {"foreign", "-++-------", foreign}}},
    {"worker",
     {MSG_LOG, MSG_TRACE, MSG_PONG, MSG_CERTIFICATE, MSG_READY, MSG_REFUSED, MSG_STLS_ASK,
      MSG_PROXIED, MSG_CONN_STATE, MSG_CONN_END},
     {{"starting", "++++++----", worker_starting},
      {"ready", "+++---++++", worker_ready},
      {"refused", "+++-------", worker_refused}}},
    {"key process",
     {MSG_LOG, MSG_PONG, MSG_READY, MSG_REFUSED},
     {{"starting", "++++", key_starting}, {"ready", "++--", key_is_ready}}},
    {"gate",
     {MSG_LOG, MSG_PONG, MSG_READY, MSG_REFUSED, MSG_GRANT, MSG_FOUND},
     {{"starting", "++++--", gate_starting}, {"ready", "++++++", gate_is_ready}}},
    {"dispatcher",
     {MSG_LOG, MSG_PONG, MSG_READY, MSG_REFUSED, MSG_AUTH_FAILED, MSG_WORKER_BAD},
     {{"starting", "++++--", dispatcher_starting}, {"ready", "+++-++", dispatcher_is_ready}}},
    {"spawner",
     {MSG_LOG, MSG_PONG, MSG_READY, MSG_REFUSED, MSG_SPARE, MSG_EXITED},
     {{"starting", "++++--", spawner_starting},
      {"ready", "++--++", spawner_is_ready},
      {"former", "++--++", spawner_former}}},
};

static void
try(const struct table *t, size_t state, size_t message)
{
	struct fake_peer *p = t->states[state].make();
	bool lawful = t->states[state].signs[message] == '+', heard;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_TRUE(p->ec != NULL && p->ec->end != NULL);
	say(p, t->messages[message]);
	heard = p->ec != NULL && p->ec->end != NULL;
	if (heard != lawful)
		printf("%s, %s: %s %s ", t->who, t->states[state].name,
		       msg_name(t->messages[message]), heard ? "is taken" : "ends it");
	CU_ASSERT_EQUAL(heard, lawful);
	fake_loop();
	CU_ASSERT_EQUAL(fake.unlawful, 0);
	fake_end();
}

static void
test_tables(void)
{
	for (size_t i = 0; i < COUNT_OF(tables); i++)
		for (size_t s = 0; s < COUNT_OF(tables[i].states); s++)
			for (size_t k = 0; tables[i].states[s].signs != NULL &&
					   tables[i].states[s].signs[k] != '\0';
			     k++)
				try(&tables[i], s, k);
}

/* ---- what a lawful message may not say ---- */

static void
test_session_open_bad(void)
{
	struct fake_peer *p = opening();

	fake_open(id, LOGIN_BAD); /* a password is not its affair */
	CU_ASSERT_TRUE(p->killed);
	fake_end();
}

static void
test_receipts_of_more_than_there_were(void)
{
	struct fake_peer *p = opened(); /* two messages */

	say(p, MSG_RECEIPT);
	say(p, MSG_RECEIPT);
	CU_ASSERT_FALSE(p->killed);
	say(p, MSG_RECEIPT);
	CU_ASSERT_TRUE(p->killed);
	fake_end();
}

/* A job looks who has the mailbox, and ends nobody. */
static void
test_job_takes_nothing_over(void)
{
	struct msg_lock_ask ask = {.purpose = LOCK_TAKE_OVER};
	struct fake_peer *p = with_job();

	ask.id = id;
	fake_say(p, MSG_LOCK_ASK, &ask, sizeof(ask));
	CU_ASSERT_TRUE(p->killed);
	fake_end();
}

static void
test_asks_too_often(void)
{
	struct fake_peer *p = opening();

	for (int i = 0; i < 5; i++)
		say(p, MSG_LOCK_ASK);
	CU_ASSERT_FALSE(p->killed);
	say(p, MSG_LOCK_ASK);
	CU_ASSERT_TRUE(p->killed);
	fake_end();
}

/* A session's own word for its end is taken, but for what only master may say. */
static void
test_end_reported(void)
{
	static const struct {
		enum session_end told, kept;
	} ends[] = {{SESSION_END_QUIT, SESSION_END_QUIT},
		    {SESSION_END_CLIENT, SESSION_END_CLIENT},
		    {SESSION_END_KILLED, SESSION_END_KILLED},
		    {SESSION_END_TAKEOVER, SESSION_END_KILLED}, /* nobody told it to */
		    {SESSION_END_REFUSED, SESSION_END_KILLED}}; /* it was open */

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct fake_peer *p = opened();
		struct msg_session_end end = {.id = id, .why = ends[i].told, .left = 7};
		const struct session *s = p->ec->arg;

		fake_say(p, MSG_SESSION_END, &end, sizeof(end));
		CU_ASSERT_EQUAL(s->end.why, ends[i].kept);
		CU_ASSERT_EQUAL(s->end.left,
				ends[i].kept == ends[i].told && ends[i].told != SESSION_END_KILLED
				    ? 7
				    : UINT64_MAX);
		fake_end();
	}
}

/* A worker that the helper accuses is ended, and no other. */
static void
test_worker_bad(void)
{
	struct fake_peer *w;
	struct msg_worker bad;

	fake_begin_serving(settings);
	w = fake_peer(ROLE_LOGIN, 0);
	bad = (struct msg_worker){((struct worker *)w->ec->arg)->number + 1, 0};
	fake_say(fake_peer(ROLE_DISPATCH, 0), MSG_WORKER_BAD, &bad, sizeof(bad));
	CU_ASSERT_FALSE(w->killed);
	bad.worker--;
	fake_say(fake_peer(ROLE_DISPATCH, 0), MSG_WORKER_BAD, &bad, sizeof(bad));
	CU_ASSERT_TRUE(w->killed);
	fake_loop();
	fake_end();
}

/* A helper that decides logins refuses new settings: it keeps those that it has, and serves. */
static void
test_helper_keeps_its_settings(void)
{
	struct fake_peer *helper = gate_is_ready();

	for (int i = 0; i < 1000; i++)
		say(helper, MSG_REFUSED);
	fake_loop();
	CU_ASSERT_PTR_EQUAL(fake_peer(ROLE_AUTH, 0), helper);
	CU_ASSERT_TRUE(helper_ready(&fake.m));
	CU_ASSERT_FALSE(fake.m.trouble[ROLE_AUTH].refused); /* no start failed */
	id = fake_connect(servers_find(&fake.m, "main"));
	fake_loop();
	fake_grant(id, "ann", geteuid());
	CU_ASSERT_PTR_NOT_NULL(fake_session_of(id));
	fake_end();
}

/* Only what is open and served is told of. */
static void
test_refused_logins_are_counted(void)
{
	fake_begin_serving(settings);
	for (int i = 0; i < 3; i++)
		say(fake_peer(ROLE_DISPATCH, 0), MSG_AUTH_FAILED);
	CU_ASSERT_EQUAL(helper_failed_logins(&fake.m), 3);
	fake.now += 59000;
	CU_ASSERT_EQUAL(helper_failed_logins(&fake.m), 3);
	fake.now += 1000;
	CU_ASSERT_EQUAL(helper_failed_logins(&fake.m), 0);
	fake_end();
}

/* ---- heartbeats ---- */

static void
silent(enum role role)
{
	struct fake_peer *p;

	fake_begin_serving(settings);
	p = fake_peer(role, 0);
	for (int s = 0; s < 29; s++) {
		fake_pong(p);
		fake_pass(1000);
	}
	CU_ASSERT_FALSE(p->killed);
	fake_pass(40000);
	CU_ASSERT_TRUE(p->killed);
	fake_end();
}

static void
test_heartbeats(void)
{
	silent(ROLE_LOGIN);
	silent(ROLE_KEY);
	silent(ROLE_AUTH);
	silent(ROLE_DISPATCH);
	silent(ROLE_SPAWNER);
}

/* A session that crashes: the spares of its spawner go at once, and there is a fresh spawner. */
static void
test_crash(void)
{
	struct fake_peer *first, *old_spare;

	fake_begin_serving(settings);
	for (int n = 0; n < 3; n++) {
		first = fake_peer(ROLE_SPAWNER, 0);
		old_spare = fake_peer(ROLE_SESSION, 0);
		fake_exit(fake_spare(first), 11);
		fake_loop();
		CU_ASSERT_PTR_NULL(old_spare->ec);
		CU_ASSERT_PTR_NOT_NULL_FATAL(fake_peer(ROLE_SPAWNER, 1));
		fake_all_ready();
		CU_ASSERT_PTR_NULL(first->ec);
		CU_ASSERT_EQUAL(fake_count(ROLE_SPAWNER), 1);
	}
	fake_end();
}

/* The spawner tells of the crash after the process has gone, which was handled. */
static void
test_crash_is_told_late(void)
{
	struct fake_peer *p;
	struct msg_exited exited = {.status = 11};

	fake_begin_serving(settings);
	p = fake_spare(fake_peer(ROLE_SPAWNER, 0));
	fake_hello(p);
	exited.pid = p->pid;
	p->ended = true;
	fake_lose(p, EPIPE);
	fake_bury();
	CU_ASSERT_EQUAL(fake_count(ROLE_SPAWNER), 1);
	fake_say(fake_peer(ROLE_SPAWNER, 0), MSG_EXITED, &exited, sizeof(exited));
	fake_loop();
	CU_ASSERT_EQUAL(fake_count(ROLE_SPAWNER), 2);
	fake_end();
}

/* Who is kept out after crashes, and how long. */
static void
test_kept_out(void)
{
	const struct crash_session whose = {.pid = 7, .spawner = 3, .uid = 1000, .user = "anna"};
	struct crashes *c = crashes_new();
	uint64_t now = 5000;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NULL(crashes_find(c, 7));
	crashes_remember(c, &whose);
	CU_ASSERT_EQUAL(crashes_find(c, 7)->spawner, 3);
	CU_ASSERT_PTR_NULL(crashes_find(c, 0));
	for (uint64_t ms = 1000; ms < 600000; ms *= 2, now += 300000) {
		CU_ASSERT_FALSE(crashes_keep_out(c, 1000, "anna", now));
		crashes_count(c, 1000, "anna", now);
		CU_ASSERT_TRUE(crashes_keep_out(c, 1000, "anna", now + MIN(ms, 300000) - 1));
		CU_ASSERT_FALSE(crashes_keep_out(c, 1000, "anna", now + MIN(ms, 300000)));
		CU_ASSERT_FALSE(crashes_keep_out(c, 1000, "berta", now));
		CU_ASSERT_FALSE(crashes_keep_out(c, 1001, "anna", now));
	}
	now += 1800000;
	crashes_count(c, 1000, "anna", now);
	CU_ASSERT_FALSE(crashes_keep_out(c, 1000, "anna", now + 1000));
	free(c);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"every message in every state", test_tables},
	    {"a session judges a password", test_session_open_bad},
	    {"receipts of more than there were", test_receipts_of_more_than_there_were},
	    {"a job takes nothing over", test_job_takes_nothing_over},
	    {"a session asks too often", test_asks_too_often},
	    {"a session's word for its end", test_end_reported},
	    {"the helper accuses a worker", test_worker_bad},
	    {"the helper refuses new settings", test_helper_keeps_its_settings},
	    {"refused logins are counted", test_refused_logins_are_counted},
	    {"heartbeats", test_heartbeats},
	    {"a session crashes", test_crash},
	    {"a crash is told late", test_crash_is_told_late},
	    {"who crashes is kept out", test_kept_out},
	    {NULL, NULL}};

	return unit_run("inbox", tests);
}
