#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/ports/servers.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/steps.h"
#include "daemon/table/conns.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

/* Two workers with room for two each, a spare. */
static const char settings[] = "log = stderr log_level = error\n"
			       "login_workers = 2 worker_connections = 2 session_spares = 1\n"
			       "server main { port = 1100 socket = 'plain+stls' auth = ''\n"
			       " certificate = '/c' certificate_key = '/k' }\n";

static struct server *
server(void)
{
	return servers_find(&fake.m, "main");
}

static conn_id
come(void)
{
	conn_id id = fake_connect(server());

	fake_loop();
	return id;
}

static const struct conn *
row(conn_id id)
{
	return conns_find(&fake.m, id);
}

/* Nothing that another settling would do; nothing broke a rule; who has gone is not counted. */
static void
check_rest(void)
{
	uint64_t sent = fake.sent;

	steps_settle(&fake.m);
	CU_ASSERT_EQUAL(fake.sent, sent);
	CU_ASSERT_EQUAL(fake.unlawful, 0);
	CU_ASSERT_EQUAL(fake_clients(), conns_count(&fake.m));
}

static void
finish(void)
{
	check_rest();
	fake_end();
}

/* ---- the ways to a state ---- */

enum { GONE = -1 };

static conn_id
to_login(void)
{
	return come();
}

/* The spare dies, and no other comes. */
static void
lose_spares(void)
{
	struct fake_peer *p;

	while ((p = fake_peer(ROLE_SESSION, 0)) != NULL)
		fake_exit(p, 0);
	fake_loop();
}

static conn_id
to_granted(void)
{
	conn_id id = come();

	lose_spares();
	fake_grant(id, "ann", geteuid());
	return id;
}

static conn_id
to_offered(void)
{
	conn_id id = come();

	fake_grant(id, "ann", geteuid());
	return id;
}

static conn_id
to_session(void)
{
	conn_id id = to_offered();

	fake_take(id);
	fake_open(id, LOGIN_OK);
	return id;
}

/* With TLS: its worker stays. */
static conn_id
to_relay(void)
{
	conn_id id = come();

	fake_say_ref(fake_worker_of(id), MSG_STLS_ASK, id);
	fake_loop();
	fake_grant(id, "ann", geteuid());
	fake_take(id);
	fake_open(id, LOGIN_OK);
	return id;
}

/* ---- what happens ---- */

static void
worker_done(conn_id id)
{
	fake_conn_end(id, CONN_END_CLIENT);
}

static void
worker_lost(conn_id id)
{
	fake_exit(fake_worker_of(id), 0);
}

static void
session_lost(conn_id id)
{
	struct fake_peer *p = fake_session_of(id);

	if (p != NULL)
		fake_exit(p, SIGKILL);
}

static void
helper_lost(conn_id id)
{
	(void)id;
	fake_exit(fake_peer(ROLE_AUTH, 0), 0);
}

static void
spawner_lost(conn_id id)
{
	(void)id;
	fake_exit(fake_peer(ROLE_SPAWNER, 0), 0);
}

static void
killed(conn_id id)
{
	conns_kill(&fake.m, conns_find(&fake.m, id));
}

static void
granted_again(conn_id id)
{
	fake_grant(id, "bob", geteuid());
}

static void
time_passes(conn_id id)
{
	(void)id;
	fake_pass(12000);
}

/* For each state (of enum conn_state) what is left of the row after each event. */
static const struct {
	const char *name;
	void (*event)(conn_id id);
	int login, granted, offered, session, relay;
} matrix[] = {
    {"worker done", worker_done, GONE, GONE, CONN_OFFERED, CONN_SESSION, CONN_SESSION},
    {"worker lost", worker_lost, GONE, GONE, CONN_OFFERED, CONN_SESSION, CONN_SESSION},
    {"session lost", session_lost, CONN_LOGIN, CONN_GRANTED, CONN_GRANTED, GONE, CONN_SESSION},
    {"helper lost", helper_lost, CONN_LOGIN, CONN_LOGIN, CONN_OFFERED, CONN_SESSION, CONN_SESSION},
    {"spawner lost", spawner_lost, CONN_LOGIN, CONN_GRANTED, CONN_OFFERED, CONN_SESSION,
     CONN_SESSION},
    {"killed", killed, CONN_LOGIN, CONN_GRANTED, CONN_OFFERED, CONN_SESSION, CONN_SESSION},
    {"granted again", granted_again, CONN_LOGIN + 1000, CONN_GRANTED, CONN_OFFERED, CONN_SESSION,
     CONN_SESSION},
    {"time passes", time_passes, CONN_LOGIN, CONN_LOGIN, CONN_OFFERED, CONN_SESSION, CONN_SESSION},
};

static void
try(const char *state, conn_id (*way)(void), size_t event, int expected)
{
	const struct conn *c;
	conn_id id;
	int is;

	if (expected > CONN_SESSION)
		return; /* that is how it comes to its next state */
	fake_begin_serving(settings);
	id = way();
	matrix[event].event(id);
	fake_loop();
	c = row(id);
	is = c == NULL ? GONE : (int)c->state;
	if (is != expected)
		printf("%s, %s: state %d ", state, matrix[event].name, is);
	CU_ASSERT_EQUAL(is, expected);
	if (c == NULL)
		CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	check_rest();
	/* Whatever happened, the next client is served as soon as there are processes. */
	for (int i = 0; i < 60; i++) {
		fake_bury();
		fake_all_ready();
		fake_pass(1000);
	}
	id = to_session();
	CU_ASSERT_PTR_NOT_NULL_FATAL(row(id));
	CU_ASSERT_EQUAL(row(id)->state, CONN_SESSION);
	finish();
}

static void
test_every_event_in_every_state(void)
{
	for (size_t i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++) {
		try("login", to_login, i, matrix[i].login);
		try("granted", to_granted, i, matrix[i].granted);
		try("offered", to_offered, i, matrix[i].offered);
		try("session", to_session, i, matrix[i].session);
		try("relay", to_relay, i, matrix[i].relay);
	}
}

/* ---- to the worker ---- */

static void
test_row_first(void)
{
	struct fake_peer *helper;
	conn_id id;

	fake_begin_serving(settings);
	helper = fake_peer(ROLE_AUTH, 0);
	helper->slow = true;
	helper_configure(&fake.m); /* something waits */
	id = come();
	CU_ASSERT_EQUAL(row(id)->state, CONN_WAITING);
	CU_ASSERT_PTR_NULL(fake_worker_of(id));
	CU_ASSERT_FALSE(fake_accepts());
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 1);
	CU_ASSERT_PTR_NOT_NULL(fake_worker_of(id));
	CU_ASSERT_TRUE(fake_accepts());
	finish();
}

/* The row itself fills the helper's queue: the client waits, and its row is told again. */
static void
test_row_waits_behind_row(void)
{
	struct fake_peer *helper;
	conn_id id;

	fake_begin_serving(settings);
	helper = fake_peer(ROLE_AUTH, 0);
	helper->slow = true;
	id = come();
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 1);
	CU_ASSERT_PTR_NULL(fake_worker_of(id));
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 2);
	CU_ASSERT_PTR_NOT_NULL(fake_worker_of(id));
	finish();
}

static void
test_full(void)
{
	conn_id id[5];

	fake_begin_serving(settings);
	for (int i = 0; i < 5; i++)
		id[i] = come();
	CU_ASSERT_EQUAL(row(id[3])->state, CONN_LOGIN);
	CU_ASSERT_EQUAL(row(id[4])->state, CONN_WAITING);
	CU_ASSERT_FALSE(fake_accepts());
	CU_ASSERT_EQUAL(come(), 0);
	check_rest();
	fake_conn_end(id[1], CONN_END_QUIT);
	CU_ASSERT_EQUAL(row(id[4])->state, CONN_LOGIN);
	CU_ASSERT_TRUE(fake_accepts());
	finish();
}

static void
test_in_turn(void)
{
	conn_id a, b;

	fake_begin_serving(settings);
	a = come();
	b = come();
	CU_ASSERT_PTR_NOT_EQUAL(fake_worker_of(a), fake_worker_of(b));
	fake_conn_end(a, CONN_END_QUIT);
	a = come();
	CU_ASSERT_PTR_NOT_EQUAL(fake_worker_of(a), fake_worker_of(b));
	finish();
}

static void
test_not_anothers(void)
{
	struct msg_conn_end end = {.why = CONN_END_QUIT};
	struct fake_peer *other;
	conn_id a, b;

	fake_begin_serving(settings);
	a = come();
	b = come();
	other = fake_worker_of(b);
	end.id = a;
	fake_say(other, MSG_CONN_END, &end, sizeof(end));
	fake_say_ref(other, MSG_STLS_ASK, a);
	fake_loop();
	CU_ASSERT_EQUAL(row(a)->state, CONN_LOGIN);
	CU_ASSERT_EQUAL(row(a)->row.tls, CONN_TLS_NONE);
	CU_ASSERT_PTR_EQUAL(fake_worker_of(b), other);
	finish();
}

/* Nobody can take it: it is not kept for ever. */
static void
test_waits_too_long(void)
{
	conn_id id;

	fake_begin_serving(settings);
	fake.no_process = true;
	fake_exit(fake_peer(ROLE_AUTH, 0), 0);
	fake_loop();
	id = come();
	fake_pass((fake.m.conf->login_timeout - 1) * 1000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row(id));
	CU_ASSERT_EQUAL(row(id)->state, CONN_WAITING);
	fake_pass(3000);
	CU_ASSERT_PTR_NULL(row(id));
	CU_ASSERT_TRUE(fake_accepts());
	finish();
}

/* ---- answers that let a worker act ---- */

static void
stls_waits_for(enum role role)
{
	struct fake_peer *helper, *worker;
	conn_id id;

	fake_begin_serving(settings);
	id = come();
	helper = fake_peer(role, 0);
	worker = fake_worker_of(id);
	helper->slow = true;
	fake_say_ref(worker, MSG_STLS_ASK, id);
	fake_say_ref(worker, MSG_STLS_ASK, id); /* once is enough */
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(worker, MSG_STLS_GO, id), 0);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 2);
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(worker, MSG_STLS_GO, id), 1);
	finish();
}

static void
test_stls_waits_for_helper(void)
{
	stls_waits_for(ROLE_AUTH);
}

static void
test_stls_waits_for_dispatcher(void)
{
	stls_waits_for(ROLE_DISPATCH);
}

static const char proxied[] = "log = stderr log_level = error\n"
			      "login_workers = 2 worker_connections = 2 session_spares = 1\n"
			      "max_connections_per_address = 1 trusted_networks = '127.0.0.0/8'\n"
			      "server main { port = 1100 socket = 'plain+stls' auth = ''\n"
			      " certificate = '/c' certificate_key = '/k'\n"
			      " proxy_from = '127.0.0.0/8' proxy_loopback = yes\n"
			      " deny = '198.51.100.0/24' }\n";

static void
announce(conn_id id, const char octets[4])
{
	struct msg_proxied m = {.id = id, .announced = octets != NULL};

	if (octets != NULL) {
		m.peer.family = AF_INET;
		memcpy(m.peer.octets, octets, 4);
	}
	fake_say(fake_worker_of(id), MSG_PROXIED, &m, sizeof(m));
}

/* What a balancer says of TLS is kept with the client that it announces, and with no other. */
static void
test_proxied_tls(void)
{
	struct msg_proxied m = {.peer = {.family = AF_INET, .octets = {192, 0, 2, 7}},
				.facts = {.client = "ann"}};

	for (uint32_t announced = 0; announced < 2; announced++) {
		fake_begin_serving(proxied);
		m.id = come();
		m.announced = announced;
		fake_say(fake_worker_of(m.id), MSG_PROXIED, &m, sizeof(m));
		fake_loop();
		CU_ASSERT_EQUAL(row(m.id)->row.proxy, CONN_PROXY_TOLD);
		CU_ASSERT_EQUAL(row(m.id)->balancer_tls != NULL, announced != 0);
		if (row(m.id)->balancer_tls != NULL)
			CU_ASSERT_STRING_EQUAL(row(m.id)->balancer_tls->client, "ann");
		finish();
	}
}

/* The helper knows the row when its client is known, and only then. */
static void
test_proxied(void)
{
	struct fake_peer *helper, *worker;
	conn_id id;

	fake_begin_serving(proxied);
	id = come();
	helper = fake_peer(ROLE_AUTH, 0);
	worker = fake_worker_of(id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(worker);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 0);
	CU_ASSERT_EQUAL(row(id)->row.proxy, CONN_PROXY_DUE);
	helper->slow = true;
	announce(id, "\xc0\0\2\7");
	announce(id, "\xc0\0\2\x8"); /* once is enough */
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(worker, MSG_CONN_RENEWED, id), 0);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 1);
	CU_ASSERT_EQUAL(row(id)->row.peer.octets[3], 7);
	CU_ASSERT_EQUAL(row(id)->row.clear_ok, 0);
	CU_ASSERT_EQUAL(row(id)->row.trusted, 0);
	CU_ASSERT_EQUAL(row(id)->balancer.family, AF_INET);
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(worker, MSG_CONN_RENEWED, id), 1);
	finish();
}

/* An announced loopback address has no right of loopback; nor has the balancer itself. */
static void
test_proxied_loopback(void)
{
	conn_id id;

	fake_begin_serving(proxied);
	id = come();
	announce(id, "\x7f\0\0\1");
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->row.proxy, CONN_PROXY_TOLD);
	CU_ASSERT_EQUAL(row(id)->row.clear_ok, 0);
	CU_ASSERT_EQUAL(row(id)->row.trusted, 0);
	id = come();
	announce(id, NULL);
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->row.proxy, CONN_PROXY_TOLD);
	CU_ASSERT_EQUAL(row(id)->row.clear_ok, 0);
	CU_ASSERT_EQUAL(row(id)->row.trusted, 0);
	CU_ASSERT_EQUAL(row(id)->balancer.family, 0);
	finish();
}

/* Who is not known cannot ask for TLS either, which would make the helper know the row; and is not
 * let in, whatever the gate says. */
static void
test_not_announced(void)
{
	struct fake_peer *helper, *worker;
	conn_id id;

	fake_begin_serving(proxied);
	id = come();
	helper = fake_peer(ROLE_AUTH, 0);
	worker = fake_worker_of(id);
	CU_ASSERT_EQUAL(row(id)->row.trusted, 0);
	fake_say_ref(worker, MSG_STLS_ASK, id);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 0);
	CU_ASSERT_EQUAL(fake_got(worker, MSG_STLS_GO, id), 0);
	fake_grant(id, "ann", geteuid());
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->state, CONN_LOGIN);
	announce(id, "\xc0\0\2\7");
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, id), 1);
	finish();
}

/* An IPv4 address in IPv6's clothes is the IPv4 one in every line. */
static void
test_proxied_mapped(void)
{
	struct msg_proxied m = {.announced = 1};
	conn_id id;

	fake_begin_serving(proxied);
	m.id = id = come();
	m.peer.family = AF_INET6;
	memcpy(m.peer.octets, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7", 16);
	fake_say(fake_worker_of(id), MSG_PROXIED, &m, sizeof(m));
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->row.peer.family, AF_INET);
	CU_ASSERT_EQUAL(row(id)->row.peer.octets[3], 7);
	finish();
}

/* Too many from the announced client's network: the worker refuses it, the helper never knows. */
static void
test_proxied_full(void)
{
	conn_id id;

	fake_begin_serving(proxied);
	id = come();
	fake_ports_busy = true;
	announce(id, "\xc0\0\2\7");
	fake_loop();
	fake_ports_busy = false;
	CU_ASSERT_EQUAL(row(id)->row.proxy, CONN_PROXY_FULL);
	CU_ASSERT_EQUAL(row(id)->row.trusted, 0);
	fake_say_ref(fake_worker_of(id), MSG_STLS_ASK, id);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(fake_worker_of(id), MSG_CONN_RENEWED, id), 1);
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_AUTH, 0), MSG_ROW, id), 0);
	finish();
}

/* The server does not serve the announced client: as above. */
static void
test_proxied_barred(void)
{
	conn_id id;

	fake_begin_serving(proxied);
	id = come();
	announce(id, "\xc6\x33\x64\7");
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->row.proxy, CONN_PROXY_BARRED);
	CU_ASSERT_EQUAL(fake_got(fake_worker_of(id), MSG_CONN_RENEWED, id), 1);
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_AUTH, 0), MSG_ROW, id), 0);
	finish();
}

static void
test_failure_waits_for_helper(void)
{
	struct fake_peer *helper, *worker;
	conn_id id;

	fake_begin_serving(settings);
	id = come();
	helper = fake_peer(ROLE_AUTH, 0);
	worker = fake_worker_of(id);
	helper->slow = true;
	fake_grant(id, "ann", geteuid() + 1); /* not ours: refused */
	CU_ASSERT_EQUAL(fake_got(helper, MSG_GRANT_VOID, id), 1);
	CU_ASSERT_EQUAL(fake_got(worker, MSG_LOGIN_FAILED, id), 0);
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(worker, MSG_LOGIN_FAILED, id), 1);
	CU_ASSERT_EQUAL(fake_last(worker, MSG_LOGIN_FAILED)->u.login_failed.result, LOGIN_PERM);
	finish();
}

/* The connection goes while its worker is to be answered. */
static void
test_gone_while_due(void)
{
	struct fake_peer *helper, *worker;
	conn_id id;

	fake_begin_serving(settings);
	id = come();
	helper = fake_peer(ROLE_AUTH, 0);
	worker = fake_worker_of(id);
	helper->slow = true;
	fake_say_ref(worker, MSG_STLS_ASK, id);
	fake_conn_end(id, CONN_END_CLIENT);
	CU_ASSERT_PTR_NULL(row(id));
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(fake_got(worker, MSG_STLS_GO, id), 0);
	finish();
}

/* ---- from the grant to the session ---- */

static void
test_waits_for_spare(void)
{
	conn_id id;

	fake_begin_serving(settings);
	fake_forget(fake_peer(ROLE_SPAWNER, 0));
	id = to_granted();
	/* one for the settings and one for the grant */
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_SPAWNER, 0), MSG_SPAWN, 0), 2);
	fake_all_ready();
	CU_ASSERT_EQUAL(row(id)->state, CONN_OFFERED);
	finish();
}

static void
test_oldest_first(void)
{
	conn_id a, b;

	fake_begin_serving(settings);
	a = to_granted();
	b = to_granted();
	fake_hello(fake_spare(fake_peer(ROLE_SPAWNER, 0)));
	fake_loop();
	CU_ASSERT_EQUAL(row(a)->state, CONN_OFFERED);
	CU_ASSERT_EQUAL(row(b)->state, CONN_GRANTED);
	/* what a spare has failed has waited longest */
	fake_exit(fake_session_of(a), SIGKILL);
	fake_hello(fake_spare(fake_peer(ROLE_SPAWNER, 0)));
	fake_loop();
	CU_ASSERT_EQUAL(row(a)->state, CONN_OFFERED);
	CU_ASSERT_EQUAL(row(b)->state, CONN_GRANTED);
	finish();
}

static void
test_two_spares_fail(void)
{
	struct fake_peer *worker;
	conn_id id;

	fake_begin_serving(settings);
	id = to_offered();
	worker = fake_worker_of(id);
	session_lost(id);
	fake_all_ready();
	CU_ASSERT_EQUAL(row(id)->state, CONN_OFFERED);
	session_lost(id);
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->state, CONN_LOGIN);
	CU_ASSERT_EQUAL(fake_got(worker, MSG_LOGIN_FAILED, id), 1);
	CU_ASSERT_EQUAL(fake_last(worker, MSG_LOGIN_FAILED)->u.login_failed.result, LOGIN_TEMP);
	/* and he may try once more */
	fake_all_ready();
	fake_grant(id, "ann", geteuid());
	CU_ASSERT_EQUAL(row(id)->state, CONN_OFFERED);
	finish();
}

/* Neither worker nor spare is left: nobody would ever speak of the row again. */
static void
test_worker_then_spare_lost(void)
{
	conn_id id;

	fake_begin_serving(settings);
	id = to_offered();
	worker_lost(id);
	session_lost(id);
	fake_loop();
	CU_ASSERT_PTR_NULL(row(id));
	finish();
}

static void
test_stalled_spare(void)
{
	struct fake_peer *spare;
	conn_id id;

	fake_begin_serving(settings);
	id = to_offered();
	spare = fake_session_of(id);
	fake_pass(9000);
	CU_ASSERT_FALSE(spare->killed);
	fake_pass(3000);
	CU_ASSERT_TRUE(spare->killed);
	fake_exit(spare, SIGKILL);
	fake_all_ready();
	CU_ASSERT_EQUAL(row(id)->state, CONN_OFFERED);
	CU_ASSERT_PTR_NOT_EQUAL(fake_session_of(id), spare);
	finish();
}

/* A spare that has spoken, and then is to be killed. */
static void
try_spare(bool gone)
{
	struct fake_peer *p;
	conn_id id;
	int pair[2];

	fake_begin_serving(settings);
	id = to_granted();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	p = fake_spare(fake_peer(ROLE_SPAWNER, 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_NOT_EQUAL(dup2(pair[0], p->ec->ch.fd), -1);
	close(pair[0]);
	if (gone)
		close(pair[1]);
	fake_hello(p);
	fake_loop();
	CU_ASSERT_EQUAL(row(id)->state, CONN_OFFERED);
	killed(id);
	CU_ASSERT_EQUAL(p->killed, !gone);
	if (!gone)
		close(pair[1]);
	fake_exit(p, 0);
	fake_loop();
	finish();
}

/* Who has its pid by now is not killed for it. */
static void
test_spare_has_gone(void)
{
	try_spare(false);
	try_spare(true);
}

static void
test_no_descriptors(void)
{
	struct fake_peer *spare;
	conn_id id;

	fake_begin_serving(settings);
	id = come();
	fake_say_ref(fake_worker_of(id), MSG_STLS_ASK, id);
	fake_loop();
	spare = fake_peer(ROLE_SESSION, 0);
	fake.no_pair = true;
	fake_grant(id, "ann", geteuid());
	fake.no_pair = false;
	CU_ASSERT_EQUAL(row(id)->state, CONN_LOGIN);
	CU_ASSERT_EQUAL(fake_got(fake_worker_of(id), MSG_LOGIN_FAILED, id), 1);
	CU_ASSERT_TRUE(spare->killed);
	fake_exit(spare, SIGKILL);
	finish();
}

static void
test_grant_after_the_end(void)
{
	conn_id id;

	fake_begin_serving(settings);
	id = come();
	fake_conn_end(id, CONN_END_CLIENT);
	fake_grant(id, "ann", geteuid());
	CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_SESSION, 0), MSG_SERVE, 0), 0);
	finish();
}

static void
test_mailbox_refused(void)
{
	struct fake_peer *helper;
	conn_id id;

	fake_begin_serving(settings);
	id = to_offered();
	helper = fake_peer(ROLE_AUTH, 0);
	fake_take(id);
	fake_open(id, LOGIN_IN_USE);
	/* the session may stay a while, but no longer a PAM child for it */
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW_GONE, id), 1);
	fake_session_end(id, SESSION_END_REFUSED);
	CU_ASSERT_PTR_NULL(row(id));
	finish();
}

/* ---- the helper ---- */

/* A new one is told all undecided rows before any worker may ask it. */
static void
test_new_helper_knows(void)
{
	struct fake_peer *helper;
	conn_id a, b;

	fake_begin_serving(settings);
	a = to_session();
	fake_all_ready();
	b = come();
	helper_lost(0);
	fake_loop();
	helper = fake_peer(ROLE_AUTH, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(helper);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, a), 0);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, b), 1);
	helper = fake_peer(ROLE_DISPATCH, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(helper);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, a), 0);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, b), 1);
	CU_ASSERT_EQUAL(fake_got(helper, MSG_WORKER_NEW, 0), 2);
	finish();
}

static const char many[] = "log = stderr log_level = error session_spares = 1\n"
			   "login_workers = 1 worker_connections = 20000\n"
			   "max_connections = 20000 max_connections_before_login = 20000\n"
			   "server main { port = 1100 socket = 'plain+stls' auth = ''\n"
			   " certificate = '/c' certificate_key = '/k' }\n";

/* It reads none of them before it has been told all. */
static void
test_new_helper_is_told_much(void)
{
	enum { ROWS = 17000 /* a channel's queue has 16384 places */ };
	static const enum role both[] = {ROLE_AUTH, ROLE_DISPATCH};

	fake_begin_serving(many);
	for (int i = 0; i < ROWS; i++) {
		struct conn *c = conns_find(&fake.m, come());

		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		close(c->fd); /* descriptors are fewer */
		c->fd = -1;
	}
	fake.slow = true;
	helper_lost(0);
	fake_loop();
	fake.slow = false;
	for (size_t i = 0; i < 2; i++) {
		struct fake_peer *helper = fake_peer(both[i], 0);

		CU_ASSERT_PTR_NOT_NULL_FATAL(helper);
		CU_ASSERT_EQUAL(fake_got(helper, MSG_ROW, 0), ROWS);
		fake_read(helper);
	}
	fake_loop();
	finish();
}

/* Not while a session may still come of what the old one has decided. */
static void
test_new_helper_waits_for_offers(void)
{
	conn_id id;

	fake_begin_serving(settings);
	id = to_offered();
	helper_lost(0);
	fake_loop();
	CU_ASSERT_PTR_NULL(fake_peer(ROLE_AUTH, 0));
	fake_take(id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fake_peer(ROLE_AUTH, 0));
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_AUTH, 0), MSG_ROW, id), 0);
	finish();
}

static void
test_helper_back_off(void)
{
	fake_begin_serving(settings);
	helper_lost(0);
	fake_loop();
	helper_lost(0); /* at once again */
	fake_loop();
	CU_ASSERT_PTR_NULL(fake_peer(ROLE_AUTH, 0));
	fake_pass(99);
	CU_ASSERT_PTR_NULL(fake_peer(ROLE_AUTH, 0));
	fake_pass(2);
	CU_ASSERT_PTR_NOT_NULL(fake_peer(ROLE_AUTH, 0));
	finish();
}

static void
test_helper_cannot_start(void)
{
	fake_begin_serving(settings);
	fake.no_process = true;
	helper_lost(0);
	fake_loop();
	CU_ASSERT_PTR_NULL(fake_peer(ROLE_AUTH, 0));
	fake.no_process = false;
	fake_pass(1000);
	CU_ASSERT_PTR_NOT_NULL(fake_peer(ROLE_AUTH, 0));
	finish();
}

/* ---- at the end ---- */

static void
test_stop(void)
{
	conn_id a, b;

	fake_begin_serving(settings);
	a = to_session();
	fake_all_ready();
	b = come();
	master_stop(&fake.m, false);
	fake_loop();
	CU_ASSERT_EQUAL(fake.m.state, MASTER_STOPPING);
	CU_ASSERT_FALSE(fake_accepts());
	CU_ASSERT_EQUAL(fake_got(fake_worker_of(b), MSG_DRAIN, 0), 1);
	CU_ASSERT_FALSE(fake.over);
	fake_session_end(a, SESSION_END_QUIT);
	CU_ASSERT_FALSE(fake.over);
	fake_conn_end(b, CONN_END_QUIT);
	CU_ASSERT_TRUE(fake.over);
	fake_end();
}

static void
test_stop_at_once(void)
{
	struct fake_peer *session;
	conn_id a, b;

	fake_begin_serving(settings);
	a = to_session();
	fake_all_ready();
	session = fake_session_of(a);
	b = come();
	master_stop(&fake.m, false);
	fake_loop();
	master_stop(&fake.m, true);
	fake_loop();
	CU_ASSERT_PTR_NULL(row(b));
	CU_ASSERT_PTR_NULL(fake_peer(ROLE_LOGIN, 0));
	CU_ASSERT_TRUE(session->killed);
	fake_exit(session, SIGKILL);
	fake_loop();
	CU_ASSERT_TRUE(fake.over);
	fake_end();
}

/* shutdown_timeout ends what has not ended. */
static void
test_stop_limit(void)
{
	struct fake_peer *session;

	fake_begin_serving(settings);
	session = fake_session_of(to_session());
	master_stop(&fake.m, false);
	fake_loop();
	fake_pass((fake.m.conf->shutdown_timeout - 1) * 1000);
	CU_ASSERT_FALSE(session->killed);
	fake_pass(2000);
	CU_ASSERT_TRUE(session->killed);
	fake_exit(session, SIGKILL);
	fake_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"every event in every state", test_every_event_in_every_state},
	    {"the helper knows the row first", test_row_first},
	    {"a row that waits in the helper's queue", test_row_waits_behind_row},
	    {"all workers full", test_full},
	    {"workers in turn", test_in_turn},
	    {"a worker and another's connection", test_not_anothers},
	    {"a client waits too long", test_waits_too_long},
	    {"STLS waits for the helper", test_stls_waits_for_helper},
	    {"STLS waits for the dispatcher", test_stls_waits_for_dispatcher},
	    {"a PROXY header makes the row known", test_proxied},
	    {"what a PROXY header says of TLS", test_proxied_tls},
	    {"who is not announced", test_not_announced},
	    {"who is announced from IPv4 within IPv6", test_proxied_mapped},
	    {"who is announced from loopback", test_proxied_loopback},
	    {"who is announced from a full network", test_proxied_full},
	    {"who is announced and not served", test_proxied_barred},
	    {"a refusal waits for the helper", test_failure_waits_for_helper},
	    {"gone while an answer is due", test_gone_while_due},
	    {"a grant waits for a spare", test_waits_for_spare},
	    {"the oldest grant first", test_oldest_first},
	    {"two spares fail", test_two_spares_fail},
	    {"worker and spare lost", test_worker_then_spare_lost},
	    {"a spare that stalls", test_stalled_spare},
	    {"a spare that has gone", test_spare_has_gone},
	    {"no descriptors for a stream", test_no_descriptors},
	    {"a grant after the end", test_grant_after_the_end},
	    {"mailbox refused", test_mailbox_refused},
	    {"a new helper knows the rows", test_new_helper_knows},
	    {"a new helper is told more than a queue holds", test_new_helper_is_told_much},
	    {"a new helper waits for offers", test_new_helper_waits_for_offers},
	    {"back-off of the helper", test_helper_back_off},
	    {"no process for the helper", test_helper_cannot_start},
	    {"stop", test_stop},
	    {"stop at once", test_stop_at_once},
	    {"stop at the limit", test_stop_limit},
	    {NULL, NULL}};

	return unit_run("conns", tests);
}
