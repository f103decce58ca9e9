/* common/log.c */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "daemon/log/admit.h"
#include "daemon/log/foreign.h"
#include "tests/unit/unit.h"

enum { CAUGHT_MAX = 65536 };

static int caught_fd = -1, real_stderr = -1;

/* Standard error goes into a file in memory until catch_end. */
static void
catch_begin(void)
{
	caught_fd = memfd_create("log", MFD_CLOEXEC);
	real_stderr = dup(STDERR_FILENO);
	if (caught_fd < 0 || real_stderr < 0 || dup2(caught_fd, STDERR_FILENO) < 0)
		abort();
	log_to_stderr();
}

/* What was written meanwhile; terminated. */
static const char *
catch_end(void)
{
	static char text[CAUGHT_MAX];
	ssize_t n = pread(caught_fd, text, sizeof(text) - 1, 0);

	if (dup2(real_stderr, STDERR_FILENO) < 0 || n < 0)
		abort();
	close(real_stderr);
	close(caught_fd);
	text[n] = '\0';
	return text;
}

static size_t
count_of(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void
test_quote(void)
{
	char dst[LOG_QUOTED_SIZE];

	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "alice@example.org", 17),
			       "alice@example.org");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "a_.@:/+-Z9", 10), "a_.@:/+-Z9");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "", 0), "\"\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "a b", 3), "\"a b\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "a=b", 3), "\"a=b\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "a\"b\\", 4), "\"a\\\"b\\\\\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, sizeof(dst), "a\nb\0\x7f\xff", 6),
			       "\"a\\x0ab\\x00\\x7f\\xff\"");
}

static void
test_quote_cut(void)
{
	char dst[16], whole[LOG_QUOTED_SIZE], name[MSG_NAME_SIZE - 1];

	CU_ASSERT_STRING_EQUAL(log_quote(dst, 8, "abcdefg", 7), "abcdefg");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, 8, "abcdefgh", 8), "abcd...");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, 8, "a bcd", 5), "\"a bcd\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, 8, "a bcde", 6), "\"a ...\"");
	/* no half escape */
	CU_ASSERT_STRING_EQUAL(log_quote(dst, 12, "ab\x01\x02", 4), "\"ab\\x01...\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, 11, "ab\x01\x02", 4), "\"ab...\"");
	CU_ASSERT_STRING_EQUAL(log_quote(dst, 5, "a b c d e", 9), "");
	for (size_t cap = 1; cap <= sizeof(dst); cap++) {
		memset(dst, 'x', sizeof(dst));
		log_quote(dst, cap, "\x01\"\\ abcdefgh", 12);
		CU_ASSERT_TRUE(strnlen(dst, cap) < cap);
		CU_ASSERT_TRUE(cap == sizeof(dst) || dst[cap] == 'x');
	}
	/* the longest name fits */
	memset(name, 0xff, sizeof(name));
	log_quote(whole, sizeof(whole), name, sizeof(name));
	CU_ASSERT_EQUAL(strlen(whole), 4 * sizeof(name) + 2);
	CU_ASSERT_TRUE(ends_with(whole, "\\xff\""));
}

static void
test_addresses(void)
{
	struct msg_addr v4 = {.family = AF_INET, .port = 1234, .octets = {192, 0, 2, 1}};
	struct msg_addr v6 = {.family = AF_INET6, .port = 65535, .octets = {0x20, 1, 0xd, 0xb8}};
	struct msg_addr none = {.family = 0};
	char dst[LOG_ADDR_SIZE], id[LOG_ID_SIZE];

	v6.octets[15] = 1;
	CU_ASSERT_STRING_EQUAL(log_addr(dst, &v4), "192.0.2.1:1234");
	CU_ASSERT_STRING_EQUAL(log_host(dst, &v4), "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(log_addr(dst, &v6), "[2001:db8::1]:65535");
	CU_ASSERT_STRING_EQUAL(log_host(dst, &v6), "2001:db8::1");
	CU_ASSERT_STRING_EQUAL(log_addr(dst, &none), "-");
	CU_ASSERT_STRING_EQUAL(log_host(dst, &none), "-");
	CU_ASSERT_STRING_EQUAL(log_conn(id, UINT64_MAX), "ffffffffffffffff");
	CU_ASSERT_STRING_EQUAL(log_conn(id, 0x1f), "1f");
}

static void
test_stderr(void)
{
	const char *text;
	int year, month, day, hour, minute, second, offset;
	long pid;

	catch_begin();
	log_info(0, "hello %d", 7);
	text = catch_end();
	CU_ASSERT_EQUAL(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%5d pop3d[%ld]: hello 7\n", &year,
			       &month, &day, &hour, &minute, &second, &offset, &pid),
			8);
	CU_ASSERT_EQUAL(pid, getpid());
	CU_ASSERT_TRUE(ends_with(text, "]: hello 7\n"));
}

static void
test_journal(void)
{
	char stream[64];
	struct stat st;

	catch_begin();
	if (fstat(STDERR_FILENO, &st) < 0)
		abort();
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	(void)setenv("JOURNAL_STREAM", stream, 1);
	log_to_stderr();
	log_warn(0, "hello");
	CU_ASSERT_STRING_EQUAL(catch_end(), "<4>hello\n");
	/* the variable is inherited, but standard error is another file by now */
	(void)setenv("JOURNAL_STREAM", "1:1", 1);
	catch_begin();
	log_warn(0, "hello");
	CU_ASSERT_PTR_NULL(strstr(catch_end(), "<4>"));
	(void)unsetenv("JOURNAL_STREAM");
}

static void
test_connection(void)
{
	const char *text;

	catch_begin();
	log_info(0x2a, "relay failed");
	log_warn(0x2a, "refused: \"a conn=9\"");
	log_info(0, "started");
	text = catch_end();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ": relay failed conn=2a\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ": refused: \"a conn=9\" conn=2a\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ": started\n"));
}

static void
test_level(void)
{
	const char *text;

	catch_begin();
	log_debug(0, "unseen");
	log_set_level(LOG_DEBUG);
	log_debug(0, "seen");
	log_set_level(LOG_ERR);
	log_warn(0, "unseen");
	log_error(0, "seen");
	log_set_level(LOG_INFO);
	text = catch_end();
	CU_ASSERT_PTR_NULL(strstr(text, "unseen"));
	CU_ASSERT_EQUAL(count_of(text, "seen\n"), 2);
}

static void
test_one_line(void)
{
	char big[MSG_TEXT_MAX];
	const char *text;

	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	catch_begin();
	log_info(5, "%s", big);
	log_info(0, "a\r\nb\x1b[31m\xc3\xa9");
	text = catch_end();
	CU_ASSERT_EQUAL(count_of(text, "\n"), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\\x0a... conn=5\n"));
	CU_ASSERT_TRUE(ends_with(text, "]: a\\x0d\\x0ab\\x1b[31m\\xc3\\xa9\n"));
}

static void
foreign(enum role role, int prio, conn_id id, const char *text)
{
	struct msg_log line = {.prio = (uint32_t)prio, .id = id};

	(void)snprintf(line.text, sizeof(line.text), "%s", text);
	log_foreign(role, 123, &line);
}

static void
test_foreign(void)
{
	const char *text;

	catch_begin();
	foreign(ROLE_LOGIN, LOG_INFO, 0x2a, "handshake failed");
	foreign(ROLE_SESSION, LOG_INFO, 0, "odd file\nlogin conn=1 user=root");
	foreign(ROLE_LOGIN, LOG_INFO, 7, "x conn=8 role=auth pid=1 role=pid=9 conn=conn=9");
	foreign(ROLE_LOGIN, LOG_INFO, 7, "login-failed conn=9 peer=192.0.2.1:7");
	foreign(ROLE_LOGIN, LOG_INFO, 0, "role=auth-child pid=9 liar");
	foreign(ROLE_LOGIN, LOG_DEBUG, 0, "unseen");
	text = catch_end();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "]: role=login pid=123 conn=2a handshake failed\n"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "]: role=session pid=123 odd file\\x0alogin conn\\x3d1 user=root\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
				      "]: role=login pid=123 conn=7 x conn\\x3d8 role\\x3dauth "
				      "pid\\x3d1 role\\x3dpid\\x3d9 conn\\x3dconn\\x3d9\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(
	    text, "]: role=login pid=123 conn=7 login-failed conn\\x3d9 peer=192.0.2.1:7\n"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "]: role=login pid=123 role\\x3dauth-child pid\\x3d9 liar\n"));
	CU_ASSERT_EQUAL(count_of(text, "\n"), 5);
}

/* People look for what a value holds, and a quoted one holds no words of the line. */
static void
test_foreign_quoted(void)
{
	static const struct {
		const char *text, *reads;
	} lines[] = {
	    {"file=\"a conn=9 pid=\" conn=8", "file=\"a conn=9 pid=\" conn\\x3d8\n"},
	    {"file=\"a\\\" conn=9\" pid=8", "file=\"a\\\" conn=9\" pid\\x3d8\n"},
	    {"file=\"a\" conn=9 \"", "file=\"a\" conn\\x3d9 \"\n"},
	    {"file=\"a conn=9", "file=\"a conn\\x3d9\n"},
	    {"file=\"a conn=9\\", "file=\"a conn\\x3d9\\\n"},
	    {"\"a conn=9\"", "\"a conn\\x3d9\"\n"},
	    {"conn=\"pid=9\"", "conn\\x3d\"pid\\x3d9\"\n"},
	    {"=\"\"conn=9", "=\"\"conn\\x3d9\n"},
	};

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		catch_begin();
		foreign(ROLE_SESSION, LOG_INFO, 0, lines[i].text);
		CU_ASSERT_TRUE(ends_with(catch_end(), lines[i].reads));
	}
}

/* The helper alone is believed that a line is of a child of its own. */
static void
test_child_of_helper(void)
{
	struct msg_log line = {
	    .prio = LOG_INFO, .role = ROLE_AUTH_CHILD, .id = 4, .pid = 9, .text = "slow module"};
	const char *text;

	catch_begin();
	log_foreign(ROLE_AUTH, 123, &line);
	log_foreign(ROLE_SESSION, 123, &line);
	foreign(ROLE_AUTH, LOG_INFO, 3, "login-failed conn=3 user=alice\n");
	text = catch_end();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "]: role=auth-child pid=9 conn=4 slow module\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "]: role=session pid=123 conn=4 slow module\n"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "]: role=auth pid=123 conn=3 login-failed conn\\x3d3 user=alice\\x0a\n"));
	CU_ASSERT_EQUAL(count_of(text, "\n"), 3);
}

/* The C library's clock, moved ahead at will: a program's own function goes before the library's.
 */
static long clock_ahead;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	ts->tv_sec += clock_ahead;
	return rc;
}

static void
test_repeated(void)
{
	const char *text;

	catch_begin();
	for (int i = 0; i < 5; i++)
		foreign(ROLE_LOGIN, LOG_ERR, (conn_id)i, "disk on fire");
	foreign(ROLE_SESSION, LOG_ERR, 0, "disk on fire");
	for (int i = 0; i < 3; i++)
		foreign(ROLE_LOGIN, LOG_INFO, 0, "receipt");
	text = catch_end();
	CU_ASSERT_EQUAL(count_of(text, "role=login pid=123 disk on fire\n"), 1);
	CU_ASSERT_EQUAL(count_of(text, "role=session pid=123 disk on fire\n"), 1);
	CU_ASSERT_EQUAL(count_of(text, "receipt\n"), 3);
	clock_ahead += 11;
	catch_begin();
	log_foreign_tick();
	foreign(ROLE_LOGIN, LOG_ERR, 0, "disk on fire");
	text = catch_end();
	CU_ASSERT_EQUAL(count_of(text, "]: role=login repeated 4 times: disk on fire\n"), 1);
	CU_ASSERT_EQUAL(count_of(text, "repeated"), 1);
	CU_ASSERT_EQUAL(count_of(text, "role=login pid=123 disk on fire\n"), 1);
}

static void
test_repeated_many(void)
{
	const char *text;
	char line[32];

	clock_ahead += 11;
	catch_begin();
	foreign(ROLE_LOGIN, LOG_ERR, 0, "first");
	foreign(ROLE_LOGIN, LOG_ERR, 0, "first");
	for (int i = 0; i < 40; i++) {
		(void)snprintf(line, sizeof(line), "other %d", i);
		foreign(ROLE_LOGIN, LOG_ERR, 0, line);
	}
	text = catch_end();
	/* what is pushed out of the table is not forgotten */
	CU_ASSERT_EQUAL(count_of(text, "repeated 1 times: first\n"), 1);
	CU_ASSERT_EQUAL(count_of(text, "pid=123 other "), 40);
}

static void
test_trace(void)
{
	struct msg_trace line = {.id = 0x10, .from_client = 1};
	const char *text;

	catch_begin();
	strcpy(line.text, "RETR 1\r\n");
	log_trace(&line);
	line.from_client = 0;
	strcpy(line.text, "+OK");
	log_trace(&line);
	memset(line.text, '\n', sizeof(line.text) - 1);
	log_trace(&line);
	text = catch_end();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "]: trace conn=10 < \"RETR 1\\x0d\\x0a\"\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "]: trace conn=10 > +OK\n"));
	CU_ASSERT_TRUE(ends_with(text, "\\x0a...\"\n"));
	CU_ASSERT_EQUAL(count_of(text, "\n"), 3);
}

static void
test_channel(void)
{
	struct channel ours, master;
	struct msg m;
	int fd[2];

	if (channel_pair(fd) < 0)
		abort();
	channel_init(&ours, fd[0], ROLE_LOGIN, ROLE_MASTER, 4);
	channel_init(&master, fd[1], ROLE_MASTER, ROLE_LOGIN, 4);
	log_to_channel(&ours);
	log_warn(0x2a, "odd %s", "thing");
	CU_ASSERT_EQUAL(channel_recv(&master, &m), 1);
	CU_ASSERT_EQUAL(m.type, MSG_LOG);
	CU_ASSERT_EQUAL(m.u.log.prio, LOG_WARNING);
	CU_ASSERT_EQUAL(m.u.log.id, 0x2a);
	CU_ASSERT_STRING_EQUAL(m.u.log.text, "odd thing");
	CU_ASSERT_EQUAL(m.len, offsetof(struct msg_log, text) + sizeof("odd thing"));
	log_forward(ROLE_AUTH_CHILD, 9, &m.u.log);
	CU_ASSERT_EQUAL(channel_recv(&master, &m), 1);
	CU_ASSERT_EQUAL(m.u.log.role, ROLE_AUTH_CHILD);
	CU_ASSERT_EQUAL(m.u.log.pid, 9);
	CU_ASSERT_STRING_EQUAL(m.u.log.text, "odd thing");
	channel_close(&ours);
	channel_close(&master);
	catch_begin();
	(void)catch_end();
}

static void
test_channel_full(void)
{
	struct channel ours, master;
	unsigned sent = 0, got = 0, lost = 0;
	struct msg m;
	int fd[2];

	if (channel_pair(fd) < 0)
		abort();
	channel_init(&ours, fd[0], ROLE_LOGIN, ROLE_MASTER, 2);
	channel_init(&master, fd[1], ROLE_MASTER, ROLE_LOGIN, 2);
	log_to_channel(&ours);
	for (; sent < 5000; sent++)
		log_info(0, "line %u", sent);
	while (channel_recv(&master, &m) == 1) {
		got++;
		if (channel_flush(&ours) < 0)
			abort();
	}
	log_info(0, "again");
	while (channel_recv(&master, &m) == 1)
		if (sscanf(m.u.log.text, "lost %u log lines", &lost) != 1)
			CU_ASSERT_STRING_EQUAL(m.u.log.text, "again");
	CU_ASSERT_TRUE(got > 0 && got < sent);
	CU_ASSERT_EQUAL(lost, sent - got);
	log_info(0, "quiet");
	CU_ASSERT_EQUAL(channel_recv(&master, &m), 1);
	CU_ASSERT_STRING_EQUAL(m.u.log.text, "quiet");
	channel_close(&ours);
	channel_close(&master);
	catch_begin();
	(void)catch_end();
}

/* One process must not fill the disk. */
static void
test_admit(void)
{
	struct log_bucket b = {0, 0, 0};
	unsigned admitted = 0;

	for (int i = 0; i < 100000; i++)
		admitted += log_admit(&b, ROLE_LOGIN, 1, 5000);
	CU_ASSERT_EQUAL(admitted, 200);
	CU_ASSERT_EQUAL(b.dropped, 100000 - 200);
	catch_begin();
	for (int i = 0; i < 1000; i++)
		admitted += log_admit(&b, ROLE_LOGIN, 1, 6000);
	CU_ASSERT(
	    ends_with(catch_end(), ": role=login pid=1 wrote 99800 lines more than it may\n"));
	CU_ASSERT_EQUAL(admitted, 250);
	CU_ASSERT(log_admit(&b, ROLE_LOGIN, 1, 100000)); /* not more than at first, however long */
	CU_ASSERT_EQUAL(b.lines, 199);
	for (int role = ROLE_MASTER + 1; role < ROLE_COUNT; role++) {
		b = (struct log_bucket){0, 0, 0};
		CU_ASSERT(log_admit(&b, (enum role)role, 1, 5000));
	}
}

/* A line that must not get lost is refused while whoever reads standard error does not. */
static void
test_try(void)
{
	int pipe_fd[2], fd;
	char block[4096];

	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK), 0);
	real_stderr = dup(STDERR_FILENO);
	CU_ASSERT_FATAL(real_stderr >= 0 && dup2(pipe_fd[1], STDERR_FILENO) >= 0);
	log_to_stderr();
	CU_ASSERT_EQUAL(log_try(LOG_INFO, "first"), 0);
	memset(block, 'x', sizeof(block));
	while (write(pipe_fd[1], block, sizeof(block)) > 0)
		;
	CU_ASSERT_EQUAL(log_try(LOG_INFO, "second"), -1);
	CU_ASSERT_EQUAL(log_try(LOG_DEBUG, "not of this level"), 0);
	fd = log_wait_fd();
	CU_ASSERT(fd > STDERR_FILENO);
	close(fd);
	CU_ASSERT(read(pipe_fd[0], block, sizeof(block)) > 0);
	block[100] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(block, ": first\n"));
	while (read(pipe_fd[0], block, sizeof(block)) > 0)
		;
	CU_ASSERT_EQUAL(log_try(LOG_INFO, "third"), 0);
	/* nobody is there any more: it is not waited for */
	close(pipe_fd[0]);
	(void)signal(SIGPIPE, SIG_IGN);
	CU_ASSERT_EQUAL(log_try(LOG_INFO, "fourth"), 0);
	CU_ASSERT(dup2(real_stderr, STDERR_FILENO) >= 0);
	close(real_stderr);
	close(pipe_fd[1]);
}

static const struct unit_test tests[] = {
    {"quoted values", test_quote},
    {"quoted values cut", test_quote_cut},
    {"addresses and ids", test_addresses},
    {"standard error", test_stderr},
    {"standard error is the journal", test_journal},
    {"connection id", test_connection},
    {"levels", test_level},
    {"RSP-03 one line stays one line", test_one_line},
    {"foreign lines", test_foreign},
    {"quoted values of foreign lines", test_foreign_quoted},
    {"lines of a child of the helper", test_child_of_helper},
    {"repeated lines", test_repeated},
    {"many different lines", test_repeated_many},
    {"trace", test_trace},
    {"to a channel", test_channel},
    {"to a full channel", test_channel_full},
    {"a process may log only so much", test_admit},
    {"a line that must not get lost", test_try},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("log", tests);
}
