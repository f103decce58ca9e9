/* The lines that scripts rely on: each field in its place, as pop3d(8) has it. */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/log.h"
#include "daemon/ports/servers.h"
#include "daemon/table/report.h"
#include "daemon/totals.h"
#include "tests/unit/unit.h"

static struct server server = {.set = {.name = "main"}};
static struct conn_login login;
static struct conn conn;

/* ---- the log ---- */

static char last[LOG_OUT_MAX];
static int level;

static void
put(int prio, conn_id id, const char *text)
{
	(void)id;
	level = prio;
	(void)snprintf(last, sizeof(last), "%s", text);
}

static bool
yes(void)
{
	return true;
}

static int
none(void)
{
	return -1;
}

/* The line, without the time that it took. */
static const char *
line(void)
{
	char *at = strstr(last, "duration="), *end;

	if (at == NULL)
		return last;
	end = at + strcspn(at, " ");
	memmove(at + strlen("duration="), end, strlen(end) + 1);
	return last;
}

static void
begin(void)
{
	static const struct log_sink sink = {put, yes, none, yes};

	log_to(&sink);
	log_set_level(LOG_DEBUG);
	last[0] = '\0';
	memset(&login, 0, sizeof(login));
	conn = (struct conn){.row = {.id = 0x2a, .peer = {.family = AF_INET, .port = 1234}},
			     .server = &server};
	inet_pton(AF_INET, "192.0.2.1", conn.row.peer.octets);
	conn.accepted = conn.since = clock_ms();
}

/* ... with a user, and TLS. */
static void
begin_login(bool tls)
{
	begin();
	(void)snprintf(login.user, sizeof(login.user), "ann o'%s", "n");
	login.uid = 1000;
	login.mech = MECH_PLAIN;
	if (tls)
		login.facts = (struct msg_tls_facts){"TLSv1.3", "TLS_AES_128_GCM_SHA256", "mx"};
	conn.login = &login;
}

/* ---- before login ---- */

static void
test_connect(void)
{
	begin();
	report_connect(&conn);
	CU_ASSERT_STRING_EQUAL(line(), "connect conn=2a server=main peer=192.0.2.1:1234");
	CU_ASSERT_EQUAL(level, LOG_DEBUG);
}

static void
test_disconnect(void)
{
	static const char *const reasons[CONN_END_COUNT] = {
	    [CONN_END_QUIT] = "quit",	      [CONN_END_CLIENT] = "closed",
	    [CONN_END_TIMEOUT] = "timeout",   [CONN_END_TLS] = "tls",
	    [CONN_END_FAILURES] = "failures", [CONN_END_ABUSE] = "abuse",
	    [CONN_END_DROPPED] = "dropped",   [CONN_END_RELAY] = "relay",
	    [CONN_END_CROWDED] = "crowded",   [CONN_END_BARRED] = "barred",
	    [CONN_END_ERROR] = "error"};
	char want[160];

	for (unsigned why = 0; why < CONN_END_COUNT; why++) {
		begin();
		report_disconnect(&conn, (enum conn_end)why, 3);
		(void)snprintf(want, sizeof(want),
			       "disconnect conn=2a server=main peer=192.0.2.1:1234 reason=%s "
			       "failures=3 duration=",
			       reasons[why]);
		CU_ASSERT_STRING_EQUAL(line(), want);
	}
}

static void
test_deletions(void)
{
	struct msg_session_end end = {.why = SESSION_END_UPDATE, .kept = 3, .undone = 5};
	uint64_t kept = totals_sum(TOTAL_KEPT), undone = totals_sum(TOTAL_UNDONE);

	begin_login(true);
	report_session_end(&conn, &end);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_KEPT), kept + 3);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_UNDONE), undone + 5);
	end.kept = end.undone = UINT64_MAX; /* nobody knows */
	report_session_end(&conn, &end);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_KEPT), kept + 3);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_UNDONE), undone + 5);
}

static void
test_index(void)
{
	struct msg_session_open open = {.index = INDEX_FOUND_NONE};
	uint64_t before = totals_sum(TOTAL_INDEX);

	begin_login(true);
	report_login(&conn, &open);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_INDEX), before);
	open.index = INDEX_FOUND_CURRENT;
	report_login(&conn, &open);
	CU_ASSERT_EQUAL(totals_of(TOTAL_INDEX, 0), 1);
	CU_ASSERT_EQUAL(totals_of(TOTAL_INDEX, 1), 0);
	open.index = INDEX_FOUND_OTHER;
	report_login(&conn, &open);
	CU_ASSERT_EQUAL(totals_of(TOTAL_INDEX, 1), 1);
}

/* ---- login ---- */

static void
test_login(void)
{
	struct msg_session_open open = {.messages = 3, .octets = 999};

	begin_login(true);
	report_login(&conn, &open);
	CU_ASSERT_STRING_EQUAL(line(),
			       "login conn=2a server=main user=\"ann o'n\" peer=192.0.2.1:1234 "
			       "uid=1000 mech=PLAIN tls=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256 "
			       "messages=3 octets=999 sni=mx");
	begin_login(false);
	open.octets = UINT64_MAX;
	report_login(&conn, &open);
	CU_ASSERT_STRING_EQUAL(line(),
			       "login conn=2a server=main user=\"ann o'n\" peer=192.0.2.1:1234 "
			       "uid=1000 mech=PLAIN tls=none cipher=none messages=3 octets=unknown "
			       "sni=none");
}

static void
test_login_failed(void)
{
	begin_login(true);
	report_login_failed(&conn, LOGIN_TEMP, "no session");
	CU_ASSERT_STRING_EQUAL(line(), "login-failed conn=2a server=main user=\"ann o'n\" "
				       "peer=192.0.2.1:1234 mech=PLAIN tls=TLSv1.3 result=temp "
				       "reason=\"no session\"");
}

/* By the helper: no user's name is written that is no user's, but to who debugs. */
static void
test_auth_failed(void)
{
	struct msg_auth_failed f = {.id = 7, .result = LOGIN_BAD, .mech = MECH_USER};

	begin();
	f.peer = conn.row.peer;
	report_auth_failed(&f);
	CU_ASSERT_STRING_EQUAL(line(), "login-failed conn=7 server=\"\" user=unknown "
				       "peer=192.0.2.1:1234 mech=USER tls=none result=auth "
				       "reason=\"\"");
	f.result = LOGIN_OK;
	(void)snprintf(f.given, sizeof(f.given), "secret word");
	report_auth_failed(&f);
	CU_ASSERT_STRING_EQUAL(line(), "login-name conn=7 user=\"secret word\"");
	CU_ASSERT_EQUAL(level, LOG_DEBUG);
	log_set_level(LOG_INFO);
	report_auth_failed(&f);
	CU_ASSERT_PTR_NOT_NULL(strstr(line(), " result=gone "));
	CU_ASSERT_PTR_NULL(strstr(line(), "secret"));
}

static void
test_wrong_time(void)
{
	struct msg_auth_failed f = {.id = 7, .result = LOGIN_BAD, .mech = MECH_USER};
	uint64_t before = totals_sum(TOTAL_WRONG_TIME);

	report_count_failed(&f); /* was not checked */
	CU_ASSERT_EQUAL(totals_sum(TOTAL_WRONG_TIME), before);
	f.check_ms = 1; /* took no time */
	report_count_failed(&f);
	f.check_ms = UINT32_MAX;
	report_count_failed(&f);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_WRONG_TIME), before + 2);
}

/* ---- sessions ---- */

static void
test_session_end(void)
{
	static const char *const ends[SESSION_END_COUNT] = {
	    [SESSION_END_QUIT] = "quit by=client",
	    [SESSION_END_UPDATE] = "update-failed by=client",
	    [SESSION_END_CLIENT] = "closed by=client",
	    [SESSION_END_TIMEOUT] = "timeout by=server",
	    [SESSION_END_STORE] = "mailbox-error by=server",
	    [SESSION_END_SHUTDOWN] = "shutdown by=server",
	    [SESSION_END_ABUSE] = "abuse by=server",
	    [SESSION_END_REFUSED] = "refused by=server",
	    [SESSION_END_TAKEOVER] = "takeover by=server",
	    [SESSION_END_KILLED] = "killed by=server",
	    [SESSION_END_WORKER] = "worker-lost by=server"};
	char want[400];

	for (uint32_t why = 0; why < SESSION_END_COUNT; why++) {
		struct msg_session_end end = {.why = why,
					      .retrieved = 1,
					      .retrieved_octets = 20,
					      .topped = 3,
					      .deleted = 4,
					      .left = 5,
					      .again = UINT64_MAX};

		begin_login(true);
		report_session_end(&conn, &end);
		(void)snprintf(want, sizeof(want),
			       "session-end conn=2a server=main user=\"ann o'n\" "
			       "peer=192.0.2.1:1234 reason=%s retrieved=1 retrieved_octets=20 "
			       "topped=3 deleted=4 left=5 duration= tls=TLSv1.3 "
			       "fetched_again=unknown",
			       ends[why]);
		CU_ASSERT_STRING_EQUAL(line(), want);
	}
}

static void
test_deleted(void)
{
	struct msg_receipt r = {.octets = 5, .uid = "a b"};
	char text[REPORT_SIZE];

	begin_login(false);
	CU_ASSERT_STRING_EQUAL(report_deleted(text, &conn, &r),
			       "deleted conn=2a server=main user=\"ann o'n\" "
			       "peer=192.0.2.1:1234 uid=\"a b\" octets=5 retrieved=never");
	r.octets = UINT64_MAX;
	r.retrieved = 86400;
	CU_ASSERT_PTR_NOT_NULL(strstr(report_deleted(text, &conn, &r),
				      " octets=unknown retrieved=1970-01-02T00:00:00Z"));
}

static void
test_warnings(void)
{
	begin_login(false);
#define WHO " conn=2a server=main user=\"ann o'n\" peer=192.0.2.1:1234 "
	report_exposed(&conn, EXPOSED_HOME);
	CU_ASSERT_STRING_EQUAL(line(), "exposed" WHO "what=home");
	report_exposed(&conn, EXPOSED_MAILBOX);
	CU_ASSERT_STRING_EQUAL(line(), "exposed" WHO "what=mailbox");
	report_vanished(&conn, 30, 40);
	CU_ASSERT_STRING_EQUAL(line(), "uids-vanished" WHO "vanished=30 of=40");
	report_fetched_again(&conn, 50, 60);
	CU_ASSERT_STRING_EQUAL(line(), "fetched-again" WHO "fetched=50 of=60");
	CU_ASSERT_EQUAL(level, LOG_WARNING);
}

static void
test_takeover(void)
{
	struct conn holder = {.row = {.id = 0x1f}};

	begin_login(false);
	report_takeover(&conn, &holder);
	CU_ASSERT_STRING_EQUAL(line(), "takeover conn=2a server=main user=\"ann o'n\" "
				       "peer=192.0.2.1:1234 from=1f");
}

static void
test_job(void)
{
	begin_login(false);
	report_job(&conn, "box list", 0, "");
	CU_ASSERT_STRING_EQUAL(line(), "job conn=2a server=main user=\"ann o'n\" "
				       "job=\"box list\" status=0 duration=");
	report_job(&conn, "box list", 1, "no such user");
	CU_ASSERT_STRING_EQUAL(line(), "job conn=2a server=main user=\"ann o'n\" "
				       "job=\"box list\" status=1 reason=\"no such user\" "
				       "duration=");
}

/* ---- who is told beside the log ---- */

static char told[64];

static void
tell(const char *what)
{
	size_t n = strlen(told);

	(void)snprintf(told + n, sizeof(told) - n, "%s ", what);
}

static void
sink_serving(struct master *m)
{
	(void)m;
	tell("serving");
}

static void
sink_tick(struct master *m)
{
	(void)m;
	tell("tick");
}

static void
sink_connected(const struct conn *c)
{
	CU_ASSERT_PTR_EQUAL(c, &conn);
	tell("connected");
}

static void
sink_gone(const struct conn *c)
{
	CU_ASSERT_PTR_EQUAL(c, &conn);
	tell("gone");
}

static void
sink_session_over(struct master *m)
{
	(void)m;
	tell("over");
}

static void
tell_all(void)
{
	report_serving(NULL);
	report_tick(NULL);
	report_connect(&conn);
	report_session_over(NULL);
	report_gone(&conn);
}

static void
test_sink(void)
{
	static const struct report_sink sink = {.serving = sink_serving,
						.tick = sink_tick,
						.connected = sink_connected,
						.gone = sink_gone,
						.session_over = sink_session_over};

	begin();
	tell_all(); /* nobody */
	report_to(&sink);
	tell_all();
	CU_ASSERT_STRING_EQUAL(told, "serving tick connected over gone ");
	report_to(NULL);
	tell_all();
	CU_ASSERT_STRING_EQUAL(told, "serving tick connected over gone ");
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"connect", test_connect},
	    {"disconnect", test_disconnect},
	    {"login", test_login},
	    {"login failed after the grant", test_login_failed},
	    {"login refused by the helper", test_auth_failed},
	    {"the time of a wrong password's check", test_wrong_time},
	    {"the end of a session", test_session_end},
	    {"deletions that failed or were undone", test_deletions},
	    {"how the index was found", test_index},
	    {"a deleted message", test_deleted},
	    {"warnings", test_warnings},
	    {"takeover", test_takeover},
	    {"a job", test_job},
	    {"who is told beside the log", test_sink},
	    {NULL, NULL}};

	return unit_run("report", tests);
}
