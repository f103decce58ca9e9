#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "daemon/ctl/top_layout.h"

enum { USUAL_WIDTH = 39 /* of an address, and more than that of most names */ };

static const char *
count_text(char dst[TOP_NUMBER_SIZE], double count)
{
	if (isnan(count))
		return strcpy(dst, "-");
	(void)snprintf(dst, TOP_NUMBER_SIZE, "%.0f", count);
	return strlen(dst) > 5 ? top_octets(dst, count) : dst;
}

/* Of each fact: its column's head, its name, least width, and how its number is written (NULL: it
 * is text). */
static const struct {
	const char *title, *name;
	size_t width;
	const char *(*number)(char dst[TOP_NUMBER_SIZE], double number);
} columns[TOP_FACTS] = {
    [TOP_USER] = {"USER", "user", 10, NULL},
    [TOP_SERVER] = {"SERVER", "server", 6, NULL},
    [TOP_FROM] = {"FROM", "address", 15, NULL},
    [TOP_STATE] = {"STATE", "state", 6, NULL},
    [TOP_IDLE] = {"IDLE", "idle time", 5, top_seconds},
    [TOP_RATE] = {"RATE/s", "rate", 6, top_octets},
    [TOP_LEFT] = {"LEFT", "time left", 5, top_seconds},
    [TOP_SENT] = {"SENT", "octets sent", 5, top_octets},
    [TOP_WAITING] = {"WAIT", "what it waits for", 6, NULL},
    [TOP_COMMAND] = {"CMD", "command", 6, NULL},
    [TOP_AGE] = {"AGE", "age", 5, top_seconds},
    [TOP_RETRIEVED] = {"GOT", "messages sent", 5, count_text},
    [TOP_MESSAGES] = {"MSGS", "messages", 5, count_text},
    [TOP_DELETED] = {"DEL", "messages deleted", 5, count_text},
    [TOP_MAILBOX] = {"BOX", "size of the mailbox", 5, top_octets},
    [TOP_ID] = {"ID", "id", 6, NULL},
};

const char *
top_title(enum top_fact fact)
{
	return columns[fact].title;
}

const char *
top_name(enum top_fact fact)
{
	return columns[fact].name;
}

bool
top_falls(enum top_fact fact)
{
	return columns[fact].number != NULL;
}

/* What the text takes when it is escaped. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += escape_is_plain((unsigned char)*text) ? 1 : ESCAPE_SIZE;
	return n;
}

void
top_fit(char *dst, size_t width, const char *text)
{
	bool fits = width_of(text) <= width;
	size_t room = width - (fits || width == 0 ? 0 : 1), n = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (n + (escape_is_plain(c) ? 1 : ESCAPE_SIZE) > room)
			break;
		if (escape_is_plain(c))
			dst[n++] = *text;
		else
			n += escape_octet(dst + n, c);
	}
	if (!fits && n < width)
		dst[n++] = '+';
	memset(dst + n, ' ', width - n);
	dst[width] = '\0';
}

const char *
top_octets(char dst[TOP_NUMBER_SIZE], double octets)
{
	static const char units[] = "kMGTPE";
	size_t unit = 0;

	if (isnan(octets))
		return strcpy(dst, "-");
	if (octets < 9999.5) {
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%.0f", octets);
		return dst;
	}
	for (octets /= 1000; octets >= 999.5 && unit + 2 < sizeof(units); unit++)
		octets /= 1000;
	(void)snprintf(dst, TOP_NUMBER_SIZE, octets < 99.95 ? "%.1f%c" : "%.0f%c", octets,
		       units[unit]);
	return dst;
}

const char *
top_seconds(char dst[TOP_NUMBER_SIZE], double seconds)
{
	unsigned long s;

	if (isnan(seconds))
		return strcpy(dst, "-");
	s = (unsigned long)seconds;
	if (s < 60)
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%lus", s);
	else if (s < 600)
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%lum%02lus", s / 60, s % 60);
	else if (s < 3600)
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%lum", s / 60);
	else if (s < 86400)
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%luh%02lu", s / 3600, s / 60 % 60);
	else if (s < 10 * 86400)
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%lud%02luh", s / 86400, s / 3600 % 24);
	else
		(void)snprintf(dst, TOP_NUMBER_SIZE, "%lud", s / 86400);
	return dst;
}

void
top_cell(char *dst, const struct top_layout *l, size_t column, const struct top_row *row)
{
	enum top_fact fact = l->column[column].fact;
	size_t width = l->column[column].width, len;
	char number[TOP_NUMBER_SIZE];

	if (columns[fact].number == NULL) {
		top_fit(dst, width, row->text[fact][0] != '\0' ? row->text[fact] : "-");
		return;
	}
	len = strlen(columns[fact].number(number, row->number[fact]));
	len = len < width ? len : width;
	memset(dst, ' ', width - len);
	top_fit(dst + width - len, len, number);
}

/* Add the columns behind the last one, up to `end`, that fit; what is used of the width then. */
static size_t
columns_add(struct top_layout *l, enum top_fact end, size_t width, size_t used)
{
	for (size_t f = l->n; f < end && used + 1 + columns[f].width <= width; f++) {
		l->column[l->n].fact = (enum top_fact)f;
		l->column[l->n++].width = columns[f].width;
		used += 1 + columns[f].width;
	}
	return used;
}

/* As wide as the rows need it. */
static size_t
width_wanted(enum top_fact fact, const struct top_row *const rows[], size_t n)
{
	size_t most = columns[fact].width;

	for (size_t i = 0; i < n; i++) {
		size_t width = width_of(rows[i]->text[fact]);

		if (width > most)
			most = width;
	}
	return most;
}

/* Columns of text that need more take of what is left, up to `most` each. */
static size_t
columns_widen(struct top_layout *l, size_t most, size_t width, size_t used,
	      const struct top_row *const rows[], size_t n)
{
	for (size_t i = 0; i < l->n && used < width; i++) {
		enum top_fact fact = l->column[i].fact;
		size_t want = columns[fact].number != NULL ? 0 : width_wanted(fact, rows, n);
		size_t more;

		want = want < most ? want : most;
		more = want > l->column[i].width ? want - l->column[i].width : 0;
		if (more > width - used)
			more = width - used;
		l->column[i].width += more;
		used += more;
	}
	return used;
}

void
top_layout_make(struct top_layout *l, size_t width, const struct top_row *const rows[], size_t n)
{
	size_t used = columns[TOP_USER].width < width ? columns[TOP_USER].width : width;

	l->n = 1;
	l->column[0].fact = TOP_USER;
	l->column[0].width = used;
	used = columns_add(l, TOP_SENT + 1, width, used);
	used = columns_widen(l, USUAL_WIDTH, width, used, rows, n);
	used = columns_add(l, TOP_FACTS, width, used);
	(void)columns_widen(l, width, width, used, rows, n);
}

size_t
top_flow(char lines[][TOP_WIDTH_MAX + 1], size_t max, size_t width, const char *words)
{
	char word[TOP_WIDTH_MAX + 1], text[4096];
	size_t n = 0, used = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, "\n"), need;

		(void)snprintf(text, sizeof(text), "%.*s", (int)len, words);
		words += len + (words[len] != '\0');
		need = width_of(text) < width ? width_of(text) : width;
		top_fit(word, need, text);
		if (n == 0 || used + 2 + need > width) {
			if (n == max)
				break;
			(void)strcpy(lines[n++], word);
			used = need;
			continue;
		}
		(void)sprintf(lines[n - 1] + used, "  %s", word);
		used += 2 + need;
	}
	return n;
}

void
top_height_share(struct top_height *h, size_t height, size_t head, size_t warnings)
{
	size_t left = height;

	*h = (struct top_height){0};
	h->titles = left >= 3;
	h->foot = left >= 2;
	left -= h->titles + h->foot;
	/* Half of what is left is the table's; of the other half warnings come first. */
	h->warnings = warnings < left / 2 ? warnings : left / 2;
	h->head = head < left / 2 - h->warnings ? head : left / 2 - h->warnings;
	h->rows = left - h->head - h->warnings;
}

size_t
top_scroll(size_t first, size_t selected, size_t n, size_t shown)
{
	if (first + shown > n)
		first = n > shown ? n - shown : 0;
	if (selected < first)
		first = selected;
	else if (shown > 0 && selected >= first + shown)
		first = selected - shown + 1;
	return first;
}
