#include "config.h"

#include <curses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/top.h"
#include "daemon/ctl/top_screen.h"

#include <term.h> /* the last: it defines many short words */

enum {
	REFRESH_MS = 1000,
	ANSWER_SECONDS = 5 /* for a daemon to answer */
};

const struct mode mode_table = {draw_table, key_table};
const struct mode mode_filter = {draw_filter, key_filter};
const struct mode mode_kill = {draw_kill, key_kill};
const struct mode mode_details = {draw_details, key_details};
const struct mode mode_help = {draw_help, key_text};

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

void
top_order(struct top *t)
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
void
top_renew(struct top *t)
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
	top_order(t);
}

/* All about the session t->id; what was known of one that has gone stays. */
void
top_renew_details(struct top *t)
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

/* ---- the terminal ---- */

/* Why there can be no screen, and what to do; NULL: there can. */
static const char *
why_no_screen(void)
{
	const char *term = getenv("TERM");
	int error = 0;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return "this is no terminal; \"pop3ctl sessions\" prints the table once, \"pop3ctl "
		       "metrics\" counts and rates";
	if (term == NULL || term[0] == '\0')
		return "TERM is not set; set it to the kind of this terminal (as TERM=xterm), or "
		       "use \"pop3ctl sessions\"";
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
		top_renew(t);
		if (t->mode == &mode_details)
			top_renew_details(t);
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
	top_renew(&t);
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
