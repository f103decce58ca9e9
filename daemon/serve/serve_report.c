#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/ports/listeners.h"
#include "daemon/table/report.h"
#include "daemon/serve/serve.h"
#include "daemon/ports/servers.h"

enum { BAR_CELLS = 20 };

/* What sessions have done so far. */
struct progress {
	uint64_t fetched, octets, deleted;
};

static struct serve *running; /* sinks have no argument of ours */

/* ---- lines ---- */

/* A bar that stands in the terminal's last line has to go before anything else is written. */
static void
bar_wipe(const struct serve *s)
{
	if (s->terminal)
		fputs("\r\033[K", stdout);
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
	if (s->log == stdout)
		bar_wipe(s);
	/* ids are counted from the time of the start on, see conns_new() */
	fprintf(s->log, "%s.%06ld %" PRIu64 " ", text, now.tv_nsec / 1000, id & 0xffffff);
}

static void
log_escaped(FILE *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		if (*p == '\\')
			fputs("\\\\", out);
		else if (*p < ' ' || *p > '~')
			fprintf(out, "\\x%02x", *p);
		else
			putc(*p, out);
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

	bar_wipe(s);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

int
serve_report_open(struct serve *s, const char *log_path)
{
	int fd;

	running = s;
	s->log = stdout;
	s->terminal = isatty(STDOUT_FILENO) == 1;
	log_trace_to(log_traced);
	if (log_path == NULL)
		return 0;
	/* it may hold names, mail and passwords */
	fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	s->log = fd == -1 ? NULL : fdopen(fd, "a");
	return s->log == NULL ? -1 : 0;
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

/* Rate and time to go are those of the octets fetched since the start. */
static void
bar_show(const struct serve *s)
{
	uint64_t all = s->archive.head->octets, seconds = (clock_ms() - s->begun) / 1000 + 1, rate;
	char cells[BAR_CELLS + 1] = {0};
	struct progress p;

	count_progress(s, &p);
	rate = p.octets / seconds;
	memset(cells, '.', BAR_CELLS);
	memset(cells, '#', all > 0 ? (size_t)(p.octets * BAR_CELLS / all) : 0);
	printf("\r\033[K[%s] %" PRIu64 "/%" PRIu64 " fetched, %" PRIu64 " deleted, %" PRIu64
	       " KB/s",
	       cells, p.fetched, s->archive.head->count, p.deleted, rate / 1024);
	if (rate > 0)
		printf(", %" PRIu64 ":%02" PRIu64 " to go", (all - p.octets) / rate / 60,
		       (all - p.octets) / rate % 60);
	fflush(stdout);
}

static void
tick(const struct master *m)
{
	if (running->terminal && m->state == MASTER_SERVING)
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
		    "served too; compact the folder there to be rid of them",
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
		master_stop(m, true);
}

void
serve_report_end(void)
{
	struct serve *s = running;
	const struct archive *a = &s->archive;
	static const char *const states[] = {
	    [0] = "never fetched, never deleted",
	    [ARCHIVE_FETCHED] = "never deleted",
	    [ARCHIVE_DELETED] = "never fetched",
	};

	log_trace_to(NULL);
	for (size_t i = 0; s->begun != 0 && i < a->head->count; i++) {
		uint8_t flags = archive_flags(a, i) & (ARCHIVE_FETCHED | ARCHIVE_DELETED);

		if (flags == (ARCHIVE_FETCHED | ARCHIVE_DELETED))
			continue;
		bar_wipe(s);
		fputs("left: ", stdout);
		log_escaped(stdout, archive_name(a, i));
		if (a->head->kind == ARCHIVE_MBOX)
			printf("message %zu at %" PRIu64, i + 1, a->entries[i].start);
		printf(" (%s)\n", states[flags]);
	}
	bar_wipe(s);
	fflush(stdout);
}

/* ---- connections ---- */

static void
connected(const struct conn *c)
{
	char peer[LOG_ADDR_SIZE];

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
