#include "config.h"

#include <string.h>
#include <strings.h>

#include "common/pop3.h"
#include "worker/store/mbox_text.h"

/* A word of a From_ line. */
struct word {
	const char *at;
	size_t len;
};

enum { FROM_LEN = 5 /* "From " */, WORDS_MAX = 24, NAME_LEN = 3 /* of day and month names */ };

/* Fields that programs put into the messages of an mbox: mbox(5), and what the mail readers use. */
static const char *const metadata[] = {
    "Status", "X-Status", "X-UID", "X-IMAP", "X-IMAPbase", "X-Keywords", "Content-Length",
};

static const struct mbox_style styles[MBOX_FORMATS] = {
    [MBOX_RD] = {.quotes = SIZE_MAX},
    [MBOX_O] = {.quotes = 1},
    [MBOX_RFC4155] = {.quotes = 0},
    [MBOX_CL] = {.quotes = SIZE_MAX, .content_length = true},
    [MBOX_CL2] = {.quotes = 0, .content_length = true},
};

struct mbox_style
mbox_style_of(enum mbox_format format, enum mbox_split split)
{
	struct mbox_style style = styles[format < MBOX_FORMATS ? format : MBOX_RD];

	style.lax = split == MBOX_LAX;
	return style;
}

static size_t
line_text_len(const char *line, size_t len)
{
	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	return len;
}

bool
mbox_is_blank(const char *line, size_t len)
{
	return len > 0 && len <= 2 && line[len - 1] == '\n' && line_text_len(line, len) == 0;
}

static size_t
split_words(const char *p, size_t len, struct word words[WORDS_MAX])
{
	const char *end = p + len;
	size_t n = 0;

	while (n < WORDS_MAX) {
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (p == end)
			break;
		words[n].at = p;
		while (p < end && *p != ' ' && *p != '\t')
			p++;
		words[n].len = (size_t)(p - words[n].at);
		n++;
	}
	return n;
}

/* Is the word one of the three-letter names in the list? */
static bool
word_is_name(struct word w, const char *names)
{
	if (w.len != NAME_LEN)
		return false;
	for (; *names != '\0'; names += NAME_LEN)
		if (strncasecmp(w.at, names, NAME_LEN) == 0)
			return true;
	return false;
}

static bool
word_is_month(struct word w)
{
	return word_is_name(w, "JanFebMarAprMayJunJulAugSepOctNovDec");
}

static bool
word_is_day_name(struct word w)
{
	if (w.len == NAME_LEN + 1 && w.at[NAME_LEN] == ',')
		w.len = NAME_LEN;
	return word_is_name(w, "SunMonTueWedThuFriSat");
}

/* A number of `min_len` to `max_len` digits up to `max`. */
static bool
word_is_number(struct word w, size_t min_len, size_t max_len, unsigned max)
{
	unsigned value = 0;

	if (w.len < min_len || w.len > max_len)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		if (w.at[i] < '0' || w.at[i] > '9')
			return false;
		value = value * 10 + (unsigned)(w.at[i] - '0');
	}
	return value <= max;
}

static bool
word_is_day(struct word w)
{
	return word_is_number(w, 1, 2, 31);
}

static bool
word_is_year(struct word w)
{
	return word_is_number(w, 4, 4, 9999);
}

/* hh:mm or hh:mm:ss */
static bool
word_is_time(struct word w)
{
	struct word part = w;
	unsigned parts = 0;

	for (const char *p = w.at;; p++) {
		if (p < w.at + w.len && *p != ':')
			continue;
		part.len = (size_t)(p - part.at);
		if (!word_is_number(part, 1, 2, parts == 0 ? 23 : 60))
			return false;
		parts++;
		if (p == w.at + w.len)
			return parts == 2 || parts == 3;
		part.at = p + 1;
	}
}

/* "Mon Jan  2 10:00:00 2023", "… 10:00:00 CET 2023", "… 10:00:00 2023 +0100" */
static bool
words_are_asctime(const struct word *w, size_t n)
{
	if (n < 5 || !word_is_day_name(w[0]) || !word_is_month(w[1]) || !word_is_day(w[2]) ||
	    !word_is_time(w[3]))
		return false;
	for (size_t i = 4; i < n && i < 7; i++)
		if (word_is_year(w[i]))
			return true;
	return false;
}

/* "Mon, 2 Jan 2023 10:00:00 +0100" */
static bool
words_are_rfc5322(const struct word *w, size_t n)
{
	return n >= 5 && word_is_day_name(w[0]) && word_is_day(w[1]) && word_is_month(w[2]) &&
	       word_is_year(w[3]) && word_is_time(w[4]);
}

bool
mbox_is_from(const struct mbox_style *style, const char *line, size_t len)
{
	struct word words[WORDS_MAX];
	size_t n;

	if (len < FROM_LEN || memcmp(line, "From ", FROM_LEN) != 0)
		return false;
	if (style->lax || len >= MBOX_LOOK) /* one that may not be whole has no date */
		return style->lax;
	n = split_words(line + FROM_LEN, line_text_len(line, len) - FROM_LEN, words);
	/* the sender is one word, or none, or several where it holds blanks in quotes */
	for (size_t i = 0; i < n; i++)
		if (words_are_asctime(words + i, n - i) || words_are_rfc5322(words + i, n - i))
			return true;
	return false;
}

static bool
line_is_field(const char *line, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	return len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0;
}

bool
mbox_is_length(const char *line, size_t len, uint64_t *octets)
{
	static const char name[] = "Content-Length";
	const char *p = line + sizeof(name), *end = line + line_text_len(line, len);

	if (!line_is_field(line, len, name))
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return pop3_number(p, p < end ? (size_t)(end - p) : 0, octets) == 0;
}

static bool
line_is_metadata(const char *line, size_t len)
{
	for (size_t i = 0; i < sizeof(metadata) / sizeof(metadata[0]); i++)
		if (line_is_field(line, len, metadata[i]))
			return true;
	return false;
}

/* Is this a quoted "From "?  Only what a line's start shows counts. */
static bool
line_is_quoted(const struct mbox_style *style, const char *line, size_t len)
{
	size_t n = 0;

	if (len > MBOX_LOOK)
		len = MBOX_LOOK;
	while (n < len && line[n] == '>')
		n++;
	return n > 0 && n <= style->quotes && len - n >= FROM_LEN &&
	       memcmp(line + n, "From ", FROM_LEN) == 0;
}

size_t
mbox_filter(struct mbox_filter *f, const char **p, size_t len, bool starts)
{
	if (starts) {
		if (!f->body && mbox_is_blank(*p, len))
			f->body = true;
		if (f->body)
			f->hiding = false;
		else if (**p != ' ' && **p != '\t') /* else a field goes on */
			f->hiding = line_is_metadata(*p, len);
		if (line_is_quoted(f->style, *p, len)) {
			(*p)++;
			len--;
		}
	}
	return f->hiding ? 0 : len;
}

unsigned
mbox_internal_signs(const char *line, size_t len)
{
	static const char subject[] = "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";

	if (line_is_field(line, len, "X-IMAP") || line_is_field(line, len, "X-IMAPbase"))
		return MBOX_INTERNAL_FIELD;
	if (line_text_len(line, len) == sizeof(subject) - 1 &&
	    strncasecmp(line, subject, sizeof(subject) - 1) == 0)
		return MBOX_INTERNAL_SUBJECT;
	return 0;
}
