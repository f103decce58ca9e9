#include "config.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ports/servers.h"
#include "daemon/roles/sessions.h"
#include "daemon/steps.h"
#include "daemon/table/conns.h"
#include "daemon/table/jobs.h"
#include "daemon/waiters.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

static const char settings[] = "log = stderr log_level = error\n"
			       "login_workers = 1 session_spares = 1\n"
			       "server main { port = 1100 socket = plain auth = '' }\n";

static struct answer {
	struct waiter w;
	unsigned times;
	char why[MSG_PATH_SIZE]; /* empty: begun */
} answer;

static void
on_answer(struct waiter *w, const void *result)
{
	struct answer *a = (struct answer *)w;

	a->times++;
	(void)snprintf(a->why, sizeof(a->why), "%s", result != NULL ? (const char *)result : "");
}

static conn_id
begin(char why[MSG_PATH_SIZE])
{
	char *words[] = {(char *)"box", (char *)"list"};
	conn_id id = jobs_begin(&fake.m, servers_find(&fake.m, "main"), "ann", "", 2, words, why);

	answer.times = 0;
	if (id != 0)
		waiters_add(fake.m.waiters, &answer.w, WAIT_JOB, id, on_answer);
	fake_loop();
	return id;
}

/* A job of ann's, which the helper is asked about. */
static conn_id
begin_well(void)
{
	char why[MSG_PATH_SIZE];
	conn_id id;

	fake_begin_serving(settings);
	id = begin(why);
	CU_ASSERT_NOT_EQUAL_FATAL(id, 0);
	CU_ASSERT_EQUAL(conns_find(&fake.m, id)->state, CONN_LOOKUP);
	CU_ASSERT_EQUAL(fake_got(fake_peer(ROLE_AUTH, 0), MSG_LOOKUP, id), 1);
	return id;
}

static void
found(conn_id id, enum login_result result, uint32_t uid)
{
	static struct msg_found f;

	f = (struct msg_found){.id = id, .result = result, .why = "no such user"};
	f.account.uid = uid;
	(void)snprintf(f.account.user, sizeof(f.account.user), "ann");
	(void)snprintf(f.mailbox, sizeof(f.mailbox), "/home/ann/Maildir");
	fake_say(fake_peer(ROLE_AUTH, 0), MSG_FOUND, &f,
		 offsetof(struct msg_found, account) + offsetof(struct msg_account, groups));
	fake_loop();
}

/* It came to nothing, and who asked knows why. */
static void
check_failed(conn_id id, const char *why)
{
	CU_ASSERT_PTR_NULL(conns_find(&fake.m, id));
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, why));
	CU_ASSERT_EQUAL(fake.unlawful, 0);
	fake_end();
}

static void
test_done(void)
{
	struct msg_job_end end = {.status = 0};
	struct fake_peer *p;
	conn_id id = begin_well();

	found(id, LOGIN_OK, geteuid());
	p = fake_session_of(id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(fake_got(p, MSG_JOB, id), 1);
	CU_ASSERT_EQUAL(answer.times, 0);
	fake_take(id);
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_STRING_EQUAL(answer.why, "");
	end.id = id;
	fake_say(p, MSG_JOB_END, &end, sizeof(end));
	fake_exit(p, 0);
	fake_loop();
	CU_ASSERT_PTR_NULL(conns_find(&fake.m, id));
	CU_ASSERT_EQUAL(answer.times, 1);
	CU_ASSERT_EQUAL(fake.unlawful, 0);
	fake_end();
}

static void
test_no_such_user(void)
{
	conn_id id = begin_well();

	found(id, LOGIN_BAD, 0);
	check_failed(id, "no such user");
}

static void
test_uid_not_allowed(void)
{
	conn_id id = begin_well();

	found(id, LOGIN_OK, geteuid() + 1);
	check_failed(id, "uid not allowed");
}

static void
test_helper_lost(void)
{
	conn_id id = begin_well();

	fake_exit(fake_peer(ROLE_AUTH, 0), SIGSEGV);
	fake_loop();
	check_failed(id, "helper was lost");
}

/* It lives and does not answer. */
static void
test_helper_says_nothing(void)
{
	conn_id id = begin_well();

	for (uint32_t s = 0; s < conf_decision_timeout(fake.m.conf) - 1; s++) {
		fake_pong(fake_peer(ROLE_AUTH, 0));
		fake_pong(fake_peer(ROLE_DISPATCH, 0));
		fake_pass(1000);
	}
	CU_ASSERT_EQUAL(answer.times, 0);
	fake_pong(fake_peer(ROLE_AUTH, 0));
	fake_pong(fake_peer(ROLE_DISPATCH, 0));
	fake_pass(3000);
	check_failed(id, "does not answer");
}

static void
test_no_helper(void)
{
	char why[MSG_PATH_SIZE];

	fake_begin_serving(settings);
	fake.no_process = true;
	fake_exit(fake_peer(ROLE_AUTH, 0), SIGSEGV);
	fake_loop();
	CU_ASSERT_EQUAL(begin(why), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "not there"));
	CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	fake_end();
}

static void
test_no_spare(void)
{
	conn_id id = begin_well();

	fake_exit(fake_peer(ROLE_SESSION, 0), 0);
	found(id, LOGIN_OK, geteuid());
	CU_ASSERT_EQUAL(conns_find(&fake.m, id)->state, CONN_GRANTED);
	fake_pass(12000);
	check_failed(id, "no session");
}

static void
test_session_lost(void)
{
	conn_id id = begin_well();

	found(id, LOGIN_OK, geteuid());
	fake_exit(fake_session_of(id), SIGKILL);
	fake_loop();
	check_failed(id, "no session began it");
}

static void
test_no_descriptors(void)
{
	conn_id id = begin_well();

	fake.no_pair = true;
	found(id, LOGIN_OK, geteuid());
	check_failed(id, "no descriptor");
}

/* Who asked goes: at each point of its way. */
static void
test_abandoned(void)
{
	for (int point = 0; point < 3; point++) {
		conn_id id = begin_well();

		if (point > 0)
			found(id, LOGIN_OK, geteuid());
		if (point > 1)
			fake_take(id);
		waiters_cancel(fake.m.waiters, &answer.w);
		jobs_abandon(&fake.m, id);
		fake_bury();
		CU_ASSERT_PTR_NULL(conns_find(&fake.m, id));
		jobs_abandon(&fake.m, id); /* once more: nothing */
		fake_end();
	}
}

static void
test_late_answer(void)
{
	conn_id id = begin_well();

	waiters_cancel(fake.m.waiters, &answer.w);
	jobs_abandon(&fake.m, id);
	found(id, LOGIN_OK, geteuid());
	CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	fake_end();
}

static void
test_limits(void)
{
	char why[MSG_PATH_SIZE], name[MSG_NAME_SIZE + 1], text[MSG_JOB_SIZE + 1];
	char *words[] = {text};
	struct server *s;

	fake_begin_serving(settings);
	s = servers_find(&fake.m, "main");
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CU_ASSERT_EQUAL(jobs_begin(&fake.m, s, name, "", 0, NULL, why), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "no user"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(jobs_begin(&fake.m, s, "ann", "", 1, words, why), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "too long"));
	words[0] = (char *)"box";
	for (int i = 0; i < JOBS_MAX; i++)
		CU_ASSERT_NOT_EQUAL(jobs_begin(&fake.m, s, "ann", "", 1, words, why), 0);
	CU_ASSERT_EQUAL(jobs_begin(&fake.m, s, "ann", "", 1, words, why), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "under way already"));
	conns_drop_undecided(&fake.m);
	server_destroy(&fake.m, s);
	CU_ASSERT_EQUAL(jobs_begin(&fake.m, s, "ann", "", 0, NULL, why), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "exiting"));
	fake_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"done", test_done},
	    {"no such user", test_no_such_user},
	    {"uid not allowed", test_uid_not_allowed},
	    {"the helper is lost", test_helper_lost},
	    {"the helper says nothing", test_helper_says_nothing},
	    {"no helper", test_no_helper},
	    {"no spare", test_no_spare},
	    {"its session is lost", test_session_lost},
	    {"no descriptors", test_no_descriptors},
	    {"the requester disconnected", test_abandoned},
	    {"an answer after the end", test_late_answer},
	    {"limits", test_limits},
	    {NULL, NULL}};

	return unit_run("jobs", tests);
}
