#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/log/foreign.h"
#include "common/outlet.h"
#include "daemon/ports/listeners.h"
#include "daemon/table/conns.h"
#include "daemon/table/report.h"
#include "daemon/serve/serve.h"
#include "daemon/ports/servers.h"

enum {
	BAR_CELLS = 20,
	LINE_SIZE = 5 * MSG_TEXT_MAX, /* octets; no line is longer: \\xNN four times as long */
	END_MS = 5000		      /* for who reads what was left */
};

/* What sessions have done so far. */
struct progress {
	uint64_t fetched, octets, deleted;
};

static struct serve *running; /* sinks have no argument of ours */
static struct outlet to_stdout, to_file;

/* ---- lines ---- */

static ssize_t
put_lines(void *outlet, const char *octets, size_t len)
{
	outlet_put(outlet, octets, len);
	return (ssize_t)len;
}

/* A stream to an outlet: what is flushed is whole lines, written or lost.  NULL with errno. */
static FILE *
open_stream(struct outlet *o, int fd)
{
	FILE *f = fopencookie(o, "w", (cookie_io_functions_t){.write = put_lines});

	if (f == NULL || setvbuf(f, NULL, _IOFBF, LINE_SIZE) != 0)
		return NULL;
	outlet_open(o, fd);
	return f;
}

/* A bar that stands in the terminal's last line has to go before anything else is written. */
static void
bar_wipe(const struct serve *s)
{
	if (s->terminal)
		fputs("\r\033[K", s->out);
}

/* Once the reader is there again it is told what it has missed. */
static void
tell_lost(const struct serve *s, struct outlet *o, FILE *f)
{
	unsigned long lost = outlet_lost(o);

	if (lost == 0)
		return;
	if (f == s->out)
		bar_wipe(s);
	fprintf(f, "note: %lu lines are missing here: they were not read in time\n", lost);
	fflush(f);
}

static void
tell_all_lost(const struct serve *s)
{
	tell_lost(s, &to_stdout, s->out);
	if (to_file.open)
		tell_lost(s, &to_file, s->log);
}

/* "2026-01-31 23:59:59.123456 17 ": when, and which connection. */
static void
log_begin(const struct serve *s, conn_id id)
{
	struct timespec now;
	struct tm tm;
	char text[40];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	tell_all_lost(s);
	if (s->log == s->out)
		bar_wipe(s);
	/* ids are counted from the time of the start on, see conns_new() */
	fprintf(s->log, "%s.%06ld %" PRIu64 " ", text, now.tv_nsec / 1000, id & 0xffffff);
}

static void
log_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		escape_print(out, (unsigned char)*text);
}

static void
log_traced(const struct msg_trace *line)
{
	FILE *out = running->log;

	log_begin(running, line->id);
	fputs(line->from_client != 0 ? "< " : "> ", out);
	log_escaped(out, line->text);
	putc('\n', out);
	fflush(out);
}

/* One line on standard output. */
static void __attribute__((format(printf, 2, 3))) say(const struct serve *s, const char *fmt, ...)
{
	va_list ap;

	tell_all_lost(s);
	bar_wipe(s);
	va_start(ap, fmt);
	vfprintf(s->out, fmt, ap);
	va_end(ap);
	putc('\n', s->out);
	fflush(s->out);
}

void
serve_report_begin(struct serve *s)
{
	running = s;
	s->terminal = isatty(STDOUT_FILENO) == 1;
	s->log = s->out = open_stream(&to_stdout, STDOUT_FILENO);
	if (s->out == NULL) {
		log_tell("pop3d: standard output: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	log_trace_to(log_traced);
}

int
serve_report_log_to(const char *path)
{
	/* it may hold names, mail and passwords; a FIFO that nobody reads is not waited for */
	int fd =
	    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

	if (fd == -1)
		return -1;
	running->log = open_stream(&to_file, fd);
	return running->log == NULL ? -1 : 0;
}

/* ---- progress ---- */

static void
count_progress(const struct serve *s, struct progress *p)
{
	const struct archive *a = &s->archive;

	*p = (struct progress){0};
	for (size_t i = 0; i < a->head->count; i++) {
		uint8_t flags = archive_flags(a, i);

		if ((flags & ARCHIVE_FETCHED) != 0) {
			p->fetched++;
			p->octets += a->entries[i].octets;
		}
		p->deleted += (flags & ARCHIVE_DELETED) != 0;
	}
}

static bool
is_complete(const struct serve *s, const struct progress *p)
{
	return p->fetched == s->archive.head->count && p->deleted == s->archive.head->count;
}

static int
terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Octets a second since the first client came. */
static uint64_t
rate_of(const struct serve *s, const struct progress *p)
{
	return s->first == 0 ? 0 : p->octets * 1000 / (clock_ms() - s->first + 1);
}

/* Cut to the width of the terminal: one that goes on in the next line could not be wiped. */
static void
bar_show(const struct serve *s)
{
	uint64_t all = s->archive.head->octets, rate, left;
	char cells[BAR_CELLS + 1] = {0}, to_go[48] = "", bar[192];
	struct progress p;

	count_progress(s, &p);
	if ((rate = rate_of(s, &p)) > 0) {
		left = (all - p.octets) / rate;
		snprintf(to_go, sizeof(to_go), ", %" PRIu64 ":%02" PRIu64 " to go", left / 60,
			 left % 60);
	}
	memset(cells, '.', BAR_CELLS);
	memset(cells, '#', all > 0 ? (size_t)(p.octets * BAR_CELLS / all) : 0);
	snprintf(bar, sizeof(bar),
		 "[%s] %" PRIu64 "/%" PRIu64 " fetched, %" PRIu64 " deleted, %" PRIu64 " KB/s%s",
		 cells, p.fetched, s->archive.head->count, p.deleted, rate / 1024, to_go);
	fprintf(s->out, "\r\033[K%.*s", terminal_columns() - 1, bar);
	fflush(s->out);
}

/* All were fetched at least once, and for so long no client was there. */
static void
stop_when_quiet(struct serve *s, struct master *m)
{
	uint64_t count = s->archive.head->count, now = clock_ms();
	struct progress p;

	count_progress(s, &p);
	if (s->first == 0 || conns_count(m) > 0 || p.fetched < count) {
		s->quiet_since = 0;
		return;
	}
	if (s->quiet_since == 0)
		s->quiet_since = now;
	if (now - s->quiet_since < UINT64_C(1000) * s->exit_when_quiet)
		return;
	say(s, "complete: all %" PRIu64 " messages were fetched, no client for %u s", count,
	    (unsigned)s->exit_when_quiet);
	master_stop(m, false);
}

/* A bar that nobody looks at is not put behind the one before. */
static void
tick(struct master *m)
{
	if (running->exit_when_quiet > 0 && m->state == MASTER_SERVING)
		stop_when_quiet(running, m);
	tell_all_lost(running);
	if (to_file.open)
		(void)outlet_flush(&to_file);
	if (outlet_flush(&to_stdout) == 0 && running->terminal && m->state == MASTER_SERVING)
		bar_show(running);
}

/* What the scan found that may not be as it should. */
static void
say_doubts(const struct serve *s)
{
	const struct archive_head *h = s->archive.head;

	if (s->below[0] != '\0')
		say(s, "note: not served with it: %s", s->below);
	if (h->left_out > 0)
		say(s, "note: %" PRIu64 " files are left out: see above", h->left_out);
	if (h->alike > 0)
		say(s,
		    "note: %" PRIu64 " lines begin with \"From \" as if a message began there, and "
		    "are taken for text; --mbox-split lax takes each for the start of a message",
		    h->alike);
	if (h->expunged > 0)
		say(s,
		    "note: %" PRIu64 " messages are marked as deleted by Thunderbird and are "
		    "served too; compact the folder in Thunderbird to remove them",
		    h->expunged);
}

static void
serving(struct master *m)
{
	struct serve *s = running;

	s->begun = clock_ms();
	say(s, "%u", listeners_port(m, TAILQ_FIRST(servers_all(m))));
	say(s, "serving %" PRIu64 " messages, %" PRIu64 " octets, of %s %s", s->archive.head->count,
	    s->archive.head->octets, archive_kind_name(s->archive.head->kind), s->path);
	say_doubts(s);
}

static void
session_over(struct master *m)
{
	struct serve *s = running;
	struct progress p;
	uint64_t count;

	if (s->begun == 0)
		return;
	s->quiet_since = 0; /* it may have come and gone between two ticks */
	count_progress(s, &p);
	count = s->archive.head->count;
	say(s,
	    "progress: fetched %" PRIu64 " of %" PRIu64 ", octets %" PRIu64 " of %" PRIu64
	    ", deleted %" PRIu64 ", left %" PRIu64,
	    p.fetched, count, p.octets, s->archive.head->octets, p.deleted, count - p.deleted);
	if (s->complete || !is_complete(s, &p))
		return;
	s->complete = true;
	say(s, "complete: all %" PRIu64 " messages were fetched and deleted", count);
	if (s->exit_when_done)
		master_stop(m, false);
}

static void
say_left(const struct serve *s, size_t i, uint8_t flags)
{
	static const char *const states[] = {
	    [0] = "never fetched, never deleted",
	    [ARCHIVE_FETCHED] = "never deleted",
	    [ARCHIVE_DELETED] = "never fetched",
	};
	const struct archive *a = &s->archive;

	fputs("left: ", s->out);
	log_escaped(s->out, archive_name(a, i));
	if (a->head->kind == ARCHIVE_MBOX)
		fprintf(s->out, "message %zu at %" PRIu64, i + 1, a->entries[i].start);
	fprintf(s->out, " (%s)\n", states[flags]);
	fflush(s->out);
}

/* In short first: the list may be long. */
static void
say_summary(const struct serve *s)
{
	struct progress p;

	count_progress(s, &p);
	say(s,
	    "summary: of %" PRIu64 " messages %" PRIu64 " were never fetched, %" PRIu64
	    " never deleted",
	    s->archive.head->count, s->archive.head->count - p.fetched,
	    s->archive.head->count - p.deleted);
}

void
serve_report_end(void)
{
	uint64_t deadline = clock_ms() + END_MS;
	struct serve *s = running;
	const struct archive *a = &s->archive;

	log_trace_to(NULL);
	if (s->begun != 0)
		say_summary(s);
	for (size_t i = 0; s->begun != 0 && i < a->head->count; i++) {
		uint8_t flags = archive_flags(a, i) & (ARCHIVE_FETCHED | ARCHIVE_DELETED);

		if (flags == (ARCHIVE_FETCHED | ARCHIVE_DELETED))
			continue;
		say_left(s, i, flags);
		outlet_finish(&to_stdout, deadline);
	}
	outlet_finish(&to_stdout, deadline);
	outlet_finish(&to_file, deadline);
	tell_all_lost(s);
}

/* ---- connections ---- */

static void
connected(const struct conn *c)
{
	char peer[LOG_ADDR_SIZE];

	if (running->first == 0)
		running->first = clock_ms();
	log_begin(running, c->row.id);
	fprintf(running->log, "* connected from %s\n", log_addr(peer, &c->row.peer));
	fflush(running->log);
}

static void
gone(const struct conn *c)
{
	log_begin(running, c->row.id);
	fputs("* closed\n", running->log);
	fflush(running->log);
}

const struct report_sink serve_sink = {.serving = serving,
				       .tick = tick,
				       .connected = connected,
				       .gone = gone,
				       .session_over = session_over};
