/* Receipts of deleted messages: none is lost while the log takes no lines, and nobody else waits.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/ports/servers.h"
#include "daemon/table/conns.h"
#include "daemon/table/receipts.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

static const char settings[] = "log = stderr log_level = info session_spares = 2\n"
			       "login_workers = 1 worker_connections = 64\n"
			       "server main { port = 1100 socket = plain auth = '' }\n";

/* ---- a log that takes lines, or does not ---- */

static struct {
	bool behind, nobody; /* takes none now; has no descriptor to wait for */
	int ends[2];	     /* of a pipe, which is full while it is behind */
	char text[65536];    /* the lines, so many octets of them */
	size_t written;
	unsigned receipts;
} sink;

static void
put(int prio, conn_id id, const char *text)
{
	(void)prio, (void)id;
	sink.receipts += strncmp(text, "deleted ", 8) == 0;
	sink.written += (size_t)snprintf(sink.text + sink.written, sizeof(sink.text) - sink.written,
					 "%s\n", text);
}

static bool
is_ready(void)
{
	return !sink.behind;
}

static int
wait_fd(void)
{
	return sink.nobody ? -1 : fcntl(sink.ends[1], F_DUPFD_CLOEXEC, 0);
}

static bool
flush(void)
{
	return true;
}

static void
fall_behind(void)
{
	static const char octets[4096];

	sink.behind = true;
	while (write(sink.ends[1], octets, sizeof(octets)) > 0)
		continue;
}

static void
catch_up(void)
{
	char octets[4096];

	sink.behind = false;
	while (read(sink.ends[0], octets, sizeof(octets)) > 0)
		continue;
}

/* How many lines have this text in them. */
static unsigned
lines(const char *text)
{
	unsigned n = 0;

	for (const char *at = sink.text; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

/* ---- sessions ---- */

static void
begin(void)
{
	static const struct log_sink to = {put, is_ready, wait_fd, flush};

	fake_begin_serving(settings);
	sink.behind = sink.nobody = false;
	if (pipe2(sink.ends, O_CLOEXEC | O_NONBLOCK) == -1)
		abort();
	log_to(&to);
	sink.text[0] = '\0';
	sink.written = sink.receipts = 0;
}

static void
finish(void)
{
	fake_end();
	log_to_stderr();
	close(sink.ends[0]);
	close(sink.ends[1]);
}

/* A session of the user with so many messages, whose mailbox lost some since the one before. */
static struct fake_peer *
opened_with(const char *user, uint64_t messages, uint64_t known, uint64_t vanished)
{
	struct msg_session_open open = {.messages = messages, .known = known, .vanished = vanished};
	conn_id id = fake_connect(servers_find(&fake.m, "main"));
	struct fake_peer *p;

	fake_loop();
	fake_grant(id, user, geteuid());
	p = fake_session_of(id);
	fake_take(id);
	open.id = p->conn = id;
	fake_say(p, MSG_SESSION_OPEN, &open, sizeof(open));
	fake_all_ready();
	return p;
}

static struct fake_peer *
opened(const char *user, uint64_t known, uint64_t vanished)
{
	return opened_with(user, 100, known, vanished);
}

static void
deletes(struct fake_peer *p, const char *uid)
{
	struct msg_receipt r = {.id = p->conn, .octets = 10};

	(void)snprintf(r.uid, sizeof(r.uid), "%s", uid);
	fake_say(p, MSG_RECEIPT, &r, sizeof(r));
}

static bool
is_heard(const struct fake_peer *p)
{
	return p->ec != NULL && !p->ec->paused;
}

/* ---- tests ---- */

static void
test_written_at_once(void)
{
	struct fake_peer *p;

	begin();
	p = opened("ann", 0, 0);
	deletes(p, "u1");
	CU_ASSERT_EQUAL(lines("user=ann peer=127.0.0.1:1 uid=u1 octets=10 retrieved=never\n"), 1);
	CU_ASSERT_TRUE(is_heard(p));
	CU_ASSERT_EQUAL(receipts_status(&fake.m)->deleted, 1);
	finish();
}

/* Two sessions, while the log takes no line. */
static void
two_behind(struct fake_peer **ann, struct fake_peer **bob)
{
	begin();
	*ann = opened("ann", 0, 0);
	*bob = opened("bob", 0, 0);
	fall_behind();
}

/* A session with a line to write is not heard; the others are. */
static void
test_waits(void)
{
	struct fake_peer *ann, *bob;

	two_behind(&ann, &bob);
	deletes(ann, "u1");
	deletes(ann, "u2"); /* stays in its channel */
	CU_ASSERT_FALSE(is_heard(ann));
	CU_ASSERT_TRUE(is_heard(bob));
	fake_loop();
	CU_ASSERT_EQUAL(lines("deleted "), 0);
	deletes(bob, "u3");
	CU_ASSERT_FALSE(is_heard(bob));
	catch_up();
	fake_loop();
	CU_ASSERT_EQUAL(lines("uid=u1"), 1);
	CU_ASSERT_EQUAL(lines("uid=u3"), 1);
	CU_ASSERT_TRUE(strstr(sink.text, "uid=u1") < strstr(sink.text, "uid=u3"));
	CU_ASSERT_TRUE(is_heard(ann) && is_heard(bob));
	CU_ASSERT_EQUAL(lines("uid=u2"), 0);
	deletes(ann, "u2");
	CU_ASSERT_EQUAL(lines("uid=u2"), 1);
	finish();
}

/* What comes later does not pass what waits, also if the log could take it. */
static void
test_in_order(void)
{
	struct fake_peer *ann, *bob;

	two_behind(&ann, &bob);
	deletes(ann, "u1");
	catch_up();
	deletes(bob, "u2");
	CU_ASSERT_EQUAL(lines("deleted "), 0);
	fake_loop();
	CU_ASSERT_TRUE(strstr(sink.text, "uid=u1") < strstr(sink.text, "uid=u2"));
	CU_ASSERT_EQUAL(lines("deleted "), 2);
	finish();
}

/* Nobody reads the log for five seconds: no session waits for it, until it is read again. */
static void
test_stuck(void)
{
	struct fake_peer *p;

	begin();
	p = opened("ann", 0, 0);
	fall_behind();
	deletes(p, "u1");
	fake_pass(4000);
	CU_ASSERT_FALSE(is_heard(p));
	fake_pass(2000);
	CU_ASSERT_TRUE(is_heard(p));
	CU_ASSERT_EQUAL(lines("uid=u1"), 1);
	deletes(p, "u2");
	CU_ASSERT_TRUE(is_heard(p));
	CU_ASSERT_EQUAL(lines("uid=u2"), 1);
	catch_up();
	deletes(p, "u3");
	fall_behind();
	deletes(p, "u4");
	CU_ASSERT_FALSE(is_heard(p)); /* it is waited for again */
	CU_ASSERT_EQUAL(lines("uid=u3"), 1);
	finish();
}

/* Of one session, whose mailbox has so many messages. */
static void
delete_many(uint64_t messages, unsigned wanted, const char *sum)
{
	struct fake_peer *p;

	begin();
	p = opened_with("ann", messages, 0, 0);
	for (uint64_t i = 0; i < messages; i++) {
		sink.written = i % 100 != 0 ? sink.written : 0; /* its text has an end */
		deletes(p, "u");
	}
	CU_ASSERT_EQUAL(sink.receipts, wanted);
	CU_ASSERT_EQUAL(receipts_status(&fake.m)->deleted, messages);
	sink.written = 0;
	sink.text[0] = '\0';
	fake_exit(p, SIGKILL);
	fake_loop();
	CU_ASSERT_EQUAL(lines("deleted-more "), sum != NULL);
	if (sum != NULL)
		CU_ASSERT_EQUAL(lines(sum), 1);
	finish();
}

static void
test_more_than_ten_thousand(void)
{
	delete_many(10000, 10000, NULL);
	delete_many(10005, 10000, "user=ann peer=127.0.0.1:1 messages=5 see=\"pop3ctl history\"\n");
}

static void
test_nothing_to_wait_for(void)
{
	struct fake_peer *p;

	begin();
	p = opened("ann", 0, 0);
	fall_behind();
	sink.nobody = true;
	deletes(p, "u1");
	CU_ASSERT_TRUE(is_heard(p));
	CU_ASSERT_EQUAL(lines("uid=u1"), 1);
	finish();
}

/* The message is gone, whatever became of the session that deleted it. */
static void
test_session_ends_meanwhile(void)
{
	struct fake_peer *ann, *bob;

	two_behind(&ann, &bob);
	deletes(ann, "u1");
	deletes(bob, "u2");
	fake_exit(ann, SIGKILL);
	fake_loop();
	CU_ASSERT_PTR_NULL(conns_find(&fake.m, ann->conn));
	CU_ASSERT_EQUAL(lines("uid=u1"), 1);
	CU_ASSERT_EQUAL(lines("uid=u2"), 0);
	catch_up();
	fake_loop();
	CU_ASSERT_EQUAL(lines("uid=u1"), 1);
	CU_ASSERT_EQUAL(lines("uid=u2"), 1);
	finish();
}

/* More than half, and twenty at least. */
static void
test_many_have_vanished(void)
{
	static const struct {
		uint64_t known, vanished;
		unsigned warnings;
	} table[] = {{0, 0, 0}, {19, 19, 0}, {20, 20, 1}, {40, 20, 0}, {39, 20, 1}, {1000, 501, 1}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		begin();
		(void)opened("ann", table[i].known, table[i].vanished);
		CU_ASSERT_EQUAL(lines("uids-vanished "), table[i].warnings);
		CU_ASSERT_EQUAL(receipts_status(&fake.m)->vanished, table[i].warnings);
		finish();
	}
}

static void
test_many_fetched_again(void)
{
	static const struct {
		uint64_t again;
		unsigned warnings;
	} table[] = {{0, 0}, {50, 0}, {51, 1}, {UINT64_MAX, 0 /* not known */}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct msg_session_end end = {.again = table[i].again};
		struct fake_peer *p;

		begin();
		p = opened("ann", 0, 0);
		end.id = p->conn;
		fake_say(p, MSG_SESSION_END, &end, sizeof(end));
		fake_exit(p, 0);
		fake_loop();
		CU_ASSERT_EQUAL(lines("fetched-again "), table[i].warnings);
		CU_ASSERT_EQUAL(receipts_status(&fake.m)->again, table[i].warnings);
		finish();
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"written at once", test_written_at_once},
	    {"waits for the log", test_waits},
	    {"in order", test_in_order},
	    {"the log is stuck", test_stuck},
	    {"more than ten thousand", test_more_than_ten_thousand},
	    {"nothing to wait for", test_nothing_to_wait_for},
	    {"its session ends meanwhile", test_session_ends_meanwhile},
	    {"many have vanished", test_many_have_vanished},
	    {"many are fetched again", test_many_fetched_again},
	    {NULL, NULL}};

	return unit_run("receipts", tests);
}
