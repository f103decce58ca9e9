#include "config.h"

#include <curses.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"
#include "common/escape.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/top_screen.h"

enum { KILL_SECONDS = 15 /* longer than the daemon waits for the end of a connection */ };
enum { KEY_ESCAPE = 27, KEY_DELETE = 127 };

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
	top_renew_details(t);
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

void
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
	top_order(t);
}

/* What is typed behind "/" counts at once.  Octets of UTF-8 are looked for as they are shown. */
void
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
	top_order(t);
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
	top_renew(t);
}

void
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

void
key_text(struct top *t, int key)
{
	long first = (long)t->details_first + key_moves(key);

	t->details_first = first < 0 ? 0 : (size_t)first;
	if (key_leaves(key)) {
		t->mode = &mode_table;
		t->note[0] = '\0';
	}
}

void
key_details(struct top *t, int key)
{
	if (key == 'k')
		kill_ask(t);
	else
		key_text(t, key);
}
