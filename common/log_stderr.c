/* Log lines that go to standard error: see log.h. */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/log.h"
#include "common/outlet.h"

enum { HEAD_MAX = 64 /* what stands before a line */ };

static struct {
	bool journal; /* it adds time and name itself */
	bool bare;    /* a person reads it now, and knows time and name */
	struct outlet outlet;
} out;

/* Is it the journal's stream?  systemd.exec(5), JOURNAL_STREAM. */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;
	char *end;

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	dev = strtoumax(stream, &end, 10);
	if (end == stream || *end != ':')
		return false;
	ino = strtoumax(end + 1, NULL, 10);
	return dev == (uintmax_t)st.st_dev && ino == (uintmax_t)st.st_ino;
}

void
log_stderr_open(bool terminal)
{
	out.bare = terminal;
	out.journal = is_journal();
	outlet_open(&out.outlet, STDERR_FILENO);
}

void
log_stderr_close(void)
{
	outlet_close(&out.outlet);
}

/* What stands before a line on standard error. */
static void
head_write(char *head, size_t cap, int prio)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	head[0] = '\0';
	if (out.journal)
		(void)snprintf(head, cap, "<%d>", prio & LOG_PRIMASK);
	if (out.journal || out.bare)
		return;
	n = localtime_r(&now, &tm) != NULL ? strftime(head, cap, "%Y-%m-%dT%H:%M:%S%z ", &tm) : 0;
	(void)snprintf(head + n, cap - n, "pop3d[%ld]: ", (long)getpid());
}

static void
line_put(const char *head, const char *text)
{
	char line[HEAD_MAX + LOG_OUT_MAX];
	int n = snprintf(line, sizeof(line), "%s%s\n", head, text);

	if (!out.outlet.open)
		outlet_open(&out.outlet, STDERR_FILENO);
	outlet_put(&out.outlet, line, (size_t)n);
	if (out.bare)
		outlet_finish(&out.outlet, UINT64_MAX);
}

static void
lost_tell(void)
{
	unsigned long lost = outlet_lost(&out.outlet);
	char head[HEAD_MAX], text[80];

	if (lost == 0)
		return;
	head_write(head, sizeof(head), LOG_WARNING);
	(void)snprintf(text, sizeof(text), "lost %lu log lines: standard error did not take them",
		       lost);
	line_put(head, text);
}

static void
stderr_put(int prio, conn_id id, const char *text)
{
	char head[HEAD_MAX], line[LOG_OUT_MAX];

	lost_tell();
	head_write(head, sizeof(head), prio);
	line_put(head, log_compose(line, id, text));
}

void
log_stderr_tell(const char *text)
{
	char line[LOG_OUT_MAX];

	lost_tell();
	line_put("", log_compose(line, 0, text));
}

static bool
stderr_is_ready(void)
{
	return outlet_is_ready(&out.outlet);
}

static int
stderr_wait_fd(void)
{
	return fcntl(out.outlet.fd, F_DUPFD_CLOEXEC, 0);
}

static bool
stderr_flush(void)
{
	if (outlet_flush(&out.outlet) != 0)
		return false;
	lost_tell();
	return true;
}

const struct log_sink log_stderr = {stderr_put, stderr_is_ready, stderr_wait_fd, stderr_flush};
