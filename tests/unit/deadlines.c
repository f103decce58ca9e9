#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/ports/servers.h"
#include "daemon/roles/sessions.h"
#include "daemon/table/conns.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

static const char settings[] =
    "log = stderr log_level = error session_spares = 1\n"
    "login_workers = 2 worker_connections = 2\n"
    "login_timeout = 60 handshake_timeout = 30 idle_timeout = 60\n"
    "auth_deadline = 10 auth_failure_delay = 0 auth_account_delay = 5000\n"
    "server main { port = 1100 socket = 'plain+stls' auth = ''\n"
    " certificate = '/c' certificate_key = '/k' }\n";

enum {
	LOGIN_SECONDS =
	    2 * (60 + 300) + 30 + (2 * (10 + 5) + 16) + 300, /* that a worker may take by itself */
	IDLE = 60,
	OPENING = 1800,
	MARGIN = 30,
	SLACK = 3 /* looks are a second apart */
};

static int shut; /* the last socket that was shut down */

int
shutdown(int fd, int how)
{
	CU_ASSERT_EQUAL(how, SHUT_RDWR);
	shut = fd;
	return 0;
}

static struct conn *
row(conn_id id)
{
	return conns_find(&fake.m, id);
}

/* Seconds pass in which every process answers its heartbeats. */
static void
pass(unsigned seconds)
{
	struct fake_peer *p, *t;

	for (; seconds > 0; seconds--) {
		fake_pass(1000);
		TAILQ_FOREACH_SAFE (p, &fake.peers, next, t)
			if (p->ec != NULL)
				fake_pong(p);
		fake_all_ready();
	}
}

static conn_id
come(void)
{
	conn_id id = fake_connect(servers_find(&fake.m, "main"));

	fake_loop();
	shut = -1;
	return id;
}

static conn_id
to_session(bool tls)
{
	conn_id id = come();

	if (tls)
		fake_say_ref(fake_worker_of(id), MSG_STLS_ASK, id);
	fake_loop();
	fake_grant(id, "ann", geteuid());
	fake_take(id);
	return id;
}

static conn_id
to_open(bool tls)
{
	conn_id id = to_session(tls);

	fake_open(id, LOGIN_OK);
	return id;
}

/* What a session would write on its scoreboard. */
static void
show(conn_id id, enum scoreboard_wait wait)
{
	struct scoreboard *b = scoreboard_map(row(id)->session->scoreboard);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	scoreboard_begin(b);
	b->head.state = SCOREBOARD_TRANS;
	b->head.wait = wait;
	b->head.active = fake.now;
	scoreboard_end(b);
	munmap(b, sizeof(*b));
}

/* ---- a worker and its connections ---- */

static void
test_told_to_end_it(void)
{
	struct fake_peer *w;
	conn_id id;
	int fd;

	fake_begin_serving(settings);
	id = come();
	w = fake_worker_of(id);
	fd = row(id)->fd;
	pass(LOGIN_SECONDS + MARGIN - SLACK);
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_DROP, id), 0);
	pass(2 * SLACK);
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_DROP, id), 1);
	CU_ASSERT_EQUAL(shut, fd);
	fake_conn_end(id, CONN_END_DROPPED);
	CU_ASSERT_PTR_NULL(row(id));
	pass(2 * MARGIN);
	CU_ASSERT_FALSE(w->killed);
	fake_end();
}

/* It keeps one of two connections: both end with it, and others are served. */
static void
test_does_not_end_it(void)
{
	struct fake_peer *w;
	conn_id id[3];

	fake_begin_serving(settings);
	for (size_t i = 0; i < 3; i++)
		id[i] = come();
	w = fake_worker_of(id[0]);
	CU_ASSERT_PTR_EQUAL(fake_worker_of(id[2]), w);
	fake_conn_end(id[1], CONN_END_QUIT);
	pass(LOGIN_SECONDS + MARGIN + SLACK);
	fake_conn_end(id[2], CONN_END_DROPPED);
	CU_ASSERT_FALSE(w->killed);
	pass(MARGIN + SLACK);
	CU_ASSERT_TRUE(w->killed);
	CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	CU_ASSERT_EQUAL(fake_clients(), 0);
	CU_ASSERT_PTR_NOT_NULL(row(come()));
	fake_end();
}

/* However often that is asked for, and whatever became of its login meanwhile. */
static void
killed(conn_id id)
{
	struct fake_peer *w = fake_worker_of(id);

	for (int s = 0; s < MARGIN + SLACK && row(id) != NULL; s++) {
		conns_kill(&fake.m, row(id));
		pass(1);
	}
	CU_ASSERT_TRUE(w->killed);
	CU_ASSERT_PTR_NULL(row(id));
}

static void
test_killed_before_login(void)
{
	fake_begin_serving(settings);
	killed(come());
	fake_end();
}

static void
test_killed_behind_the_session(void)
{
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(true);
	fake_session_end(id, SESSION_END_QUIT);
	killed(id);
	fake_end();
}

static void
test_killed_with_its_session(void)
{
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(true);
	conns_kill(&fake.m, row(id));
	fake_bury();
	killed(id);
	fake_end();
}

/* With TLS its worker sends what is left, but not for ever. */
static void
test_keeps_it_behind_the_session(void)
{
	struct fake_peer *w;
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(true);
	w = fake_worker_of(id);
	fake_session_end(id, SESSION_END_QUIT);
	pass(IDLE + MARGIN - SLACK);
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_DROP, id), 0);
	pass(2 * SLACK);
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_DROP, id), 1);
	CU_ASSERT_FALSE(w->killed);
	pass(MARGIN + SLACK);
	CU_ASSERT_TRUE(w->killed);
	CU_ASSERT_PTR_NULL(row(id));
	fake_end();
}

/* A worker that says so keeps no socket that is of use. */
static void
test_ended_and_shut(void)
{
	conn_id id;
	int fd;

	fake_begin_serving(settings);
	id = come();
	fd = row(id)->fd;
	fake_conn_end(id, CONN_END_QUIT);
	CU_ASSERT_EQUAL(shut, fd);
	fake_end();
}

/* Master was stopped itself: what was said meanwhile is heard before anything is over. */
static void
test_master_stood_still(void)
{
	struct fake_peer *w;
	conn_id id;

	fake_begin_serving(settings);
	id = come();
	w = fake_worker_of(id);
	pass(SLACK);
	fake.now += 10 * LOGIN_SECONDS * 1000;
	pass(1);
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_DROP, id), 0);
	pass(SLACK);
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_DROP, id), 1);
	fake_end();
}

/* ---- a session ---- */

static void
test_never_opens(void)
{
	struct fake_peer *s;
	conn_id id;

	fake_begin_serving(settings);
	id = to_session(false);
	s = fake_session_of(id);
	pass(OPENING - SLACK);
	CU_ASSERT_FALSE(s->killed);
	pass(2 * SLACK);
	CU_ASSERT_TRUE(s->killed);
	fake_bury();
	CU_ASSERT_PTR_NULL(row(id));
	fake_end();
}

static void
test_outlives_idle_timeout(void)
{
	struct fake_peer *s;
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(false);
	s = fake_session_of(id);
	show(id, SCOREBOARD_WAIT_CLIENT);
	pass(IDLE + MARGIN - SLACK);
	CU_ASSERT_FALSE(s->killed);
	pass(2 * SLACK + 2);
	CU_ASSERT_TRUE(s->killed);
	fake_bury();
	CU_ASSERT_PTR_NULL(row(id));
	fake_end();
}

/* One that works is left alone, however long; when it waits its time begins. */
static void
test_works_for_long(void)
{
	struct fake_peer *s;
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(false);
	s = fake_session_of(id);
	show(id, SCOREBOARD_WAIT_DISK);
	pass(20 * IDLE);
	CU_ASSERT_FALSE(s->killed);
	for (int i = 0; i < 20; i++) {
		show(id, SCOREBOARD_WAIT_CLIENT);
		pass(IDLE + MARGIN / 2);
		CU_ASSERT_FALSE(s->killed);
	}
	fake_end();
}

/* A look may meet a session that works at the moment when it looks at its client. */
static void
test_one_look_proves_nothing(void)
{
	struct scoreboard *b;
	struct fake_peer *s;
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(false);
	s = fake_session_of(id);
	show(id, SCOREBOARD_WAIT_CLIENT);
	b = scoreboard_map(row(id)->session->scoreboard);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	for (unsigned i = 0; i < 10 * IDLE; i++) {
		b->head.wait = i % 20 == 0 ? SCOREBOARD_WAIT_DISK : SCOREBOARD_WAIT_CLIENT;
		pass(1);
	}
	munmap(b, sizeof(*b));
	CU_ASSERT_FALSE(s->killed);
	fake_end();
}

/* ---- questions about its state ---- */

static void
test_one_question_at_a_time(void)
{
	struct fake_peer *s;
	conn_id id;

	fake_begin_serving(settings);
	id = to_open(false);
	s = fake_session_of(id);
	for (int i = 0; i < 300; i++)
		conns_ask_state(row(id));
	CU_ASSERT_EQUAL(fake_got(s, MSG_STATE_ASK, 0), 1);
	fake_say_ref(s, MSG_STATE, id);
	conns_ask_state(row(id));
	CU_ASSERT_EQUAL(fake_got(s, MSG_STATE_ASK, 0), 2);
	fake_end();
}

/* Its worker was asked, and a session has it before the answer: that can be asked too. */
static void
test_asked_before_its_login(void)
{
	struct msg_conn_state state = {.logon = LOGON_USER};
	struct fake_peer *w;
	conn_id id;

	fake_begin_serving(settings);
	state.id = id = come();
	w = fake_worker_of(id);
	for (int i = 0; i < 2; i++)
		conns_ask_state(row(id));
	CU_ASSERT_EQUAL(fake_got(w, MSG_CONN_STATE_ASK, id), 1);
	fake_say_ref(w, MSG_STLS_ASK, id);
	fake_loop();
	fake_grant(id, "ann", geteuid());
	fake_take(id);
	fake_open(id, LOGIN_OK);
	conns_ask_state(row(id));
	fake_say(w, MSG_CONN_STATE, &state, sizeof(state));
	conns_ask_state(row(id));
	CU_ASSERT_EQUAL(fake_got(fake_session_of(id), MSG_STATE_ASK, 0), 1);
	fake_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"a worker is told to end a connection", test_told_to_end_it},
	    {"a worker does not end a connection", test_does_not_end_it},
	    {"a connection killed before login", test_killed_before_login},
	    {"a connection killed behind its session", test_killed_behind_the_session},
	    {"a connection killed with its session", test_killed_with_its_session},
	    {"a worker keeps a connection behind its session", test_keeps_it_behind_the_session},
	    {"a connection ended is shut down", test_ended_and_shut},
	    {"master stood still", test_master_stood_still},
	    {"a session never opens its mailbox", test_never_opens},
	    {"a session outlives idle_timeout", test_outlives_idle_timeout},
	    {"a session works for long", test_works_for_long},
	    {"one look proves nothing", test_one_look_proves_nothing},
	    {"one question at a time", test_one_question_at_a_time},
	    {"asked before its login", test_asked_before_its_login},
	    {NULL, NULL}};

	return unit_run("deadlines", tests);
}
