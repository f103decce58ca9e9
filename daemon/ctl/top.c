#include "config.h"

#include <curses.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/escape.h"
#include "daemon/ctl/print.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/top.h"
#include "daemon/ctl/top_head.h"
#include "daemon/ctl/top_layout.h"
#include "daemon/ctl/top_table.h"

#include <term.h> /* the last: it defines many short words */

enum {
	REFRESH_MS = 1000,
	ANSWER_SECONDS = 5, /* for a daemon to answer */
	KILL_SECONDS = 15,  /* longer than the daemon waits for the end of a connection */
	NAME_SIZE = 64,
	KEY_WIDTH = 14, /* of the names among the details */
	LINES_MAX = 4	/* of the head, and of warnings */
};

enum { KEY_ESCAPE = 27, KEY_DELETE = 127 };

struct top;

/* What is on the screen, and what keys do there. */
struct mode {
	void (*draw)(struct top *t);
	void (*key)(struct top *t, int key);
};

struct top {
	const char *socket_path;
	char host[HOST_NAME_MAX + 1];
	const struct mode *mode, *behind; /* behind: of a question */
	bool done;

	char *status; /* the daemon's answers; NULL: it does not answer */
	struct top_table table;
	struct top_logins logins;
	char lost[256]; /* why it does not answer */
	time_t lost_since;

	const struct top_row **rows; /* those shown, in order */
	size_t n, first, at;	     /* on the screen first; under the cursor */
	bool follows;		     /* the cursor stays on the session and not on the line */
	char selected[NAME_SIZE];
	struct top_layout layout;
	enum top_fact by;
	bool falling;
	char filter[NAME_SIZE];

	char id[NAME_SIZE], server[NAME_SIZE * 2], who[256]; /* that is asked or told about */
	char *details;
	size_t details_first;
	char note[256]; /* until the next key */
};

static const struct mode mode_table, mode_filter, mode_kill, mode_details, mode_help;

/* ---- what the daemon says ---- */

static void
lost(struct top *t, const char *why)
{
	if (t->status != NULL || t->lost_since == 0)
		t->lost_since = time(NULL);
	(void)snprintf(t->lost, sizeof(t->lost), "%s", why != NULL ? why : "no memory");
	free(t->status);
	t->status = NULL;
	top_table_free(&t->table);
	t->logins = (struct top_logins){0};
}

/* One word's answer, malloc'ed; NULL: the daemon does not answer, and t->lost says why. */
static char *
ask(struct top *t, const char *word)
{
	char *words[] = {(char *)word};
	struct answer a;

	if (request_within(t->socket_path, ANSWER_SECONDS, 1, words, &a) == CTL_DONE)
		return a.text;
	lost(t, a.text);
	free(a.text);
	return NULL;
}

static void
order(struct top *t)
{
	const struct top_row **rows = reallocarray(t->rows, t->table.n + 1, sizeof(t->rows[0]));

	t->n = 0;
	if (rows == NULL)
		return;
	t->rows = rows;
	t->n = top_table_order(&t->table, t->filter, t->by, t->falling, rows);
	for (size_t i = 0; t->follows && i < t->n; i++)
		if (strcmp(rows[i]->text[TOP_ID], t->selected) == 0)
			t->at = i;
	if (t->at >= t->n)
		t->at = t->n > 0 ? t->n - 1 : 0;
	(void)snprintf(t->selected, sizeof(t->selected), "%s",
		       t->n > 0 ? rows[t->at]->text[TOP_ID] : "");
}

/* Renew all that is shown. */
static void
renew(struct top *t)
{
	struct top_table before = t->table;
	bool was_lost = t->status == NULL && t->lost_since != 0;
	char *status = ask(t, "status"), *rows = status != NULL ? ask(t, "sessions") : NULL;

	if (rows == NULL)
		free(status);
	else {
		free(t->status);
		t->status = status;
		top_logins_add(&t->logins, status, clock_ms());
		if (top_table_make(&t->table, rows, clock_ms(), &before) == -1)
			(void)snprintf(t->note, sizeof(t->note), "no memory");
		top_table_free(&before);
		if (was_lost)
			(void)snprintf(t->note, sizeof(t->note), "pop3d answers again");
		t->lost_since = 0;
	}
	order(t);
}

/* All about the session t->id; what was known of one that has gone stays. */
static void
renew_details(struct top *t)
{
	char *words[] = {(char *)"conn", (char *)"state", t->server, t->id};
	struct answer a;
	int status = request_within(t->socket_path, ANSWER_SECONDS, COUNT_OF(words), words, &a);

	if (status == CTL_DONE) {
		free(t->details);
		t->details = a.text;
		t->note[0] = '\0';
		return;
	}
	(void)snprintf(t->note, sizeof(t->note), "%s",
		       status == CTL_FAILED ? "it has ended"
		       : a.text != NULL	    ? a.text
					    : "");
	free(a.text);
}

/* ---- the screen ---- */

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

static void
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

static void
draw_filter(struct top *t)
{
	char text[NAME_SIZE + 32];
	int n = snprintf(text, sizeof(text), "/%s", t->filter);

	draw_table(t);
	draw_last(text);
	(void)move(LINES - 1, n < COLS ? n : COLS - 1);
}

static void
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

static void
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

static void
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

/* ---- keys ---- */

static void
cursor_move(struct top *t, long by)
{
	long at = (long)t->at + by, last = (long)t->n - 1;

	t->at = (size_t)(at > last ? (last < 0 ? 0 : last) : at < 0 ? 0 : at);
	t->follows = at > 0;
	if (t->n > 0)
		(void)snprintf(t->selected, sizeof(t->selected), "%s",
			       t->rows[t->at]->text[TOP_ID]);
}

/* How far a key moves; 0: it is none of them. */
static long
key_moves(int key)
{
	static const struct {
		int key;
		long by, pages;
	} moves[] = {{KEY_UP, -1, 0},	    {KEY_DOWN, 1, 0},	{KEY_PPAGE, 0, -1},
		     {KEY_NPAGE, 0, 1},	    {' ', 0, 1},	{KEY_HOME, -INT_MAX, 0},
		     {KEY_END, INT_MAX, 0}, {'g', -INT_MAX, 0}, {'G', INT_MAX, 0}};

	for (size_t i = 0; i < COUNT_OF(moves); i++)
		if (moves[i].key == key)
			return moves[i].by + moves[i].pages * (LINES > 8 ? LINES - 8 : 1);
	return 0;
}

/* To the column before or behind, of those that are shown. */
static void
sort_move(struct top *t, int by)
{
	size_t n = t->layout.n, i = 0;

	while (i < n && t->layout.column[i].fact != t->by)
		i++;
	if (i == n)
		i = by < 0 ? 0 : n - 1;
	t->by = t->layout.column[(i + n + (size_t)by) % n].fact;
	t->falling = top_falls(t->by);
}

static void
sort_before(struct top *t)
{
	sort_move(t, -1);
}

static void
sort_behind(struct top *t)
{
	sort_move(t, 1);
}

static void
sort_turn(struct top *t)
{
	t->falling = !t->falling;
}

static void
filter_begin(struct top *t)
{
	t->mode = &mode_filter;
}

/* Remember the session under the cursor, whatever comes under it meanwhile. */
static bool
session_take(struct top *t)
{
	const struct top_row *row = t->n > 0 ? t->rows[t->at] : NULL;

	if (row == NULL) {
		(void)snprintf(t->note, sizeof(t->note), "no session is shown");
		return false;
	}
	(void)snprintf(t->id, sizeof(t->id), "%s", row->text[TOP_ID]);
	(void)snprintf(t->server, sizeof(t->server), "%s", row->text[TOP_SERVER]);
	(void)snprintf(t->who, sizeof(t->who), "%.40s from %s on %s (%s)", row->text[TOP_USER],
		       row->text[TOP_FROM], row->text[TOP_SERVER], row->text[TOP_ID]);
	return true;
}

static void
details_begin(struct top *t)
{
	if (!session_take(t))
		return;
	t->mode = &mode_details;
	t->details_first = 0;
	free(t->details);
	t->details = NULL;
	renew_details(t);
}

/* Whoever the daemon obeys: root, and the user whose own daemon it is. */
static bool
may_kill(const struct top *t)
{
	struct stat st;

	return geteuid() == 0 || (stat(t->socket_path, &st) == 0 && st.st_uid == geteuid());
}

static void
kill_ask(struct top *t)
{
	if (!may_kill(t)) {
		(void)snprintf(t->note, sizeof(t->note), "only root may kill a session");
		return;
	}
	t->behind = t->mode;
	t->mode = &mode_kill;
}

static void
kill_begin(struct top *t)
{
	if (session_take(t))
		kill_ask(t);
}

static void
help_begin(struct top *t)
{
	t->mode = &mode_help;
	t->details_first = 0;
}

static void
quit(struct top *t)
{
	t->done = true;
}

static void
key_table(struct top *t, int key)
{
	static const struct {
		int key;
		void (*run)(struct top *t);
	} keys[] = {{'<', sort_before},
		    {KEY_LEFT, sort_before},
		    {'>', sort_behind},
		    {KEY_RIGHT, sort_behind},
		    {'r', sort_turn},
		    {'/', filter_begin},
		    {'\n', details_begin},
		    {'\r', details_begin},
		    {KEY_ENTER, details_begin},
		    {'k', kill_begin},
		    {'?', help_begin},
		    {'h', help_begin},
		    {KEY_F(1), help_begin},
		    {'q', quit},
		    {'Q', quit}};
	long by = key_moves(key);

	t->note[0] = '\0';
	if (by != 0)
		cursor_move(t, by);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (keys[i].key == key)
			keys[i].run(t);
	order(t);
}

/* What is typed behind "/" counts at once.  Octets of UTF-8 are looked for as they are shown. */
static void
key_filter(struct top *t, int key)
{
	size_t len = strlen(t->filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER)
		t->mode = &mode_table;
	else if (key == KEY_ESCAPE) {
		t->filter[0] = '\0';
		t->mode = &mode_table;
	} else if ((key == KEY_BACKSPACE || key == KEY_DELETE || key == '\b') && len > 0)
		t->filter[len - 1] = '\0';
	else if (key >= 0x20 && key < 0x7f && len + 1 < sizeof(t->filter)) {
		t->filter[len] = (char)key;
		t->filter[len + 1] = '\0';
	} else if (key >= 0x80 && key < 0x100 && len + ESCAPE_SIZE < sizeof(t->filter))
		t->filter[len + escape_octet(t->filter + len, (unsigned char)key)] = '\0';
	order(t);
}

static void
kill_session(struct top *t)
{
	char *words[] = {(char *)"conn", (char *)"kill", t->server, t->id};
	struct answer a;

	if (request_within(t->socket_path, KILL_SECONDS, COUNT_OF(words), words, &a) == CTL_DONE)
		(void)snprintf(t->note, sizeof(t->note), "killed: %.200s", t->who);
	else
		(void)snprintf(t->note, sizeof(t->note), "%s", a.text != NULL ? a.text : "");
	free(a.text);
	renew(t);
}

static void
key_kill(struct top *t, int key)
{
	t->mode = t->behind;
	if (key == 'y' || key == 'Y') {
		t->mode = &mode_table;
		kill_session(t);
	} else
		(void)snprintf(t->note, sizeof(t->note), "not killed");
}

/* Is it a key that leaves what stands before the table? */
static bool
key_leaves(int key)
{
	return key == 'q' || key == 'Q' || key == KEY_ESCAPE || key == KEY_LEFT;
}

static void
key_text(struct top *t, int key)
{
	long first = (long)t->details_first + key_moves(key);

	t->details_first = first < 0 ? 0 : (size_t)first;
	if (key_leaves(key)) {
		t->mode = &mode_table;
		t->note[0] = '\0';
	}
}

static void
key_details(struct top *t, int key)
{
	if (key == 'k')
		kill_ask(t);
	else
		key_text(t, key);
}

static const struct mode mode_table = {draw_table, key_table};
static const struct mode mode_filter = {draw_filter, key_filter};
static const struct mode mode_kill = {draw_kill, key_kill};
static const struct mode mode_details = {draw_details, key_details};
static const struct mode mode_help = {draw_help, key_text};

/* ---- the terminal ---- */

/* Why there can be no screen, and what to do; NULL: there can. */
static const char *
why_no_screen(void)
{
	int error = 0;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return "this is no terminal; \"pop3ctl sessions\" prints the table once, \"pop3ctl "
		       "metrics\" counts and rates";
	if (setupterm(NULL, STDOUT_FILENO, &error) == ERR)
		return error == -1 ? "there is no database of terminals (Debian: ncurses-base)"
				   : "unknown kind of terminal; set TERM to one that infocmp(1) "
				     "knows (as TERM=xterm), or use \"pop3ctl sessions\"";
	return tigetstr((char *)"cup") == NULL ? "a terminal of this kind (TERM) cannot move its "
						 "cursor; use \"pop3ctl sessions\""
					       : NULL;
}

static bool
screen_begin(void)
{
	/* The size that a shell put there is not that after a resize. */
	(void)unsetenv("LINES");
	(void)unsetenv("COLUMNS");
	if (newterm(NULL, stdout, stdin) == NULL)
		return false;
	set_escdelay(25);
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	return true;
}

static void
draw(struct top *t)
{
	(void)curs_set(t->mode == &mode_filter);
	(void)erase();
	t->mode->draw(t);
	(void)refresh();
}

/* The next key within the time; ERR: none, or the terminal has gone. */
static int
key_read(struct top *t, uint64_t ms)
{
	struct pollfd terminal = {STDIN_FILENO, POLLIN, 0};
	int key;

	timeout((int)ms);
	key = getch();
	if (key == ERR && poll(&terminal, 1, 0) == 1 &&
	    (terminal.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		t->done = true;
	return key;
}

static void
watch(struct top *t)
{
	uint64_t next = clock_ms() + REFRESH_MS, now;

	while (!t->done) {
		int key;

		draw(t);
		now = clock_ms();
		key = key_read(t, now < next ? next - now : 0);
		if (key == KEY_RESIZE)
			(void)clearok(stdscr, TRUE);
		else if (key != ERR)
			t->mode->key(t, key);
		if (clock_ms() < next)
			continue;
		renew(t);
		if (t->mode == &mode_details)
			renew_details(t);
		next = clock_ms() + REFRESH_MS;
	}
}

int
top_run(const char *socket_path)
{
	struct top t = {
	    .socket_path = socket_path, .mode = &mode_table, .by = TOP_RATE, .falling = true};
	const char *why = why_no_screen();

	if (why != NULL) {
		fprintf(stderr, "pop3ctl: top: %s\n", why);
		return CTL_FAILED;
	}
	(void)gethostname(t.host, sizeof(t.host) - 1);
	renew(&t);
	if (t.status == NULL) {
		fprintf(stderr, "pop3ctl: %s\n", t.lost);
		return CTL_UNREACHABLE;
	}
	if (!screen_begin()) {
		fputs("pop3ctl: top: the terminal cannot be set up\n", stderr);
		return CTL_FAILED;
	}
	watch(&t);
	(void)endwin();
	free(t.status);
	free(t.details);
	free(t.rows);
	top_table_free(&t.table);
	return CTL_DONE;
}
