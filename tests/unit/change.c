#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/build.h"
#include "common/count.h"
#include "daemon/change.h"
#include "daemon/ports/listeners.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/workers.h"
#include "daemon/table/conns.h"
#include "daemon/table/jobs.h"
#include "daemon/waiters.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

#define COMMON                                                                                     \
	"log = stderr log_level = error\n"                                                         \
	"login_workers = 2 worker_connections = 2 session_spares = 1\n"                            \
	"server plain { port = 1100 socket = plain auth = '' }\n"
#define TLS_SERVER                                                                                 \
	"server tls { port = 1995 socket = tls auth = '' certificate = '/c' certificate_key = "    \
	"'/k' }\n"
static const char settings[] = COMMON TLS_SERVER;

static const struct msg_refused no_key = {"no key"};

/* ---- requests ---- */

static struct answer {
	struct waiter w;
	unsigned times;
	uint64_t number;	 /* of the change that was over */
	char why[MSG_PATH_SIZE]; /* empty: adopted */
} answer;

static void
on_answer(struct waiter *w, const void *result)
{
	struct answer *a = (struct answer *)w;

	a->times++;
	a->number = change_number(&fake.m);
	(void)snprintf(a->why, sizeof(a->why), "%s", result != NULL ? (const char *)result : "");
}

static void
ask(void)
{
	answer.times = 0;
	waiters_add(fake.m.waiters, &answer.w, WAIT_GENERATION, 0, on_answer);
}

static char path[] = "/tmp/pop3d-change-XXXXXX";

static void
write_settings(const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		abort();
	close(fd);
	fake.m.conf_path = path;
}

/* Asked for, and begun if it may. */
static void
reload(const char *text)
{
	write_settings(text);
	change_settings(&fake.m);
	ask();
	fake_loop();
}

static void
finish(void)
{
	if (answer.times == 0)
		waiters_cancel(fake.m.waiters, &answer.w);
	CU_ASSERT_EQUAL(fake.unlawful, 0);
	fake_end();
}

static struct server *
server(const char *name)
{
	return servers_find(&fake.m, name);
}

static bool
is_ready(const struct fake_peer *p)
{
	return ((const struct worker *)p->ec->arg)->child.ready;
}

/* A worker that is not ready yet. */
static struct fake_peer *
new_worker(void)
{
	struct fake_peer *p;
	unsigned n = 0;

	while ((p = fake_peer(ROLE_LOGIN, n++)) != NULL && is_ready(p))
		continue;
	return p;
}

static unsigned
new_workers(void)
{
	struct fake_peer *p;
	unsigned n = 0, found = 0;

	while ((p = fake_peer(ROLE_LOGIN, n++)) != NULL)
		found += !is_ready(p);
	return found;
}

/* ---- the start ---- */

static void
test_start(void)
{
	fake_begin(settings);
	CU_ASSERT_EQUAL(fake.m.state, MASTER_STARTING);
	CU_ASSERT_EQUAL(server("plain")->state, SERVER_DOWN);
	CU_ASSERT_FALSE(fake_accepts());
	fake_all_ready();
	CU_ASSERT_EQUAL(fake.m.state, MASTER_SERVING);
	CU_ASSERT_EQUAL(server("plain")->state, SERVER_UP);
	CU_ASSERT_EQUAL(server("tls")->state, SERVER_UP);
	CU_ASSERT_TRUE(fake_accepts());
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	finish();
}

/* A role cannot work with its settings: the start fails at once. */
static void
refuse_start(enum role role)
{
	fake_begin(settings);
	fake_say(fake_peer(role, 0), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_loop();
	CU_ASSERT_TRUE(change_has_failed(&fake.m));
	CU_ASSERT_TRUE(fake.over);
	finish();
}

/* So does it if the program of a role is of another build. */
static void
test_start_of_another_build(void)
{
	static const enum role roles[] = {ROLE_LOGIN, ROLE_KEY, ROLE_AUTH, ROLE_DISPATCH,
					  ROLE_SPAWNER};

	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		fake_begin(settings);
		fake_lose(fake_peer(roles[i], 0), EPROTO);
		fake_loop();
		CU_ASSERT_TRUE(change_has_failed(&fake.m));
		CU_ASSERT_TRUE(fake.over);
		finish();
	}
}

static void
test_start_refused(void)
{
	refuse_start(ROLE_LOGIN);
	refuse_start(ROLE_KEY);
	refuse_start(ROLE_AUTH);
	refuse_start(ROLE_DISPATCH);
	refuse_start(ROLE_SPAWNER);
}

/* Five of a role's processes end before they are ready. */
static void
lose_start(enum role role)
{
	fake_begin(settings);
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_FALSE(change_has_failed(&fake.m));
		for (int n = 0; n < 50 && fake_peer(role, 0) == NULL; n++)
			fake_pass(1000);
		CU_ASSERT_PTR_NOT_NULL_FATAL(fake_peer(role, 0));
		fake_exit(fake_peer(role, 0), 256);
		fake_loop();
	}
	CU_ASSERT_TRUE(change_has_failed(&fake.m));
	CU_ASSERT_TRUE(fake.over);
	finish();
}

static void
test_start_lost(void)
{
	lose_start(ROLE_LOGIN);
	lose_start(ROLE_KEY);
	lose_start(ROLE_AUTH);
	lose_start(ROLE_DISPATCH);
	lose_start(ROLE_SPAWNER);
}

static void
test_start_too_late(void)
{
	fake_begin(settings);
	fake_pass(59000);
	CU_ASSERT_FALSE(change_has_failed(&fake.m));
	fake_pass(1500);
	CU_ASSERT_TRUE(change_has_failed(&fake.m));
	CU_ASSERT_TRUE(fake.over);
	finish();
}

static void
test_stop_while_starting(void)
{
	fake_begin(settings);
	master_stop(&fake.m, false);
	fake_loop();
	CU_ASSERT_TRUE(fake.over);
	CU_ASSERT_EQUAL(fake.m.state, MASTER_STARTING);
	finish();
}

/* ---- a reload ---- */

static void
test_adopted(void)
{
	struct fake_peer *old;

	fake_begin_serving(settings);
	old = fake_peer(ROLE_LOGIN, 0);
	reload(COMMON
	       "idle_timeout = 700\nserver third { port = 1200 socket = plain auth = '' }\n");
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	CU_ASSERT_EQUAL(new_workers(), 2);
	CU_ASSERT_NOT_EQUAL(fake.m.conf->idle_timeout, 700);
	CU_ASSERT_EQUAL(server("third")->state, SERVER_DOWN);
	CU_ASSERT_EQUAL(fake_got(old, MSG_DRAIN, 0), 0);
	fake_all_ready();
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(fake.m.conf->idle_timeout, 700);
	CU_ASSERT_EQUAL(server("third")->state, SERVER_UP);
	CU_ASSERT_PTR_NULL(server("tls")); /* it stands there no more, and had no connection */
	CU_ASSERT_EQUAL(fake_got(old, MSG_DRAIN, 0), 1);
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "");
	finish();
}

/* The helper is told the settings that are in force, and of servers that come. */
static void
test_helper_is_told(void)
{
	const enum role both[] = {ROLE_AUTH, ROLE_DISPATCH};

	fake_begin_serving(settings);
	for (size_t i = 0; i < COUNT_OF(both); i++)
		fake_forget(fake_peer(both[i], 0));
	reload(settings);
	fake_all_ready();
	for (size_t i = 0; i < COUNT_OF(both); i++) {
		CU_ASSERT_EQUAL(fake_got(fake_peer(both[i], 0), MSG_AUTH_CONF, 0), 1);
		CU_ASSERT_EQUAL(fake_got(fake_peer(both[i], 0), MSG_AUTH_SERVER, 0), 2);
	}
	finish();
}

static void
test_bad_file(void)
{
	fake_begin_serving(settings);
	reload("no such setting");
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(new_workers(), 0);
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, ":1:"));
	finish();
}

/* A fault is one, whatever the value that it quotes says. */
static void
test_fault_that_quotes_a_warning(void)
{
	fake_begin_serving(settings);
	reload("log = \"x: warning: y\"\n");
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, ":1: log: expected"));
	finish();
}

static void
test_ports_taken(void)
{
	fake_begin_serving(settings);
	fake_ports_busy = true;
	reload(COMMON TLS_SERVER "server third { port = 1200 socket = plain auth = '' }\n");
	fake_ports_busy = false;
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, "third"));
	CU_ASSERT_PTR_NULL(server("third"));
	finish();
}

static void
test_no_group(void)
{
	fake_begin_serving(settings);
	reload(COMMON "control_group = 'no-such-group'\n");
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, "no-such-group"));
	finish();
}

/* What holds from start to end keeps its value; the rest is adopted. */
static void
test_kept_settings(void)
{
	fake_begin_serving(settings);
	reload(COMMON "idle_timeout = 700\nruntime_dir = '/elsewhere'\n");
	fake_all_ready();
	CU_ASSERT_EQUAL(fake.m.conf->idle_timeout, 700);
	CU_ASSERT_STRING_NOT_EQUAL(fake.m.conf->runtime_dir, "/elsewhere");
	finish();
}

/* What was begun is undone; the old workers serve on. */
static void
check_abandoned(const char *why)
{
	conn_id id;

	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, why));
	CU_ASSERT_NOT_EQUAL(fake.m.conf->idle_timeout, 700);
	CU_ASSERT_PTR_NULL(server("third"));
	CU_ASSERT_EQUAL(new_workers(), 0);
	CU_ASSERT_EQUAL(fake_count(ROLE_LOGIN), 2);
	id = fake_connect(server("plain"));
	fake_loop();
	CU_ASSERT_EQUAL(conns_find(&fake.m, id)->state, CONN_LOGIN);
	finish();
}

static void
begin_third(void)
{
	fake_begin_serving(settings);
	reload(COMMON TLS_SERVER
	       "idle_timeout = 700\nserver third { port = 1200 socket = plain auth = '' }\n");
}

static void
test_reload_of_another_build(void)
{
	begin_third();
	fake_lose(new_worker(), EPROTO);
	fake_loop();
	check_abandoned(build_differs);
	begin_third();
	fake_lose(fake_peer(ROLE_KEY, 1), EPROTO);
	fake_loop();
	check_abandoned(build_differs);
}

static void
test_refused(void)
{
	begin_third();
	fake_say(new_worker(), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_loop();
	check_abandoned("no key");
}

static void
test_keys_refused(void)
{
	begin_third();
	fake_say(fake_peer(ROLE_KEY, 1), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_loop();
	CU_ASSERT_EQUAL(fake_count(ROLE_KEY), 1);
	check_abandoned("no key");
}

/* The key process of the generation that serves is none of the change's business. */
static void
test_old_keys_refused(void)
{
	struct fake_peer *old;

	begin_third();
	fake_exit(fake_peer(ROLE_KEY, 0), 0);
	fake_loop();
	old = fake_peer(ROLE_KEY, 1); /* started again */
	CU_ASSERT_PTR_NOT_NULL_FATAL(old);
	fake_say(old, MSG_REFUSED, &no_key, sizeof(no_key));
	fake_exit(old, 0);
	fake_loop();
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "");
	finish();
}

/* One socketpair(2) of a reload fails, whichever it is: every worker gets its channels. */
static void
test_no_descriptors_for_a_channel(void)
{
	for (unsigned n = 1; n <= 8; n++) {
		const struct fake_peer *w;

		fake_begin_serving(settings);
		fake.no_pair_at = n;
		reload(settings);
		fake_all_ready();
		fake_pass(2000);
		fake_all_ready();
		for (unsigned i = 0; (w = fake_peer(ROLE_LOGIN, i)) != NULL; i++) {
			CU_ASSERT_EQUAL(fake_got(w, MSG_AUTH_CHANNEL, 0), 1);
			CU_ASSERT_EQUAL(fake_got(w, MSG_KEY_CHANNEL, 0), 1);
		}
		finish();
	}
}

/* Each generation of workers is connected to its own key process, and to one that takes its place;
 * that of a former generation ends with its last worker. */
static void
test_keys_of_generations(void)
{
	struct fake_peer *old, *new;

	fake_begin_serving(settings);
	old = fake_peer(ROLE_LOGIN, 0);
	CU_ASSERT_EQUAL(fake_got(old, MSG_KEY_CHANNEL, 0), 1);
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_KEY, 0), MSG_WORKER_NEW, 0), 2);
	reload(settings);
	new = new_worker();
	CU_ASSERT_EQUAL(fake_count(ROLE_KEY), 2);
	CU_ASSERT_EQUAL(fake_got(new, MSG_KEY_CHANNEL, 0), 1);
	CU_ASSERT_EQUAL(fake_got(old, MSG_KEY_CHANNEL, 0), 1);
	fake_exit(fake_peer(ROLE_KEY, 0), 0);
	fake_loop();
	CU_ASSERT_EQUAL(fake_count(ROLE_KEY), 2);
	CU_ASSERT_EQUAL(fake_got(old, MSG_KEY_CHANNEL, 0), 2);
	CU_ASSERT_EQUAL(fake_got(new, MSG_KEY_CHANNEL, 0), 1);
	fake_all_ready();
	while (fake_count(ROLE_LOGIN) > 2) {
		fake_exit(fake_peer(ROLE_LOGIN, 0), 0);
		fake_loop();
	}
	CU_ASSERT_EQUAL(fake_count(ROLE_KEY), 1);
	finish();
}

static void
test_no_keys(void)
{
	fake_begin_serving(COMMON);
	CU_ASSERT_EQUAL(fake_count(ROLE_KEY), 0);
	reload(settings);
	CU_ASSERT_EQUAL(fake_count(ROLE_KEY), 1);
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.times, 1);
	finish();
}

/* A job is about a server that comes with the change: it stays until the job has ended. */
static void
test_refused_with_job(void)
{
	char *words[] = {(char *)"box"}, why[MSG_PATH_SIZE];
	conn_id id;

	begin_third();
	id = jobs_begin(&fake.m, server("third"), "ann", "", 1, words, why);
	CU_ASSERT_NOT_EQUAL(id, 0);
	fake_say(new_worker(), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_loop();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(server("third"));
	CU_ASSERT_EQUAL(server("third")->state, SERVER_EXITING);
	CU_ASSERT_PTR_EQUAL(conns_find(&fake.m, id)->server, server("third"));
	jobs_abandon(&fake.m, id);
	fake_loop();
	check_abandoned("no key");
}

static void
test_too_late(void)
{
	begin_third();
	fake_pass(14000);
	CU_ASSERT_EQUAL(answer.times, 0);
	fake_pass(1500);
	check_abandoned("not ready after 15 seconds");
}

static void
test_lost(void)
{
	begin_third();
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(answer.times, 0);
		for (int n = 0; n < 10 && new_worker() == NULL; n++)
			fake_pass(1000);
		CU_ASSERT_PTR_NOT_NULL_FATAL(new_worker());
		fake_exit(new_worker(), 256);
		fake_loop();
	}
	check_abandoned("pop3d-login ended 5 times");
}

/* No process can be started: that counts as a loss, and is told without waiting for a tick. */
static void
test_no_processes(void)
{
	uint64_t begun;

	fake_begin_serving(settings);
	fake.no_process = true;
	begun = fake.now;
	reload(settings);
	for (int n = 0; n < 5000 && answer.times == 0; n++) {
		fake.now += 10; /* no tick */
		fake_loop();
	}
	fake.no_process = false;
	/* the starts are 0, 100, 200 and 400 ms after one another */
	CU_ASSERT_TRUE(fake.now - begun < 800);
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, "ended 5 times"));
	finish();
}

/* The serving generation goes on to be filled up while another one is being made, or it is not. */
static void
test_lost_old_worker(void)
{
	begin_third();
	fake_exit(fake_peer(ROLE_LOGIN, 0), 0);
	fake_loop();
	CU_ASSERT_EQUAL(answer.times, 0);
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "");
	CU_ASSERT_EQUAL(fake.m.conf->idle_timeout, 700);
	finish();
}

/* Helper and spawner are lost while a change is under way: it goes on, with new ones. */
static void
test_others_lost(void)
{
	begin_third();
	fake_exit(fake_peer(ROLE_AUTH, 0), 0);
	fake_exit(fake_peer(ROLE_SPAWNER, 0), 0);
	fake_loop();
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "");
	CU_ASSERT_TRUE(helper_ready(&fake.m));
	finish();
}

/* ---- one after another ---- */

/* What was asked for while another was under way begins when that is adopted, and at once. */
static void
test_begins_at_once(void)
{
	static const struct msg_ready ready;

	fake_begin_serving(settings);
	change_workers(&fake.m);
	ask();
	fake_loop();
	CU_ASSERT_EQUAL(new_workers(), 2);
	change_workers(&fake.m);
	fake_loop();
	CU_ASSERT_EQUAL(new_workers(), 2);
	fake_say(fake_peer(ROLE_KEY, 1), MSG_READY, &ready, sizeof(ready));
	for (int i = 0; i < 2; i++) {
		fake_say(new_worker(), MSG_READY, &ready, sizeof(ready));
		fake_loop(); /* the clock stands still */
	}
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	CU_ASSERT_EQUAL(new_workers(), 2);
	finish();
}

/* A refused file does not take along what else was asked for. */
static void
test_refused_file_then_workers(void)
{
	fake_begin_serving(settings);
	change_workers(&fake.m);
	reload("no such setting");
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	CU_ASSERT_EQUAL(new_workers(), 2);
	finish();
}

/* Who asks while a change is under way is told by its number that another one is his. */
static void
test_numbers(void)
{
	uint64_t first, second;

	fake_begin_serving(settings);
	write_settings(settings);
	first = change_settings(&fake.m);
	ask();
	fake_loop();
	CU_ASSERT_EQUAL(change_number(&fake.m), first);
	second = change_settings(&fake.m);
	CU_ASSERT_EQUAL(second, first + 1);
	CU_ASSERT_EQUAL(change_settings(&fake.m), second);
	fake_say(new_worker(), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_loop();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_EQUAL(answer.number, first);
	CU_ASSERT_STRING_EQUAL(answer.why, "no key");
	ask();
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.number, second);
	CU_ASSERT_STRING_EQUAL(answer.why, "");
	finish();
}

/* Many that wait count as one. */
static void
test_count_as_one(void)
{
	fake_begin_serving(settings);
	change_settings(&fake.m);
	change_workers(&fake.m);
	reload(settings);
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_EQUAL(fake_count(ROLE_LOGIN), 4); /* the old two drain */
	finish();
}

/* Four generations drain, each with a connection: the next change waits for its turn. */
static void
test_turn(void)
{
	conn_id id[5];

	fake_begin_serving(settings);
	for (int i = 0; i < 4; i++) {
		id[i] = fake_connect(server("plain"));
		fake_loop();
		reload(settings);
		fake_all_ready();
		CU_ASSERT_EQUAL(answer.times, 1);
	}
	id[4] = fake_connect(server("plain"));
	CU_ASSERT_NOT_EQUAL(id[4], 0);
	reload(settings);
	CU_ASSERT_EQUAL(new_workers(), 0);
	CU_ASSERT_TRUE(change_is_pending(&fake.m));
	CU_ASSERT_FALSE(change_is_under_way(&fake.m));
	fake_conn_end(id[1], CONN_END_QUIT);
	for (unsigned n = 0; n < fake_count(ROLE_LOGIN); n++) { /* it ends with its last one */
		struct fake_peer *p = fake_peer(ROLE_LOGIN, n);
		const struct worker *w = p->ec->arg;

		if (w->draining && w->connections == 0) {
			fake_exit(p, 0);
			n = (unsigned)-1;
		}
	}
	fake_loop();
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	fake_all_ready();
	CU_ASSERT_EQUAL(answer.times, 1);
	finish();
}

/* None of them ends: after ten minutes the oldest is closed. */
static void
test_turn_is_over(void)
{
	static const char patient[] = COMMON "login_timeout = 600\n";
	uint64_t begun;
	conn_id id[4];

	fake_begin_serving(patient);
	for (int i = 0; i < 4; i++) {
		id[i] = fake_connect(server("plain"));
		fake_loop();
		reload(patient);
		fake_all_ready();
	}
	begun = fake.now;
	reload(patient);
	for (int s = 0; s < 599; s++) {
		struct fake_peer *p;

		for (unsigned n = 0; (p = fake_peer(ROLE_LOGIN, n)) != NULL; n++)
			fake_pong(p);
		fake_pong(fake_peer(ROLE_AUTH, 0));
		fake_pong(fake_peer(ROLE_DISPATCH, 0));
		fake_pong(fake_peer(ROLE_SPAWNER, 0));
		fake_pass(1000);
	}
	CU_ASSERT_PTR_NOT_NULL(conns_find(&fake.m, id[0]));
	CU_ASSERT_FALSE(change_is_under_way(&fake.m));
	for (int n = 0; n < 500 && !change_is_under_way(&fake.m); n++) {
		fake.now += 10; /* no tick */
		fake_loop();
	}
	CU_ASSERT_TRUE(fake.now - begun <= 600010);
	CU_ASSERT_PTR_NULL(conns_find(&fake.m, id[0]));
	CU_ASSERT_PTR_NOT_NULL(conns_find(&fake.m, id[1]));
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	finish();
}

static void
goes_up_with_new_workers(struct server *s)
{
	char why[MSG_PATH_SIZE];

	CU_ASSERT_EQUAL(server_up(&fake.m, s, why), 0);
	fake_loop();
	CU_ASSERT_EQUAL(s->state, SERVER_DOWN);
	CU_ASSERT_EQUAL(new_workers(), 2);
	fake_all_ready();
	CU_ASSERT_EQUAL(s->state, SERVER_UP);
}

/* ---- servers at run time ---- */

static void
test_server_up(void)
{
	char why[MSG_PATH_SIZE];
	struct server *plain, *tls;

	fake_begin_serving(settings);
	plain = server_make(&fake.m, "x");
	CU_ASSERT_EQUAL(server_up(&fake.m, plain, why), 0);
	fake_loop();
	CU_ASSERT_EQUAL(plain->state, SERVER_UP);
	CU_ASSERT_EQUAL(new_workers(), 0);
	/* with a certificate that the workers do not know */
	tls = server_make(&fake.m, "y");
	tls->set.socket = SOCKET_TLS;
	tls->set.certificate = (struct conf_paths){.n = 1, .path = {"/other"}};
	tls->set.certificate_key = tls->set.certificate;
	goes_up_with_new_workers(tls);
	finish();
}

/* It is gone at once, or with its last connection. */
static void
test_server_destroyed(void)
{
	conn_id id;

	fake_begin_serving(settings);
	CU_ASSERT_PTR_NOT_NULL_FATAL(server_make(&fake.m, "x"));
	fake_loop();
	server_destroy(&fake.m, server("x"));
	fake_loop();
	CU_ASSERT_PTR_NULL(server("x"));
	id = fake_connect(server("plain"));
	fake_loop();
	server_destroy(&fake.m, server("plain"));
	fake_loop();
	CU_ASSERT_EQUAL(server("plain")->state, SERVER_EXITING);
	fake_conn_end(id, CONN_END_QUIT);
	CU_ASSERT_PTR_NULL(server("plain"));
	finish();
}

static void
test_server_up_refused(void)
{
	char why[MSG_PATH_SIZE];
	struct server *tls;

	fake_begin_serving(settings);
	tls = server_make(&fake.m, "y");
	tls->set.socket = SOCKET_TLS;
	tls->set.certificate = (struct conf_paths){.n = 1, .path = {"/other"}};
	tls->set.certificate_key = tls->set.certificate;
	CU_ASSERT_EQUAL(server_up(&fake.m, tls, why), 0);
	ask();
	fake_loop();
	fake_say(new_worker(), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_loop();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "no key");
	CU_ASSERT_FALSE(change_is_pending(&fake.m)); /* not once more by itself */
	CU_ASSERT_EQUAL(tls->state, SERVER_DOWN);
	/* Those that serve have not heard of its certificate: asked once more, others are made. */
	goes_up_with_new_workers(tls);
	finish();
}

/* It is asked to go up while a reload is under way.  That is refused: it goes up by a change of
 * its own, with its own settings. */
static void
up_under_refused_reload(struct server *s, const char *text)
{
	char why[MSG_PATH_SIZE];

	reload(text);
	CU_ASSERT_TRUE(change_is_under_way(&fake.m));
	CU_ASSERT_EQUAL(server_up(&fake.m, s, why), 0);
	fake_loop();
	CU_ASSERT_EQUAL(s->state, SERVER_DOWN);
	fake_say(new_worker(), MSG_REFUSED, &no_key, sizeof(no_key));
	CU_ASSERT_TRUE(s->wanted_up);
	fake_loop();
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "no key");
	fake_all_ready();
	CU_ASSERT_EQUAL(s->state, SERVER_UP);
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
}

static void
test_up_under_refused_reload(void)
{
	static const char other[] =
	    COMMON "server tls { port = 1996 socket = tls auth = '' certificate = '/d' "
		   "certificate_key = '/e' }\n";
	char why[MSG_PATH_SIZE];
	struct server *s;

	fake_begin_serving(settings);
	s = server_make(&fake.m, "y");
	s->set.socket = SOCKET_TLS;
	s->set.certificate = (struct conf_paths){.n = 1, .path = {"/other"}};
	s->set.certificate_key = s->set.certificate;
	up_under_refused_reload(s, settings);
	/* down again before the certificate is there: nothing stays bound */
	CU_ASSERT_EQUAL(server_down(&fake.m, s, why), 0);
	CU_ASSERT_EQUAL(server_up(&fake.m, s, why), 0);
	CU_ASSERT_TRUE(s->wanted_up && listeners_port(&fake.m, s) != 0);
	CU_ASSERT_EQUAL(server_down(&fake.m, s, why), 0);
	CU_ASSERT_EQUAL(listeners_port(&fake.m, s), 0);
	/* one that the reload is about */
	s = server("tls");
	CU_ASSERT_EQUAL(server_down(&fake.m, s, why), 0);
	up_under_refused_reload(s, other);
	CU_ASSERT_STRING_EQUAL(s->active.certificate.path[0], "/c");
	/* no room for it any more */
	CU_ASSERT_EQUAL(server_down(&fake.m, s, why), 0);
	reload(other);
	CU_ASSERT_EQUAL(server_up(&fake.m, s, why), 0);
	fake_ports_busy = true;
	fake_say(new_worker(), MSG_REFUSED, &no_key, sizeof(no_key));
	fake_all_ready();
	fake_ports_busy = false;
	CU_ASSERT_EQUAL(s->state, SERVER_DOWN);
	CU_ASSERT_FALSE(s->wanted_up);
	finish();
}

static void
test_nothing_while_stopping(void)
{
	fake_begin_serving(settings);
	CU_ASSERT_NOT_EQUAL(fake_connect(server("plain")), 0);
	fake_loop();
	master_stop(&fake.m, false);
	fake_loop();
	reload(settings);
	CU_ASSERT_EQUAL(new_workers(), 0);
	CU_ASSERT_FALSE(change_is_under_way(&fake.m));
	finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"start", test_start},
	    {"start refused", test_start_refused},
	    {"start with a program of another build", test_start_of_another_build},
	    {"reload with a program of another build", test_reload_of_another_build},
	    {"start, and processes are lost", test_start_lost},
	    {"start too late", test_start_too_late},
	    {"stop while starting", test_stop_while_starting},
	    {"adopted", test_adopted},
	    {"the helper is told", test_helper_is_told},
	    {"a bad file", test_bad_file},
	    {"a fault that quotes a warning", test_fault_that_quotes_a_warning},
	    {"ports taken", test_ports_taken},
	    {"no such group", test_no_group},
	    {"settings that hold from the start", test_kept_settings},
	    {"refused by a worker", test_refused},
	    {"SYS-09 the keys of a change are refused", test_keys_refused},
	    {"SYS-09 the keys that serve are refused meanwhile", test_old_keys_refused},
	    {"SYS-09 a key process for each generation", test_keys_of_generations},
	    {"no descriptors for a channel", test_no_descriptors_for_a_channel},
	    {"SYS-09 no key process without a certificate", test_no_keys},
	    {"refused, and a job was begun", test_refused_with_job},
	    {"too late", test_too_late},
	    {"workers lost", test_lost},
	    {"no processes", test_no_processes},
	    {"an old worker lost", test_lost_old_worker},
	    {"helper and spawner lost", test_others_lost},
	    {"the next one begins at once", test_begins_at_once},
	    {"a refused file, and workers", test_refused_file_then_workers},
	    {"the change that was asked for is known by its number", test_numbers},
	    {"many count as one", test_count_as_one},
	    {"a change waits for its turn", test_turn},
	    {"its turn comes after ten minutes", test_turn_is_over},
	    {"a server goes up", test_server_up},
	    {"a server is destroyed", test_server_destroyed},
	    {"a server's certificate refused", test_server_up_refused},
	    {"a server goes up under a reload that is refused", test_up_under_refused_reload},
	    {"nothing while stopping", test_nothing_while_stopping},
	    {NULL, NULL}};
	int fd = mkstemp(path), status;

	if (fd == -1)
		return EXIT_FAILURE;
	close(fd);
	status = unit_run("change", tests);
	unlink(path);
	return status;
}
