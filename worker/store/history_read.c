/*
 * Reading the history of a mailbox.  What became of a message stands behind
 * the lines of its UPDATE, so a second look runs ahead of the first: memory stays
 * the same however long the file is.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/history.h"
#include "worker/store/store.h"

/* Octets read of a file, its last ones: many UPDATEs, but no file of nothing of its owner's that
 * would be read for days. */
#define READ_MAX (UINT64_C(1) << 29)

/* Lines of a file, one at a time. */
struct lines {
	int fd;
	uint64_t end;  /* of what is read; others may write on */
	uint64_t from; /* where the line stands */
	uint64_t next; /* what is read next */
	size_t len, at;
	char block[2 * HISTORY_LINE_MAX];
	char text[HISTORY_LINE_MAX];
};

/* A line of ours, cut. */
struct line {
	char *when, *what, *words;
};

static void
lines_at(struct lines *l, int fd, uint64_t from, uint64_t end)
{
	l->fd = fd;
	l->end = end;
	l->from = l->next = from;
	l->len = l->at = 0;
}

/* The next octet, or -1 at the end. */
static int
lines_octet(struct lines *l)
{
	ssize_t n;

	if (l->at == l->len) {
		uint64_t left = l->end - l->next;
		size_t want = left < sizeof(l->block) ? (size_t)left : sizeof(l->block);

		do
			n = pread(l->fd, l->block, want, (off_t)l->next);
		while (n == -1 && errno == EINTR);
		if (n <= 0)
			return -1;
		l->next += (uint64_t)n;
		l->len = (size_t)n;
		l->at = 0;
	}
	return (unsigned char)l->block[l->at++];
}

/* Read a whole line; one that is too long or not printable comes out empty.  False: there is none.
 */
static bool
lines_next(struct lines *l)
{
	bool good = true;
	size_t n = 0;
	int c;

	l->from = l->next - (l->len - l->at);
	while ((c = lines_octet(l)) != -1 && c != '\n') {
		good = good && c >= 0x20 && c < 0x7f && n + 1 < sizeof(l->text);
		if (good)
			l->text[n++] = (char)c;
	}
	l->text[good ? n : 0] = '\0';
	return c != -1;
}

static bool
is_time(const char *s)
{
	static const char form[] = "0000-00-00T00:00:00Z";

	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	return s[sizeof(form) - 1] == ' ';
}

/* Cut the line that was read; false: it is none of ours. */
static bool
line_cut(struct lines *l, struct line *out)
{
	char *p = l->text;

	if (!is_time(p))
		return false;
	out->when = strsep(&p, " ");
	out->what = strsep(&p, " ");
	out->words = p;
	return p != NULL;
}

/* The next line of ours. */
static bool
line_next(struct lines *l, struct line *out)
{
	while (lines_next(l))
		if (line_cut(l, out))
			return true;
	return false;
}

/* Where a word ends; quotes may hold spaces. */
static const char *
word_end(const char *p)
{
	bool quoted = false;

	for (; *p != '\0' && (quoted || *p != ' '); p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '\\' && p[1] != '\0')
			p++;
	}
	return p;
}

const char *
history_value(const char *words, const char *key, size_t *len)
{
	size_t n = strlen(key);

	while (*words != '\0') {
		const char *end = word_end(words);

		if (strncmp(words, key, n) == 0 && words[n] == '=') {
			*len = (size_t)(end - words) - n - 1;
			return words + n + 1;
		}
		words = *end == ' ' ? end + 1 : end;
	}
	return NULL;
}

/* Do two lines say the same of a key? */
static bool
same_value(const char *a, const char *b, const char *key)
{
	size_t alen, blen;
	const char *x = history_value(a, key, &alen), *y = history_value(b, key, &blen);

	return x != NULL && y != NULL && alen == blen && memcmp(x, y, alen) == 0;
}

/* What is ahead of the lines of an UPDATE that are being told. */
struct ahead {
	struct lines lines;
	char conn[HISTORY_LINE_MAX]; /* words of its first line */
	bool known;		     /* it is the UPDATE of the line at hand */
	bool done;		     /* it came to its end */
	bool kept;		     /* `line` is the next message that was kept */
	struct line line;
};

/* The next of its lines about a message that was kept. */
static void
ahead_kept(struct ahead *a)
{
	a->kept = line_next(&a->lines, &a->line) && strcmp(a->line.what, "kept") == 0 &&
		  same_value(a->conn, a->line.words, "conn");
}

/* Look ahead from the first line of an UPDATE. */
static void
ahead_look(struct ahead *a, const struct lines *l, const struct line *first)
{
	uint64_t kept_at = 0;
	bool kept = false;

	memcpy(a->conn, first->words, strlen(first->words) + 1);
	a->known = true;
	a->done = false;
	lines_at(&a->lines, l->fd, l->from, l->end);
	while (!a->done && line_next(&a->lines, &a->line) &&
	       same_value(a->conn, a->line.words, "conn")) {
		a->done = strcmp(a->line.what, "done") == 0;
		if (!kept && strcmp(a->line.what, "deleting") != 0) {
			kept = true;
			kept_at = a->lines.from;
		}
	}
	a->kept = false;
	if (a->done) {
		lines_at(&a->lines, l->fd, kept_at, l->end);
		ahead_kept(a);
	}
}

static const char *
outcome(struct ahead *a, const struct lines *l, const struct line *line)
{
	if (!a->known || !same_value(a->conn, line->words, "conn"))
		ahead_look(a, l, line);
	if (!a->done)
		return "unknown";
	if (!a->kept || !same_value(a->line.words, line->words, "uid"))
		return "deleted";
	ahead_kept(a);
	return "kept";
}

static void
history_tell(int fd, uint64_t end, history_fn *tell, void *arg)
{
	static struct lines lines;
	static struct ahead ahead;
	struct line line;

	lines_at(&lines, fd, end > READ_MAX ? end - READ_MAX : 0, end);
	ahead.known = false;
	while (line_next(&lines, &line)) {
		struct history_event e = {line.when, NULL, line.words};

		if (strcmp(line.what, "deleting") == 0) {
			e.what = outcome(&ahead, &lines, &line);
			tell(&e, arg);
		} else if (strcmp(line.what, "done") == 0) {
			ahead.known = false;
		}
	}
}

int
history_read(int dir_fd, const char *name, history_fn *tell, void *arg)
{
	struct store_reader r;

	switch (store_open_file(dir_fd, name, &r)) {
	case STORE_OK:
		history_tell(r.fd, r.end, tell, arg);
		store_reader_end(&r);
		return 0;
	case STORE_MISSING:
		return 0;
	default:
		return -1;
	}
}
