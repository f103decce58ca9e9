/* common/outlet.c */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/outlet.h"
#include "tests/unit/unit.h"

enum {
	MANY = 5000, /* lines, of more octets than a pipe or socket and an outlet hold */
	READ_MAX = 1 << 20,
	HANG_SECONDS = 120 /* a write that waits ends the test program */
};

static struct outlet o;
static int pair[2]; /* [0] is read, [1] is the outlet's */

static void
make_pipe(void)
{
	if (pipe2(pair, O_CLOEXEC) == -1)
		abort();
	outlet_open(&o, pair[1]);
}

static void
end(void)
{
	outlet_close(&o);
	close(pair[0]);
	close(pair[1]);
}

/* As where the pipe cannot be opened anew. */
static void
ask_before_writing(void)
{
	outlet_close(&o);
	o.open = true;
	o.fd = pair[1];
	o.way = OUTLET_POLL;
}

/* "7 xxx...\n", of `len` octets. */
static void
put_line(unsigned number, size_t len)
{
	static char line[OUTLET_SIZE];
	int n = snprintf(line, sizeof(line), "%u ", number);

	memset(line + n, 'x', len - (size_t)n - 1);
	line[len - 1] = '\n';
	outlet_put(&o, line, len);
}

/* Read until nothing waits any more, into `text`.  The octets. */
static size_t
read_all(char *text, size_t cap)
{
	bool waits;
	size_t len = 0;
	ssize_t n;

	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) == -1)
		abort();
	do {
		waits = outlet_flush(&o) == 1;
		while ((n = read(pair[0], text + len, cap - len)) > 0)
			len += (size_t)n;
	} while (waits);
	return len;
}

/* The same; each line must be `len` octets of the next number.  How many came. */
static unsigned
read_lines(unsigned first, size_t len)
{
	static char text[READ_MAX];
	size_t all = read_all(text, sizeof(text));
	unsigned n = 0;

	CU_ASSERT(all < sizeof(text) && all % len == 0);
	for (const char *line = text; line < text + all; line += len, n++) {
		CU_ASSERT_EQUAL(strtoul(line, NULL, 10), first + n);
		CU_ASSERT_PTR_EQUAL(memchr(line, '\n', len), line + len - 1);
	}
	return n;
}

/* Nobody reads: nothing waits for it, and whoever reads later gets whole lines and the number of
 * the others. */
static void
check_unread(size_t len)
{
	unsigned long lost;
	unsigned got;

	for (unsigned i = 0; i < MANY; i++)
		put_line(i, len);
	CU_ASSERT(!outlet_is_ready(&o));
	CU_ASSERT_EQUAL(outlet_lost(&o), 0);
	got = read_lines(0, len);
	CU_ASSERT(got * len > OUTLET_SIZE);
	put_line(got, len); /* not before the gap is told */
	CU_ASSERT_EQUAL(read_lines(got, len), 0);
	lost = outlet_lost(&o);
	CU_ASSERT_EQUAL(got + lost, MANY + 1);
	CU_ASSERT_EQUAL(outlet_lost(&o), 0);
	CU_ASSERT(outlet_is_ready(&o));
	put_line(got, len);
	CU_ASSERT_EQUAL(read_lines(got, len), 1);
}

static void
test_pipe(void)
{
	make_pipe();
	CU_ASSERT_EQUAL(o.way, OUTLET_WRITE);
	check_unread(100);
	/* whoever shares the pipe waits as before */
	CU_ASSERT_EQUAL(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	end();
}

static void
test_pipe_of_others(void)
{
	make_pipe();
	ask_before_writing();
	check_unread(100);
	end();
}

static void
test_long_lines(void)
{
	make_pipe();
	check_unread(2 * PIPE_BUF + 1);
	end();
	make_pipe();
	ask_before_writing();
	check_unread(2 * PIPE_BUF + 1);
	end();
}

static void
test_socket(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		abort();
	outlet_open(&o, pair[1]);
	CU_ASSERT_EQUAL(o.way, OUTLET_SEND);
	check_unread(100);
	end();
}

static void
test_reader_gone(void)
{
	make_pipe();
	put_line(0, 100);
	close(pair[0]);
	put_line(1, 100);
	put_line(2, 100);
	CU_ASSERT_EQUAL(outlet_flush(&o), 0);
	CU_ASSERT(outlet_is_ready(&o)); /* nobody is waited for */
	CU_ASSERT_EQUAL(o.lost, 2);
	CU_ASSERT_EQUAL(outlet_lost(&o), 0); /* there is nobody to tell */
	outlet_close(&o);
	close(pair[1]);
}

/* Lines go to the end of a file that others write to, too. */
static void
test_file(void)
{
	char text[64];
	int fd = memfd_create("outlet", MFD_CLOEXEC);

	outlet_open(&o, fd);
	outlet_put(&o, "one\n", 4);
	CU_ASSERT_EQUAL(write(fd, "other\n", 6), 6);
	outlet_put(&o, "two\n", 4);
	CU_ASSERT_EQUAL(pread(fd, text, sizeof(text), 0), 14);
	CU_ASSERT_EQUAL(memcmp(text, "one\nother\ntwo\n", 14), 0);
	outlet_close(&o);
	close(fd);
}

static void
test_full_disk(void)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int fd = memfd_create("outlet", MFD_CLOEXEC);

	outlet_open(&o, full);
	for (int i = 0; i < 3; i++)
		outlet_put(&o, "line\n", 5);
	CU_ASSERT_EQUAL(outlet_lost(&o), 0);
	if (dup2(fd, o.fd) == -1) /* there is room again */
		abort();
	outlet_put(&o, "line\n", 5);
	CU_ASSERT_EQUAL(outlet_lost(&o), 3);
	outlet_close(&o);
	close(full);
	close(fd);
}

static void
test_not_open(void)
{
	outlet_open(&o, -1);
	outlet_put(&o, "line\n", 5);
	CU_ASSERT_EQUAL(o.lost, 1);
	outlet_close(&o);
}

/* The end waits for a reader, for a time. */
static void
test_finish(void)
{
	unsigned got = 0;
	int status;
	pid_t pid;

	make_pipe();
	do
		put_line(got++, 100);
	while (o.lost == 0);
	outlet_finish(&o, clock_ms());
	CU_ASSERT(o.len > 0);
	if ((pid = fork()) == 0) {
		alarm(HANG_SECONDS);
		outlet_close(&o);
		close(pair[1]);
		for (char block[4096]; read(pair[0], block, sizeof(block)) > 0;)
			;
		_exit(0);
	}
	outlet_finish(&o, UINT64_MAX);
	CU_ASSERT_EQUAL(o.len, 0);
	CU_ASSERT_EQUAL(outlet_lost(&o), 1);
	end();
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static const struct unit_test tests[] = {
    {"a pipe that nobody reads", test_pipe},
    {"a pipe that cannot be opened anew", test_pipe_of_others},
    {"lines longer than a pipe takes at once", test_long_lines},
    {"a socket that nobody reads", test_socket},
    {"the reader has gone", test_reader_gone},
    {"a file", test_file},
    {"a full disk", test_full_disk},
    {"a closed descriptor", test_not_open},
    {"the end", test_finish},
    {NULL, NULL},
};

int
main(void)
{
	alarm(HANG_SECONDS);
	return unit_run("outlet", tests);
}
