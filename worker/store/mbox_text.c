#include "config.h"

#include <stdlib.h>
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

/*
 * Fields in which programs keep their notes on a message in an mbox; "*" stands
 * for the rest of a name.  What a program writes once and never changes, as the
 * labels in an export, is no such note.
 */
static const char *const metadata[] = {
    /* mbox(5), c-client, alpine, Dovecot, qpopper */
    "Status",
    "X-Status",
    "X-UID",
    "X-IMAP",
    "X-IMAPbase",
    "X-Keywords",
    "X-UIDL",
    "Content-Length",
    /* mutt, with the length at each change of a flag; labels */
    "Lines",
    "X-Label",
    /* Thunderbird, SeaMonkey */
    "X-Mozilla-Status",
    "X-Mozilla-Status2",
    "X-Mozilla-Keys",
    "X-Account-Key",
    /* Evolution */
    "X-Evolution",
    "X-Evolution-Source",
    /* KMail */
    "X-KMail-*",
    "X-Length",
    /* Sylpheed, Claws Mail; libetpan's mbox, which they and others use */
    "X-Sylpheed-*",
    "X-Claws-*",
    "X-LibEtPan-UID",
    /* Emacs: VM, Rmail, Gnus */
    "X-VM-*",
    "X-RMAIL-*",
    "X-Gnus-Newsgroup",
    "X-Gnus-Article-Number",
    /* Opera */
    "X-Opera-Status",
    "X-Opera-Location",
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

/* hh:mm, whatever follows: seconds, a fraction, a zone */
static bool
word_begins_time(struct word w)
{
	const char *colon = memchr(w.at, ':', w.len);
	struct word hour = {w.at, colon != NULL ? (size_t)(colon - w.at) : 0};
	struct word minute = {w.at + hour.len + 1, 2};

	return colon != NULL && w.len >= hour.len + 3 && word_is_number(hour, 1, 2, 23) &&
	       word_is_number(minute, 2, 2, 59);
}

/* 2023-01-02, 1/2/23, 02.01.2023, 2-Jan-2023 */
static bool
word_is_date(struct word w)
{
	static const char separators[] = "-/.";

	for (const char *s = separators; *s != '\0'; s++) {
		const char *a = memchr(w.at, *s, w.len), *end = w.at + w.len, *b;

		if (a == NULL || (b = memchr(a + 1, *s, (size_t)(end - a - 1))) == NULL)
			continue;
		return b > a + 1 &&
		       word_is_number((struct word){w.at, (size_t)(a - w.at)}, 1, 4, 9999) &&
		       word_is_number((struct word){b + 1, (size_t)(end - b - 1)}, 1, 4, 9999);
	}
	return false;
}

/* 2023-01-02T10:00:00Z */
static bool
word_is_iso8601(struct word w)
{
	const char *t = memchr(w.at, 'T', w.len);
	size_t len = t != NULL ? (size_t)(t - w.at) : 0;

	return t != NULL && word_is_date((struct word){w.at, len}) &&
	       word_begins_time((struct word){t + 1, w.len - len - 1});
}

/* What a word says of a point in time, a set. */
enum { SAYS_TIME = 1, SAYS_DATE = 2 };

static unsigned
word_says(struct word w)
{
	if (w.len > 1 && w.at[w.len - 1] == ',')
		w.len--;
	if (word_begins_time(w))
		return SAYS_TIME;
	if (word_is_year(w) || word_is_date(w) || word_is_month(w))
		return SAYS_DATE;
	return word_is_iso8601(w) ? SAYS_TIME | SAYS_DATE : 0;
}

bool
mbox_may_be_from(const char *line, size_t len)
{
	struct word words[WORDS_MAX];
	unsigned says = 0;
	size_t n;

	if (!mbox_is_alike(line, len) || len >= MBOX_LOOK)
		return false;
	n = split_words(line + FROM_LEN, line_text_len(line, len) - FROM_LEN, words);
	if (n == 0 || (n == 1 && (memchr(words[0].at, '@', words[0].len) != NULL ||
				  (words[0].len == 1 && words[0].at[0] == '-'))))
		return true;
	for (size_t i = 0; i < n; i++)
		says |= word_says(words[i]);
	return says == (SAYS_TIME | SAYS_DATE);
}

bool
mbox_is_alike(const char *line, size_t len)
{
	return len >= FROM_LEN && memcmp(line, "From ", FROM_LEN) == 0;
}

bool
mbox_is_from(const struct mbox_style *style, const char *line, size_t len)
{
	struct word words[WORDS_MAX];
	size_t n;

	if (!mbox_is_alike(line, len))
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

/* Octets of the name that begins a header line; 0: it is none. */
static size_t
field_name_len(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && line[n] > ' ' && line[n] <= '~' && line[n] != ':')
		n++;
	return n < len && line[n] == ':' ? n : 0;
}

bool
mbox_is_field(const char *line, size_t len)
{
	return field_name_len(line, len) > 0;
}

/* A "*" that ends the name stands for any octets, and for none. */
static bool
line_is_field(const char *line, size_t len, const char *name)
{
	size_t name_len = strlen(name), has = field_name_len(line, len);
	bool open = name[name_len - 1] == '*';

	name_len -= open ? 1 : 0;
	return (open ? has >= name_len : has == name_len) && has > 0 &&
	       strncasecmp(line, name, name_len) == 0;
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

bool
mbox_is_expunged(const char *line, size_t len)
{
	static const char name[] = "X-Mozilla-Status";
	enum { EXPUNGED = 0x0008, DIGITS = 4 };
	char digits[DIGITS + 1] = "", *end;
	unsigned long flags;

	if (!line_is_field(line, len, name))
		return false;
	line += sizeof(name);
	len -= sizeof(name);
	for (; len > 0 && *line == ' '; len--)
		line++;
	memcpy(digits, line, len < DIGITS ? len : DIGITS);
	flags = strtoul(digits, &end, 16);
	return end == digits + DIGITS && (flags & EXPUNGED) != 0;
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
