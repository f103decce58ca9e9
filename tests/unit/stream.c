#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/pop3.h"
#include "tests/unit/unit.h"
#include "worker/session/stream.h"

/* A stream, the client's end of it, and master's end of the channel. */
static struct stream stream;
static struct channel own, masters;
static int client;

static void
setup(uint32_t idle)
{
	int pair[2], fd[2];

	if (channel_pair(pair) == -1 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1)
		abort();
	channel_init(&own, pair[0], ROLE_SESSION, ROLE_MASTER, 8);
	channel_init(&masters, pair[1], ROLE_MASTER, ROLE_SESSION, 8);
	stream_init(&stream, fd[0], &own, 7, idle);
	client = fd[1];
}

static void
teardown(void)
{
	if (client != -1)
		(void)close(client);
	if (stream.fd != -1)
		(void)close(stream.fd);
	channel_close(&own);
	channel_close(&masters);
}

static void
client_send(const char *octets, size_t len)
{
	if (send(client, octets, len, MSG_NOSIGNAL) != (ssize_t)len)
		abort();
}

static void
client_end(void)
{
	(void)shutdown(client, SHUT_WR);
}

/* What the client has got, as a string. */
static const char *
client_read(void)
{
	static char buf[65536];
	ssize_t n = recv(client, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

/* A word for what comes next: the line, or what stands for it. */
static const char *
next(void)
{
	static char text[POP3_LINE_MAX + 1];
	const char *line;
	size_t len;

	switch (stream_line(&stream, &line, &len)) {
	case STREAM_LINE:
		memcpy(text, line, len);
		text[len] = '\0';
		return text;
	case STREAM_LONG:
		return "(long)";
	default:
		return "(end)";
	}
}

static double
now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Input, and the words that it comes to, whole or octet by octet. */
struct line_case {
	const char *input;
	size_t fill; /* so many "A" at the first "@" of the input */
	const char *words[6];
	enum stream_over over;
};

static const struct line_case line_cases[] = {
    {"STAT\r\n", 0, {"STAT"}, STREAM_CLIENT},
    {"STAT\n", 0, {"STAT"}, STREAM_CLIENT},
    {"STAT\r\nLIST\nQUIT\r\n", 0, {"STAT", "LIST", "QUIT"}, STREAM_CLIENT},
    {"\r\n\n", 0, {"", ""}, STREAM_CLIENT},
    {"ST\rAT\r\n", 0, {"ST\rAT"}, STREAM_CLIENT},
    {"STAT\r\r\n", 0, {"STAT\r"}, STREAM_CLIENT},
    {"STAT\r\nQUIT", 0, {"STAT"}, STREAM_CLIENT}, /* CON-09 */
    {"QUIT\r", 0, {NULL}, STREAM_CLIENT},
    {"NOOP @\r\nSTAT\r\n", 300, {"(long)", "STAT"}, STREAM_CLIENT},
    {"NOOP @\nSTAT\r\n", 300, {"(long)", "STAT"}, STREAM_CLIENT},
    {"@\r\nSTAT\r\n", 254, {"(long)", "STAT"}, STREAM_CLIENT},
    {"@\nSTAT\r\n", 255, {"(long)", "STAT"}, STREAM_CLIENT},
    {"@\r\nSTAT\r\n", 8191, {"(long)", "STAT"}, STREAM_CLIENT},
    {"STAT\r\n@\r\nSTAT\r\n", 8192, {"STAT"}, STREAM_ABUSE},
    {"STAT\r\n@\nQUIT\r\n", 8193, {"STAT"}, STREAM_ABUSE},
    {"STAT\r\n@", 9000, {"STAT"}, STREAM_ABUSE},
    {"STAT\r\n@", 8000, {"STAT"}, STREAM_CLIENT},
};

static size_t
case_input(const struct line_case *c, char out[16384])
{
	size_t len = 0;

	for (const char *p = c->input; *p != '\0'; p++)
		if (*p == '@') {
			memset(out + len, 'A', c->fill);
			len += c->fill;
		} else {
			out[len++] = *p;
		}
	return len;
}

/* Feed the input in pieces; the stream is asked while it comes, as by a slow client. */
static void
feed(const char *input, size_t len, size_t piece)
{
	pid_t pid = fork();

	if (pid == 0) {
		size_t n;

		(void)close(stream.fd); /* or the end of the reader would not be seen */
		for (; len > 0; input += n, len -= n) {
			n = piece < len ? piece : len;
			if (send(client, input, n, MSG_NOSIGNAL) == -1)
				break;
		}
		_exit(0);
	}
	if (pid == -1)
		abort();
}

static void
check_case(const struct line_case *c, size_t piece)
{
	char input[16384];
	size_t len = case_input(c, input), i;

	setup(10);
	if (piece == 0) {
		client_send(input, len);
		client_end();
	} else {
		feed(input, len, piece);
		(void)close(client); /* the child has it */
		client = -1;
	}
	for (i = 0; i < sizeof(c->words) / sizeof(c->words[0]) && c->words[i] != NULL; i++)
		CU_ASSERT_STRING_EQUAL(next(), c->words[i]);
	CU_ASSERT_STRING_EQUAL(next(), "(end)");
	CU_ASSERT_EQUAL(stream.over, c->over);
	teardown();
	while (wait(NULL) > 0)
		;
}

static void
test_lines_whole(void)
{
	for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++)
		check_case(&line_cases[i], 0);
}

static void
test_lines_in_pieces(void)
{
	for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++) {
		check_case(&line_cases[i], 1);
		check_case(&line_cases[i], 7);
	}
}

/* 255 octets with CRLF, and with LF alone, are a command. */
static void
test_longest_line(void)
{
	char line[256];

	setup(10);
	memset(line, 'B', sizeof(line));
	memcpy(line + 253, "\r\n", 2);
	client_send(line, 255);
	CU_ASSERT_EQUAL(strlen(next()), 253);
	memset(line, 'B', sizeof(line));
	line[254] = '\n';
	client_send(line, 255);
	CU_ASSERT_EQUAL(strlen(next()), 254);
	teardown();
}

static void
test_flush_when_nothing_waits(void)
{
	setup(10);
	client_send("A1\r\nA2\r\nA3", 10);
	CU_ASSERT_STRING_EQUAL(next(), "A1");
	stream_reply(&stream, "+OK one");
	CU_ASSERT_STRING_EQUAL(next(), "A2");
	stream_reply(&stream, "+OK two");
	CU_ASSERT_STRING_EQUAL(client_read(), ""); /* A2 was waiting */
	client_end();
	CU_ASSERT_STRING_EQUAL(next(), "(end)");
	CU_ASSERT_STRING_EQUAL(client_read(), "+OK one\r\n+OK two\r\n");
	teardown();
}

static void
test_reply_is_cut(void)
{
	char text[1000];
	const char *got;

	setup(10);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	stream_reply(&stream, "+OK %s", text);
	stream_flush(&stream);
	got = client_read();
	CU_ASSERT(strlen(got) <= POP3_RESPONSE_MAX);
	CU_ASSERT_STRING_EQUAL(got + strlen(got) - 2, "\r\n");
	teardown();
}

/* However full the buffer is, the terminator leaves with what was put before it. */
static void
test_terminator_is_never_alone(void)
{
	static char junk[STREAM_OUT_SIZE];

	for (size_t left = 0; left < 12; left++) {
		setup(10);
		stream_put(&stream, junk, STREAM_OUT_SIZE - STREAM_RESERVE - left);
		stream_put_end(&stream, "\r\n", 2);
		CU_ASSERT_EQUAL(stream.out_len, STREAM_OUT_SIZE - STREAM_RESERVE - left + 5);
		stream.out_len = 0;
		teardown();
	}
}

static void *
slow_reader(void *arg)
{
	static char buf[65536];
	size_t *got = arg;
	ssize_t n;

	while ((n = recv(client, buf, sizeof(buf), 0)) > 0) {
		*got += (size_t)n;
		(void)usleep(8000);
	}
	return NULL;
}

/* A reader slower than the idle limit as a whole, but never without progress. */
static void
test_slow_reader(void)
{
	static char block[65536];
	size_t got = 0, put = 0;
	pthread_t thread;

	setup(1);
	if (pthread_create(&thread, NULL, slow_reader, &got) != 0)
		abort();
	while (put < 200 * sizeof(block)) {
		stream_put(&stream, block, sizeof(block));
		put += sizeof(block);
	}
	stream_flush(&stream);
	CU_ASSERT(!stream_is_over(&stream));
	(void)close(stream.fd);
	stream.fd = -1;
	(void)pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(got, put);
	teardown();
}

static void
test_reader_that_stops(void)
{
	static char block[65536];
	double start = now();

	setup(1);
	for (int i = 0; i < 1000 && !stream_is_over(&stream); i++)
		stream_put(&stream, block, sizeof(block));
	CU_ASSERT_EQUAL(stream.over, STREAM_TIMEOUT);
	CU_ASSERT(now() - start > 0.99);
	teardown();
}

static void
test_idle(void)
{
	double start = now();

	setup(1);
	client_send("NOO", 3);
	CU_ASSERT_STRING_EQUAL(next(), "(end)");
	CU_ASSERT_EQUAL(stream.over, STREAM_TIMEOUT);
	CU_ASSERT(now() - start > 0.99);
	CU_ASSERT_STRING_EQUAL(client_read(), "");
	teardown();
}

static void
test_reset(void)
{
	setup(10);
	(void)close(client);
	client = -1;
	stream_reply(&stream, "+OK");
	CU_ASSERT_STRING_EQUAL(next(), "(end)");
	CU_ASSERT_EQUAL(stream.over, STREAM_CLIENT);
	teardown();
}

static void
test_master_gone(void)
{
	static char block[65536];

	setup(10);
	channel_close(&masters);
	CU_ASSERT_STRING_EQUAL(next(), "(end)");
	CU_ASSERT_EQUAL(stream.over, STREAM_SHUTDOWN);
	teardown();

	/* also while a message is being sent to a client that does not read */
	setup(10);
	for (int i = 0; i < 1000 && !stream_is_over(&stream); i++) {
		stream_put(&stream, block, sizeof(block));
		if (i == 0)
			channel_close(&masters);
	}
	CU_ASSERT_EQUAL(stream.over, STREAM_SHUTDOWN);
	teardown();
}

/* What no master says in the middle of a session ends it. */
static void
test_unexpected(void)
{
	static const struct msg_job job = {.argc = 1, .len = 1};

	setup(10);
	client_send("A1\r\n", 4);
	CU_ASSERT_STRING_EQUAL(next(), "A1");
	(void)channel_put(&masters, MSG_JOB, &job, offsetof(struct msg_job, words) + 1);
	CU_ASSERT_STRING_EQUAL(next(), "(end)");
	CU_ASSERT_EQUAL(stream.over, STREAM_SHUTDOWN);
	teardown();
}

/* An answer that comes after the wait for it is dropped. */
static void
test_late_answer(void)
{
	static const struct msg_lock_answer answer;

	setup(10);
	(void)channel_put(&masters, MSG_LOCK_ANSWER, &answer, sizeof(answer));
	client_send("A1\r\n", 4);
	CU_ASSERT_STRING_EQUAL(next(), "A1");
	CU_ASSERT_FALSE(stream_is_over(&stream));
	teardown();
}

/* What the client still sends does not cost it the last line. */
static void
test_finish(void)
{
	double start = now();

	setup(10);
	client_send("NOOP\r\nNOOP\r\n", 12);
	stream_reply(&stream, "+OK bye");
	client_end();
	stream_finish(&stream);
	CU_ASSERT(now() - start < 1);
	CU_ASSERT_STRING_EQUAL(client_read(), "+OK bye\r\n");
	teardown();

	/* a client that does not close is waited for, but not for ever */
	setup(10);
	start = now();
	stream_finish(&stream);
	CU_ASSERT(now() - start >= 1.9);
	teardown();
}

static void
test_trace(void)
{
	static const char *const expected[] = {"STAT", "+OK 0 0", "PASS ****", "pass ****"};
	struct msg m;

	setup(10);
	stream.trace = true;
	client_send("STAT\r\nPASS secret\r\npass  x y\r\n", 30);
	(void)next();
	stream_reply(&stream, "+OK 0 0");
	(void)next();
	(void)next();
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(channel_recv(&masters, &m), 1);
		CU_ASSERT_EQUAL(m.type, MSG_TRACE);
		CU_ASSERT_EQUAL(m.u.trace.id, 7);
		CU_ASSERT_EQUAL(m.u.trace.from_client, i != 1);
		CU_ASSERT_STRING_EQUAL(m.u.trace.text, expected[i]);
	}
	teardown();
}

static const struct unit_test tests[] = {
    {"LIN-03 LIN-09 LIN-13 CON-09 lines, all at once", test_lines_whole},
    {"LIN-03 LIN-09 LIN-13 CON-09 lines, in pieces", test_lines_in_pieces},
    {"LIN-02 the longest line", test_longest_line},
    {"TRX-09 output waits while commands do not", test_flush_when_nothing_waits},
    {"RSP-01 a first line is never longer than 512 octets", test_reply_is_cut},
    {"MLT-01 the terminator is never alone", test_terminator_is_never_alone},
    {"CON-07 a slow reader", test_slow_reader},
    {"CON-07 a reader that stops", test_reader_that_stops},
    {"CON-06 idle", test_idle},
    {"CON-09 reset by the client", test_reset},
    {"CON-09 master goes away", test_master_gone},
    {"an unexpected message from master", test_unexpected},
    {"an answer that comes late", test_late_answer},
    {"CON-10 the last line is not lost", test_finish},
    {"trace with secrets masked", test_trace},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("stream", tests);
}
