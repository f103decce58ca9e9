#include "config.h"

#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "daemon/ctl/print.h"
#include "daemon/ctl/top_screen.h"

enum {
	KEY_WIDTH = 16, /* of the names among the details */
	LINES_MAX = 4	/* of the head, and of warnings */
};

static size_t
width(void)
{
	return COLS > TOP_WIDTH_MAX ? TOP_WIDTH_MAX : COLS > 0 ? (size_t)COLS : 1;
}

static size_t
height(void)
{
	return LINES > 0 ? (size_t)LINES : 1;
}

/* A line, or a part of one. */
static void
put(size_t y, size_t x, size_t w, attr_t how, const char *text)
{
	char fitted[TOP_WIDTH_MAX + 1];

	top_fit(fitted, w, text);
	(void)attr_set(how, 0, NULL);
	(void)mvaddstr((int)y, (int)x, fitted);
	(void)attr_set(A_NORMAL, 0, NULL);
}

typedef char line_block[LINES_MAX][TOP_WIDTH_MAX + 1];

/* The lines above the table. */
static size_t
head_make(const struct top *t, line_block l)
{
	char *words;
	size_t len, n = 0;
	FILE *out = open_memstream(&words, &len);

	if (out == NULL)
		return 0;
	if (t->status != NULL)
		top_head_words(out, t->status, t->host, &t->logins, top_table_rate(&t->table));
	else
		fprintf(out, "%s\n", t->host);
	if (fclose(out) == 0)
		n = top_flow(l, LINES_MAX, width(), words);
	free(words);
	return n;
}

static size_t
warnings_make(const struct top *t, line_block l)
{
	char *words, since[CLOCK_UTC_SIZE];
	size_t len, n = 0;
	FILE *out = open_memstream(&words, &len);

	if (out == NULL)
		return 0;
	if (t->status != NULL)
		top_head_warnings(out, t->status, time(NULL));
	else
		fprintf(out, "no answer since %s\nasked again each second\n%s\n",
			clock_utc(since, t->lost_since), t->lost);
	if (fclose(out) == 0)
		n = top_flow(l, LINES_MAX, width(), words);
	free(words);
	return n;
}

static void
draw_titles(const struct top *t, size_t y)
{
	size_t x = 0;

	for (size_t i = 0; i < t->layout.n; i++) {
		enum top_fact fact = t->layout.column[i].fact;
		size_t w = t->layout.column[i].width, len = strlen(top_title(fact));

		/* Over its numbers. */
		size_t before = top_falls(fact) && len < w ? w - len : 0;

		put(y, x, w, A_BOLD, "");
		put(y, x + before, w - before,
		    fact == t->by ? A_BOLD | A_REVERSE : A_BOLD | A_UNDERLINE, top_title(fact));
		x += w + 1;
	}
}

static void
draw_row(const struct top *t, size_t y, size_t row)
{
	char cell[TOP_WIDTH_MAX + 1];
	attr_t how = row == t->at ? A_REVERSE : A_NORMAL;
	size_t x = 0;

	put(y, 0, width(), how, "");
	for (size_t i = 0; i < t->layout.n; i++) {
		top_cell(cell, &t->layout, i, t->rows[row]);
		put(y, x, t->layout.column[i].width, how, cell);
		x += t->layout.column[i].width + 1;
	}
}

/* What fits of it, the most important first. */
static void
draw_foot(const struct top *t, size_t y, size_t shown)
{
	char text[512];
	line_block l;
	size_t last = t->first + shown < t->n ? t->first + shown : t->n;
	int n = snprintf(text, sizeof(text), "%zu-%zu of %zu\n", t->n > 0 ? t->first + 1 : 0, last,
			 t->n);

	if (t->filter[0] != '\0')
		n += snprintf(text + n, sizeof(text) - (size_t)n, "/%s\n", t->filter);
	(void)snprintf(text + n, sizeof(text) - (size_t)n,
		       "by %s, %s\n? help\nq quit\nEnter details\nk kill\n/ filter\n< > sort\n",
		       top_name(t->by), t->falling ? "falling" : "rising");
	if (t->note[0] != '\0')
		put(y, 0, width(), A_BOLD, t->note);
	else if (top_flow(l, 1, width(), text) > 0)
		put(y, 0, width(), A_NORMAL, l[0]);
}

void
draw_table(struct top *t)
{
	struct top_height h;
	line_block head, warnings;
	size_t heads = head_make(t, head), warned = warnings_make(t, warnings), y = 0;

	top_height_share(&h, height(), heads, warned);
	for (size_t i = 0; i < h.head; i++)
		put(y++, 0, width(), A_NORMAL, head[i]);
	for (size_t i = 0; i < h.warnings; i++)
		put(y++, 0, width(), A_BOLD, warnings[i]);
	top_layout_make(&t->layout, width(), t->rows, t->n);
	if (h.titles > 0)
		draw_titles(t, y++);
	t->first = top_scroll(t->first, t->at, t->n, h.rows);
	for (size_t i = 0; i < h.rows && t->first + i < t->n; i++)
		draw_row(t, y + i, t->first + i);
	if (h.foot > 0)
		draw_foot(t, height() - 1, h.rows);
}

/* The last line is a question or what is typed. */
static void
draw_last(const char *text)
{
	put(height() - 1, 0, width(), A_BOLD, text);
}

void
draw_filter(struct top *t)
{
	char text[TOP_TEXT_SIZE + 32];
	int n = snprintf(text, sizeof(text), "/%s", t->filter);

	draw_table(t);
	draw_last(text);
	(void)move(LINES - 1, n < COLS ? n : COLS - 1);
}

void
draw_kill(struct top *t)
{
	char text[sizeof(t->who) + 64];

	t->behind->draw(t);
	(void)snprintf(text, sizeof(text), "kill? y, n: %s", t->who);
	draw_last(text);
}

/* ---- details: a list of lines, of which a part is shown ---- */

/* A name and its value, which may take several lines of the width. */
static void
say_detail(FILE *out, const char *name, const char *value)
{
	size_t room = width() > KEY_WIDTH + 10 ? width() - KEY_WIDTH : 10;
	char *text = NULL;
	size_t len = 0;
	FILE *escaped = open_memstream(&text, &len);

	if (escaped == NULL)
		return;
	text_print(escaped, value);
	if (fclose(escaped) == 0)
		for (size_t i = 0; i == 0 || i < len; i += room)
			fprintf(out, "%-*s%.*s\n", KEY_WIDTH, i == 0 ? name : "", (int)room,
				text + i);
	free(text);
}

/* What `conn state` says. */
static void
say_state(FILE *out, const char *details)
{
	char *copy = strdup(details), *rest = copy, *line, number[TOP_NUMBER_SIZE];

	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
		const char *key = strsep(&line, "\t"), *value = line != NULL ? line : "";

		if (strcmp(key, "since") == 0) {
			key = "connected for";
			value = top_seconds(number, strtod(value, NULL));
		}
		say_detail(out, key, value[0] != '\0' ? value : "-");
	}
	free(copy);
}

/* What the table has beside that. */
static void
say_row(FILE *out, const struct top_row *row)
{
	char number[TOP_NUMBER_SIZE];

	say_detail(out, "waiting for", row->text[TOP_WAITING]);
	say_detail(out, "idle", top_seconds(number, row->number[TOP_IDLE]));
	say_detail(out, "time left", top_seconds(number, row->number[TOP_LEFT]));
	say_detail(out, "octets/s", top_octets(number, row->number[TOP_RATE]));
	say_detail(out, "retrieved", row->text[TOP_RETRIEVED]);
}

/* The lines of a text from *first on, which is brought within bounds. */
static void
draw_text(char *text, size_t *first, const char *foot)
{
	size_t n = 0, shown = height() > 1 ? height() - 1 : 1, y = 0;
	char *line;

	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	if (*first + shown > n)
		*first = n > shown ? n - shown : 0;
	for (size_t i = 0; (line = strsep(&text, "\n")) != NULL && y < shown; i++)
		if (i >= *first)
			put(y++, 0, width(), A_NORMAL, line);
	if (height() > 1)
		put(height() - 1, 0, width(), A_BOLD, foot);
}

void
draw_details(struct top *t)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	const struct top_row *row = top_table_find(&t->table, t->id);

	if (out == NULL)
		return;
	if (t->details != NULL)
		say_state(out, t->details);
	if (row != NULL)
		say_row(out, row);
	if (fclose(out) == 0)
		draw_text(text, &t->details_first,
			  t->note[0] != '\0' ? t->note : "q back  k kill  Up Down scroll");
	free(text);
}

void
draw_help(struct top *t)
{
	static const char help[] = "Up Down PgUp PgDn Home End  move\n"
				   "< >     sort by another column\n"
				   "r       turn the order\n"
				   "/       only rows with this text\n"
				   "Enter   all about a session\n"
				   "k       kill it (root), with a question\n"
				   "q       back, or end\n"
				   "\n"
				   "IDLE    since its client last did anything\n"
				   "RATE/s  octets, over the last 5 seconds\n"
				   "LEFT    until idle_timeout ends it\n"
				   "SENT    octets of messages\n"
				   "WAIT    for the client, disk or a lock\n"
				   "AGE     since it connected\n"
				   "GOT     messages sent, of MSGS\n"
				   "DEL     messages marked as deleted\n"
				   "BOX     octets in the mailbox at login\n";
	char text[sizeof(help)];

	memcpy(text, help, sizeof(help));
	draw_text(text, &t->details_first, "q back  Up Down scroll");
}
