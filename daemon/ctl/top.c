#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "daemon/ctl/print.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/top.h"

enum { REFRESH_MS = 1000 };

static struct termios before;
static volatile sig_atomic_t stopped;

/* Ends the wait; the terminal is put right on the way out. */
static void
on_signal(int sig)
{
	stopped = sig;
}

static void
terminal_restore(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fputs("\033[?25h\n", stdout);
}

/* Keys are read as they come, and not shown; the cursor hides. */
static int
terminal_prepare(void)
{
	static const int watched[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	const struct sigaction sa = {.sa_handler = on_signal};
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &before) == -1)
		return -1;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaction(watched[i], &sa, NULL);
	atexit(terminal_restore);
	fputs("\033[?25l", stdout);
	return 0;
}

static unsigned
terminal_rows(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row : 24;
}

/* Cut the table to what fits the terminal. */
static void
rows_cut(char *text, unsigned rows)
{
	for (; rows > 0 && text != NULL; rows--)
		if ((text = strchr(text, '\n')) != NULL)
			text++;
	if (text != NULL)
		*text = '\0';
}

static int
show(const char *socket_path, unsigned rows)
{
	char *status[] = {(char *)"summary"}, *sessions[] = {(char *)"sessions"};
	struct answer summary, table;
	int r = request(socket_path, 1, status, &summary);

	if (r == CTL_DONE && (r = request(socket_path, 1, sessions, &table)) == CTL_DONE) {
		summary.text[strcspn(summary.text, "\n")] = '\0';
		if (rows > 0) {
			fputs("\033[H\033[J", stdout);
			rows_cut(table.text, rows - 2);
		}
		text_print(stdout, summary.text);
		putchar('\n');
		answer_print(table.text, ANSWER_TABLE, FORM_TEXT);
		fflush(stdout);
		free(table.text);
	}
	free(summary.text);
	return r;
}

int
top_run(const char *socket_path, bool once)
{
	struct pollfd key = {STDIN_FILENO, POLLIN, 0};
	char ch;
	int r;

	if (once || !isatty(STDOUT_FILENO) || terminal_prepare() == -1)
		return show(socket_path, 0);
	while ((r = show(socket_path, terminal_rows())) == CTL_DONE && stopped == 0)
		if (poll(&key, 1, REFRESH_MS) == 1 &&
		    (read(STDIN_FILENO, &ch, 1) != 1 || ch == 'q' || ch == 'Q'))
			break;
	return r;
}
