#include "config.h"

#include <errno.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/wire.h"
#include "worker/store/mbox_lines.h"
#include "worker/store/mbox_table.h"

enum { TICK_OCTETS = 1 << 22 };

/* The reading of a whole file. */
struct scan {
	struct mbox_table *table;
	struct mbox_lines lines;
	bool begun; /* a message is under way; of it: */
	struct mbox_entry entry;
	struct mbox_filter filter;
	struct wire wire;
	SHA2_CTX sha;
	unsigned signs;	      /* of a mail reader's notes */
	bool expunged;	      /* by Mozilla */
	const char *blank;    /* a blank line that may be the message's end, or NULL */
	uint64_t blank_start; /* where it stands */
	bool has_length;
	uint64_t length;   /* the Content-Length, if it has one and the style asks for it */
	uint64_t body_end; /* by a Content-Length that is believed; 0: by none */
};

/* The message that store_read() is at. */
struct source {
	struct mbox_lines lines;
	struct mbox_filter filter;
	SHA2_CTX sha;
	uint8_t digest[STORE_DIGEST]; /* what it must come to */
	const char *left;	      /* what is to be given yet of the line under way */
	size_t left_len;
	bool ended;
};

static void
scan_begin(struct scan *s, uint64_t start)
{
	s->begun = true;
	s->entry = (struct mbox_entry){.start = start, .text = s->lines.pos};
	s->filter = (struct mbox_filter){.style = &s->table->style};
	s->has_length = false;
	s->body_end = 0;
	wire_begin(&s->wire);
	SHA256Init(&s->sha);
	s->signs = 0;
	s->expunged = false;
	s->blank = NULL;
}

/* 0 or -1 with errno. */
static int
scan_finish(struct scan *s, uint64_t end)
{
	struct mbox_table *t = s->table;

	if (!s->begun)
		return 0;
	s->entry.end = s->blank != NULL ? s->blank_start : end;
	s->entry.octets = wire_count_total(&s->wire);
	SHA256Final(s->entry.digest, &s->sha);
	if (rows_append(&t->rows, &s->entry) == -1)
		return -1;
	if (t->count++ == 0)
		t->internal = s->signs == MBOX_INTERNAL;
	t->expunged += s->expunged;
	return 0;
}

static void
scan_text(struct scan *s, const char *p, size_t len, bool starts)
{
	const struct mbox_table *t = s->table;

	if (starts && t->count == 0 && !s->filter.body)
		s->signs |= mbox_internal_signs(p, len);
	if (starts && t->style.content_length && !s->filter.body && !s->has_length)
		s->has_length = mbox_is_length(p, len, &s->length);
	if (starts && !s->filter.body)
		s->expunged = s->expunged || mbox_is_expunged(p, len);
	len = mbox_filter(&s->filter, &p, len, starts);
	wire_count(&s->wire, p, len);
	SHA256Update(&s->sha, (const uint8_t *)p, len);
}

/* The blank line was not the message's end. */
static void
scan_blank(struct scan *s)
{
	if (s->blank != NULL)
		scan_text(s, s->blank, strlen(s->blank), true);
	s->blank = NULL;
}

/* Can a body end at this offset: before a From_ line or the end of the file, each perhaps behind a
 * blank line? */
static bool
scan_can_end(const struct scan *s, uint64_t at)
{
	const struct mbox_table *t = s->table;
	char before = '\0', blank[3] = {0};
	ssize_t n;

	if (at >= t->size)
		return at == t->size;
	if (pread(s->lines.fd, &before, 1, (off_t)at - 1) != 1 ||
	    (n = pread(s->lines.fd, blank, sizeof(blank), (off_t)at)) <= 0)
		return false;
	if (at + (uint64_t)n == t->size && mbox_is_blank(blank, (size_t)n))
		return true;
	return (before == '\n' || blank[0] == '\n' || (blank[0] == '\r' && blank[1] == '\n')) &&
	       mbox_begins_at(&t->style, s->lines.fd, at);
}

/* The headers have ended with the blank line: is it known how long the body is? */
static void
scan_body(struct scan *s)
{
	uint64_t at = s->lines.pos;

	if (!s->has_length || s->length > s->table->size - at || !scan_can_end(s, at + s->length))
		return;
	scan_blank(s);
	s->body_end = at + s->length;
	if (s->length > 0)
		s->lines.stop = s->body_end;
}

/* Does a message begin with this line?  Those that only look so are counted. */
static bool
scan_is_from(struct scan *s, uint64_t start, const char *p, size_t len)
{
	struct mbox_table *t = s->table;
	bool may = !s->begun || s->blank != NULL || start == s->body_end || t->style.lax;

	if (!mbox_is_alike(p, len))
		return false;
	if (may && mbox_begins_with(&t->style, s->lines.fd, s->lines.pos, p, len))
		return true;
	t->alike += may || mbox_is_from(&t->style, p, len);
	return false;
}

/* The next line, or a piece of it.  0 or -1 with errno. */
static int
scan_line(struct scan *s, const char *p, size_t len, bool starts)
{
	uint64_t start = s->lines.pos - len;

	if (start < s->body_end) {
		scan_text(s, p, len, starts);
		return 0;
	}
	if (starts && scan_is_from(s, start, p, len)) {
		if (scan_finish(s, start) == -1)
			return -1;
		scan_begin(s, s->begun ? start : 0);
		return 0;
	}
	if (!s->begun) {
		if (starts && mbox_is_blank(p, len))
			return 0;
		errno = EILSEQ;
		return -1;
	}
	scan_blank(s);
	if (!starts || !mbox_is_blank(p, len)) {
		scan_text(s, p, len, starts);
		return 0;
	}
	s->blank = len == 1 ? "\n" : "\r\n";
	s->blank_start = start;
	if (!s->filter.body)
		scan_body(s);
	return 0;
}

int
mbox_table_scan(struct mbox_table *t, const struct mbox_style *style, int fd, uint64_t size,
		const struct rows_place *place, void (*tick)(void *), void *arg)
{
	static struct scan s;
	uint64_t ticked = 0;
	const char *p;
	bool starts;
	ssize_t n;

	*t = (struct mbox_table){.style = *style, .size = size};
	rows_init(&t->rows, sizeof(struct mbox_entry), place);
	s.table = t;
	s.begun = false;
	s.blank = NULL;
	s.body_end = 0;
	mbox_lines_begin(&s.lines, fd, 0, size);
	while ((n = mbox_lines_next(&s.lines, &p, &starts)) > 0) {
		if (scan_line(&s, p, (size_t)n, starts) == -1)
			return -1;
		if (tick != NULL && s.lines.pos - ticked >= TICK_OCTETS) {
			ticked = s.lines.pos;
			tick(arg);
		}
	}
	return n == 0 ? scan_finish(&s, size) : -1;
}

void
mbox_table_free(struct mbox_table *t)
{
	rows_free(&t->rows);
	*t = (struct mbox_table){0};
}

const struct mbox_entry *
mbox_table_entry(struct mbox_table *t, size_t i)
{
	return rows_get(&t->rows, i);
}

int
mbox_table_range(struct mbox_table *t, size_t i, struct mbox_range *range)
{
	const struct mbox_entry *e = mbox_table_entry(t, i);

	if (e == NULL)
		return -1;
	*range = (struct mbox_range){e->start, t->size};
	if (i + 1 == t->count)
		return 0;
	if ((e = mbox_table_entry(t, i + 1)) == NULL)
		return -1;
	range->to = e->start;
	return 0;
}

int
mbox_table_continues(struct mbox_table *old, struct mbox_table *now)
{
	if (now->count < old->count || now->internal != old->internal)
		return 0;
	for (size_t i = 0; i < old->count; i++) {
		const struct mbox_entry *a = mbox_table_entry(old, i);
		const struct mbox_entry *b = mbox_table_entry(now, i);

		if (a == NULL || b == NULL)
			return -1;
		if (a->start != b->start || a->text != b->text || a->end != b->end ||
		    memcmp(a->digest, b->digest, STORE_DIGEST) != 0)
			return 0;
	}
	return 1;
}

/* All has been read: is it what was listed? */
static int
source_end(struct source *s)
{
	uint8_t digest[STORE_DIGEST];

	SHA256Final(digest, &s->sha);
	s->ended = true;
	if (memcmp(digest, s->digest, sizeof(digest)) == 0)
		return 0;
	errno = EIO;
	return -1;
}

static ssize_t
source_read(struct store_reader *r, char *buf, size_t cap)
{
	struct source *s = r->source;
	size_t got = 0, len;
	bool starts;
	ssize_t n;

	while (got < cap && !s->ended) {
		if (s->left_len == 0) {
			if ((n = mbox_lines_next(&s->lines, &s->left, &starts)) == -1 ||
			    (n == 0 && source_end(s) == -1))
				return -1;
			s->left_len =
			    n == 0 ? 0 : mbox_filter(&s->filter, &s->left, (size_t)n, starts);
			continue;
		}
		len = s->left_len < cap - got ? s->left_len : cap - got;
		memcpy(buf + got, s->left, len);
		SHA256Update(&s->sha, (const uint8_t *)s->left, len);
		s->left += len;
		s->left_len -= len;
		got += len;
	}
	r->pos = s->ended ? r->end : s->lines.pos - s->left_len;
	return (ssize_t)got;
}

void
mbox_message_read(const struct mbox_style *style, int fd, uint64_t from, uint64_t end,
		  const uint8_t digest[STORE_DIGEST], struct store_reader *r)
{
	static struct source s;

	mbox_lines_begin(&s.lines, fd, from, end);
	s.filter = (struct mbox_filter){.style = style};
	SHA256Init(&s.sha);
	memcpy(s.digest, digest, sizeof(s.digest));
	s.left_len = 0;
	s.ended = false;
	*r = (struct store_reader){
	    .fd = -1, .pos = from, .end = end, .read = source_read, .source = &s};
}

int
mbox_table_read(struct mbox_table *t, size_t i, int fd, struct store_reader *r)
{
	const struct mbox_entry *e = mbox_table_entry(t, i);

	if (e == NULL)
		return -1;
	mbox_message_read(&t->style, fd, e->text, e->end, e->digest, r);
	return 0;
}
