/* Log lines: see log.h. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bsd/string.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/escape.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/outlet.h"
#include "common/syslog_socket.h"

enum {
	LOG_OUT_MAX = 8192,    /* octets of one line as written, escapes included */
	LOG_PREFIX_MAX = 96,   /* "role=... pid=... conn=... " */
	LOG_HEAD_MAX = 64,     /* what stands before a line on standard error */
	LOG_REPEAT_SLOTS = 16, /* different repeated lines watched at a time */
	LOG_REPEAT_HEAD = 160, /* octets kept of a repeated line */
	LOG_REPEAT_SECONDS = 10,
	LOG_FINISH_MS = 1000
};

enum log_kind { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_CHANNEL };

static struct {
	enum log_kind kind;
	bool journal; /* stderr is the journal: it adds time and name itself */
	bool echo;    /* errors go to stderr, too */
	bool bare;    /* a person reads stderr now, and knows time and name */
	struct channel *channel;
	int level;
	unsigned long lost; /* lines that the full channel did not take */
} out = {.kind = LOG_TO_STDERR, .level = LOG_INFO};

static struct outlet standard_error;

/* A line from another process that came lately. */
static struct repeat {
	bool used;
	enum role role;
	uint64_t hash; /* of the whole text */
	time_t since;
	unsigned long count;	    /* of lines held back */
	char head[LOG_REPEAT_HEAD]; /* of the text, for the report */
} repeats[LOG_REPEAT_SLOTS];

/* Words that only the reader of a line may put into it. */
static const char *const own_keys[] = {"role=", "pid=", "conn="};

/* Lines of trusted roles that stand in the log as they came, since their form is stable or since
 * the sender has put the prefix there. */
static const struct {
	enum role role;
	const char *begin;
} unprefixed[] = {
    {ROLE_AUTH, "login-failed "},
    {ROLE_AUTH, "role=auth-child "},
};

/* Is standard error the journal's stream?  systemd.exec(5), JOURNAL_STREAM. */
static bool
log_stderr_is_journal(void)
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
log_to_stderr(void)
{
	out.kind = LOG_TO_STDERR;
	out.journal = log_stderr_is_journal();
	outlet_open(&standard_error, STDERR_FILENO);
}

void
log_to_terminal(void)
{
	out.kind = LOG_TO_STDERR;
	out.bare = true;
}

void
log_to_syslog(const char *ident)
{
	syslog_socket_open(ident);
	out.kind = LOG_TO_SYSLOG;
}

void
log_echo_errors(void)
{
	out.echo = true;
	outlet_open(&standard_error, STDERR_FILENO);
}

void
log_leave_stderr(const char *ident)
{
	log_finish();
	outlet_close(&standard_error);
	out.echo = false;
	if (out.kind == LOG_TO_STDERR)
		log_to_syslog(ident);
}

void
log_to_channel(struct channel *c)
{
	out.kind = LOG_TO_CHANNEL;
	out.channel = c;
	out.lost = 0;
}

void
log_set_level(int prio)
{
	out.level = prio;
}

/* Length of the own key that begins here, 0 if none does. */
static size_t
log_own_key(const char *at)
{
	for (size_t i = 0; i < COUNT_OF(own_keys); i++)
		if (strncmp(at, own_keys[i], strlen(own_keys[i])) == 0)
			return strlen(own_keys[i]);
	return 0;
}

/* Length of the quoted value that begins here, with its "="; 0 if there is none, or no end of it.
 */
static size_t
log_quoted_value(const char *at)
{
	const char *p = at;

	if (*p++ != '=' || *p++ != '"')
		return 0;
	for (; *p != '"'; p++)
		if (*p == '\0' || (*p == '\\' && *++p == '\0'))
			return 0;
	return (size_t)(p + 1 - at);
}

/* The text of a process that is not believed: it cannot name a role, process or connection, since
 * the "=" of such a word is escaped.  In a quoted value it is no word, and stays as people look for
 * it. */
static void
log_escape_foreign(char *dst, size_t cap, const char *src)
{
	char neutral[LOG_OUT_MAX];
	const char *unquoted = src;
	size_t n = 0;

	while (*src != '\0' && n + sizeof("role=") + ESCAPE_SIZE < sizeof(neutral)) {
		size_t key;

		if (src >= unquoted)
			unquoted = src + log_quoted_value(src);
		key = src < unquoted ? 0 : log_own_key(src);
		if (key == 0) {
			neutral[n++] = *src++;
			continue;
		}
		memcpy(neutral + n, src, key - 1);
		n += key - 1;
		n += escape_octet(neutral + n, '=');
		src += key;
	}
	neutral[n] = '\0';
	escape_text(dst, cap, neutral);
}

/* What stands before a line on standard error. */
static void
log_head(char *head, size_t cap, int prio)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	head[0] = '\0';
	if (out.bare)
		return;
	if (out.journal) {
		(void)snprintf(head, cap, "<%d>", prio & LOG_PRIMASK);
		return;
	}
	n = localtime_r(&now, &tm) != NULL ? strftime(head, cap, "%Y-%m-%dT%H:%M:%S%z ", &tm) : 0;
	(void)snprintf(head + n, cap - n, "pop3d[%ld]: ", (long)getpid());
}

static void
log_put_stderr(const char *head, const char *text)
{
	char line[LOG_HEAD_MAX + LOG_OUT_MAX + LOG_PREFIX_MAX];
	int n = snprintf(line, sizeof(line), "%s%s\n", head, text);

	if (!standard_error.open)
		outlet_open(&standard_error, STDERR_FILENO);
	outlet_put(&standard_error, line, (size_t)n);
	if (out.bare)
		outlet_finish(&standard_error, UINT64_MAX);
}

static void
log_put_stderr_lost(void)
{
	unsigned long lost = outlet_lost(&standard_error);
	char head[LOG_HEAD_MAX], text[80];

	if (lost == 0)
		return;
	log_head(head, sizeof(head), LOG_WARNING);
	(void)snprintf(text, sizeof(text), "lost %lu log lines: standard error did not take them",
		       lost);
	log_put_stderr(head, text);
}

static void
log_write_stderr(int prio, const char *text)
{
	char head[LOG_HEAD_MAX];

	log_put_stderr_lost();
	log_head(head, sizeof(head), prio);
	log_put_stderr(head, text);
}

/* Write a line that is escaped already. */
static void
log_write(int prio, const char *text)
{
	if (out.kind == LOG_TO_SYSLOG)
		syslog_socket_send(prio, text);
	if (out.kind == LOG_TO_STDERR || (out.echo && prio <= LOG_ERR))
		log_write_stderr(prio, text);
}

static int
log_put_channel(int prio, conn_id id, const char *text)
{
	struct msg_log m;
	size_t len = strlen(text);

	if (len >= sizeof(m.text))
		len = sizeof(m.text) - 1;
	memset(&m, 0, offsetof(struct msg_log, text));
	m.prio = (uint32_t)(prio & LOG_PRIMASK);
	m.id = id;
	memcpy(m.text, text, len);
	m.text[len] = '\0';
	return channel_put(out.channel, MSG_LOG, &m, offsetof(struct msg_log, text) + len + 1);
}

static void
log_send(int prio, conn_id id, const char *text)
{
	if (out.lost > 0) {
		char lost[64];

		(void)snprintf(lost, sizeof(lost), "lost %lu log lines: channel full", out.lost);
		if (log_put_channel(LOG_WARNING, 0, lost) == 0)
			out.lost = 0;
	}
	/* Half of the queue is kept for what must not get lost. */
	if (out.channel->queued > out.channel->queue_max / 2 || log_put_channel(prio, id, text) < 0)
		out.lost++;
}

/* Put a whole line where lines go; `id` is appended unless the line names a connection. */
static void
log_emit(int prio, conn_id id, const char *line)
{
	char escaped[LOG_OUT_MAX + 32], conn[LOG_ID_SIZE];
	size_t n;

	if (out.kind == LOG_TO_CHANNEL) {
		log_send(prio, id, line);
		return;
	}
	escape_text(escaped, LOG_OUT_MAX, line);
	n = strlen(escaped);
	if (id != 0 && strstr(escaped, " conn=") == NULL)
		(void)snprintf(escaped + n, sizeof(escaped) - n, " conn=%s", log_conn(conn, id));
	log_write(prio, escaped);
}

static void
repeat_report(struct repeat *r)
{
	char line[LOG_REPEAT_HEAD + LOG_PREFIX_MAX];

	r->used = false;
	if (r->count == 0)
		return;
	(void)snprintf(line, sizeof(line), "role=%s repeated %lu times: %s", role_name(r->role),
		       r->count, r->head);
	log_emit(LOG_WARNING, 0, line);
}

void
log_tell(const char *fmt, ...)
{
	char text[MSG_TEXT_MAX], escaped[LOG_OUT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	escape_text(escaped, sizeof(escaped), text);
	log_put_stderr_lost();
	log_put_stderr("", escaped);
}

static time_t
log_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Report and forget the lines whose time is over. */
static void
repeat_expire(time_t now)
{
	for (size_t i = 0; i < COUNT_OF(repeats); i++)
		if (repeats[i].used && now - repeats[i].since >= LOG_REPEAT_SECONDS)
			repeat_report(&repeats[i]);
}

/* Is this line to be counted only?  `text` is escaped. */
static bool
repeat_held(enum role role, const char *text)
{
	uint64_t hash = hash_add(HASH_START, text, strlen(text));
	struct repeat *slot = &repeats[0];
	time_t now = log_now();

	repeat_expire(now);
	for (size_t i = 0; i < COUNT_OF(repeats); i++) {
		struct repeat *r = &repeats[i];

		if (r->used && r->role == role && r->hash == hash) {
			r->count++;
			return true;
		}
		if (slot->used && (!r->used || r->since < slot->since))
			slot = r;
	}
	if (slot->used)
		repeat_report(slot);
	*slot = (struct repeat){.used = true, .role = role, .hash = hash, .since = now};
	(void)strlcpy(slot->head, text, sizeof(slot->head));
	return false;
}

void
log_line(int prio, conn_id id, const char *fmt, ...)
{
	char text[MSG_TEXT_MAX];
	va_list ap;

	if (prio > out.level)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	repeat_expire(log_now());
	log_emit(prio, id, text);
}

/* Can a line be written without waiting or getting lost? */
static bool
log_is_ready(void)
{
	return out.kind == LOG_TO_SYSLOG ? syslog_socket_flush() == 0
					 : outlet_is_ready(&standard_error);
}

int
log_try(int prio, conn_id id, const char *text)
{
	if (prio > out.level)
		return 0;
	if (!log_is_ready())
		return -1;
	log_emit(prio, id, text);
	return 0;
}

int
log_wait_fd(void)
{
	return out.kind == LOG_TO_SYSLOG ? syslog_socket_wait()
					 : fcntl(standard_error.fd, F_DUPFD_CLOEXEC, 0);
}

void
log_flush(void)
{
	if (out.kind == LOG_TO_SYSLOG)
		(void)syslog_socket_flush();
	if (outlet_flush(&standard_error) == 0)
		log_put_stderr_lost();
}

static void
log_finish_syslog(uint64_t deadline)
{
	struct pollfd pfd = {syslog_socket_wait(), POLLOUT, 0};

	while (syslog_socket_flush() == 1 && clock_ms() < deadline)
		(void)poll(&pfd, 1, LOG_FINISH_MS / 10);
	if (pfd.fd != -1)
		close(pfd.fd);
}

void
log_finish(void)
{
	uint64_t deadline = clock_ms() + LOG_FINISH_MS;

	if (out.kind == LOG_TO_SYSLOG)
		log_finish_syslog(deadline);
	outlet_finish(&standard_error, deadline);
	log_flush();
}

static bool
log_is_unprefixed(enum role role, const char *text)
{
	for (size_t i = 0; i < COUNT_OF(unprefixed); i++)
		if (unprefixed[i].role == role &&
		    strncmp(text, unprefixed[i].begin, strlen(unprefixed[i].begin)) == 0)
			return true;
	return false;
}

void
log_foreign(enum role role, long pid, const struct msg_log *line)
{
	char text[LOG_OUT_MAX], whole[LOG_OUT_MAX + LOG_PREFIX_MAX], conn[LOG_ID_SIZE];
	int prio = (int)(line->prio & LOG_PRIMASK);
	int n;

	if (prio > out.level)
		return;
	if (log_is_unprefixed(role, line->text)) {
		log_emit(prio, line->id, line->text);
		return;
	}
	log_escape_foreign(text, sizeof(text), line->text);
	if (prio <= LOG_WARNING && repeat_held(role, text))
		return;
	n = snprintf(whole, sizeof(whole), "role=%s pid=%ld ", role_name(role), pid);
	if (line->id != 0)
		n += snprintf(whole + n, sizeof(whole) - (size_t)n, "conn=%s ",
			      log_conn(conn, line->id));
	(void)snprintf(whole + n, sizeof(whole) - (size_t)n, "%s", text);
	log_emit(prio, line->id, whole);
}

static void (*trace_sink)(const struct msg_trace *);

void
log_trace_to(void (*sink)(const struct msg_trace *))
{
	trace_sink = sink;
}

void
log_trace(const struct msg_trace *line)
{
	char quoted[LOG_OUT_MAX / 2], whole[LOG_OUT_MAX], conn[LOG_ID_SIZE];

	if (trace_sink != NULL) {
		trace_sink(line);
		return;
	}
	log_quote(quoted, sizeof(quoted), line->text, strnlen(line->text, sizeof(line->text)));
	(void)snprintf(whole, sizeof(whole), "trace conn=%s %s %s", log_conn(conn, line->id),
		       line->from_client != 0 ? "<" : ">", quoted);
	log_emit(LOG_INFO, line->id, whole);
}

static bool
log_is_bare(const char *octets, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789_.@:/+-";

	for (size_t i = 0; i < len; i++)
		if (octets[i] == '\0' || strchr(plain, octets[i]) == NULL)
			return false;
	return len > 0;
}

/* One octet inside double quotes; returns the octets written, at most ESCAPE_SIZE. */
static size_t
log_quote_octet(char *dst, unsigned char c)
{
	if (c == '"' || c == '\\') {
		dst[0] = '\\';
		dst[1] = (char)c;
		return 2;
	}
	if (c >= 0x20 && c < 0x7f) {
		dst[0] = (char)c;
		return 1;
	}
	return escape_octet(dst, c);
}

const char *
log_quote(char *dst, size_t cap, const char *octets, size_t len)
{
	bool bare = log_is_bare(octets, len);
	size_t n = bare ? 0 : 1, end = bare ? sizeof("") : sizeof("\"");
	size_t cut = n; /* where dots can still be put */

	if (cap < sizeof("\"...\"")) { /* no room for anything that makes sense */
		if (cap > 0)
			dst[0] = '\0';
		return dst;
	}
	dst[0] = '"';
	for (size_t i = 0; i < len; i++) {
		char one[ESCAPE_SIZE];
		size_t k = log_quote_octet(one, (unsigned char)octets[i]);

		if (n + k + end > cap) {
			memcpy(dst + cut, "...", 3);
			n = cut + 3;
			break;
		}
		memcpy(dst + n, one, k);
		n += k;
		if (n + 3 + end <= cap)
			cut = n;
	}
	if (!bare)
		dst[n++] = '"';
	dst[n] = '\0';
	return dst;
}

const char *
log_conn(char *dst, conn_id id)
{
	(void)snprintf(dst, LOG_ID_SIZE, "%llx", (unsigned long long)id);
	return dst;
}

const char *
log_host(char *dst, const struct msg_addr *a)
{
	if ((a->family != AF_INET && a->family != AF_INET6) ||
	    inet_ntop(a->family, a->octets, dst, LOG_ADDR_SIZE) == NULL) {
		dst[0] = '-';
		dst[1] = '\0';
	}
	return dst;
}

const char *
log_addr(char *dst, const struct msg_addr *a)
{
	char host[LOG_ADDR_SIZE];

	log_host(host, a);
	if (host[0] == '-')
		memcpy(dst, host, 2);
	else
		(void)snprintf(dst, LOG_ADDR_SIZE,
			       a->family == AF_INET6 ? "[%.46s]:%u" : "%.46s:%u", host,
			       (unsigned)a->port);
	return dst;
}
