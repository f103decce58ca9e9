/* Log lines of this process: see log.h. */
#include "config.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"

enum { LOG_FINISH_MS = 1000 };

static struct {
	const struct log_sink *sink;
	log_also_fn *also;
	bool echo; /* errors go to standard error, too */
	int level;
} out = {.sink = &log_stderr, .level = LOG_INFO};

void
log_to(const struct log_sink *sink)
{
	out.sink = sink;
}

void
log_to_stderr(void)
{
	log_stderr_open(false);
	out.sink = &log_stderr;
}

void
log_to_terminal(void)
{
	log_stderr_open(true);
	out.sink = &log_stderr;
}

void
log_echo_errors(void)
{
	out.echo = true;
	log_stderr_open(false);
}

bool
log_leave_stderr(void)
{
	log_finish();
	log_stderr_close();
	out.echo = false;
	return out.sink == &log_stderr;
}

void
log_also(log_also_fn *fn)
{
	out.also = fn;
}

void
log_set_level(int prio)
{
	out.level = prio;
}

bool
log_is_wanted(int prio)
{
	return prio <= out.level;
}

const char *
log_compose(char *dst, conn_id id, const char *text)
{
	enum { ROOM = LOG_ID_SIZE + 8 }; /* for the connection */
	char conn[LOG_ID_SIZE];
	size_t n;

	escape_text(dst, LOG_OUT_MAX - ROOM, text);
	n = strlen(dst);
	if (id != 0)
		(void)snprintf(dst + n, LOG_OUT_MAX - n, " conn=%s", log_conn(conn, id));
	return dst;
}

void
log_put(int prio, conn_id id, const char *text)
{
	out.sink->put(prio, id, text);
	if (out.also != NULL)
		out.also(prio, id, text);
	if (out.echo && out.sink != &log_stderr && prio <= LOG_ERR)
		log_stderr.put(prio, id, text);
}

void
log_line(int prio, conn_id id, const char *fmt, ...)
{
	char text[MSG_TEXT_MAX];
	va_list ap;

	if (!log_is_wanted(prio))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_put(prio, id, text);
}

void
log_tell(const char *fmt, ...)
{
	char text[MSG_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_stderr_tell(text);
}

int
log_try(int prio, const char *text)
{
	if (!log_is_wanted(prio))
		return 0;
	if (!out.sink->is_ready())
		return -1;
	log_put(prio, 0, text);
	return 0;
}

int
log_wait_fd(void)
{
	return out.sink->wait_fd();
}

void
log_flush(void)
{
	(void)out.sink->flush();
	if (out.sink != &log_stderr)
		(void)log_stderr.flush();
}

/* Until it has taken what waits. */
static void
sink_finish(const struct log_sink *sink, uint64_t deadline)
{
	struct pollfd pfd = {sink->wait_fd(), POLLOUT, 0};

	while (!sink->flush() && clock_ms() < deadline)
		(void)poll(&pfd, 1, LOG_FINISH_MS / 10);
	if (pfd.fd != -1)
		close(pfd.fd);
}

void
log_finish(void)
{
	uint64_t deadline = clock_ms() + LOG_FINISH_MS;

	if (out.sink != &log_stderr)
		sink_finish(out.sink, deadline);
	sink_finish(&log_stderr, deadline);
}
