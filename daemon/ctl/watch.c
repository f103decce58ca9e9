#include "config.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/watch.h"

/* What is watched, and how. */
struct watch {
	const char *socket_path;
	enum answer_form form;
	int argc;
	char **argv;
	int (*run)(const char *socket_path, enum answer_form form, int argc, char *argv[]);
};

bool
watch_is_for(int argc, char *argv[])
{
	static const struct {
		const char *word, *second;
	} commands[] = {{"list", NULL}, {"metrics", NULL}, {"sessions", NULL}, {"status", NULL},
			{"who", NULL},	{"conn", "list"},  {"conn", "state"}};

	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (strcmp(commands[i].word, argv[0]) == 0 &&
		    (commands[i].second == NULL ||
		     (argc > 1 && strcmp(commands[i].second, argv[1]) == 0)))
			return true;
	return false;
}

/* ---- on a terminal ---- */

/* Octets of the line's first `columns` characters; of UTF-8, whole ones. */
static size_t
octets_of(const char *line, size_t len, size_t columns)
{
	size_t n = 0;

	for (; n < len; n++)
		if (((unsigned char)line[n] & 0xc0) != 0x80 && columns-- == 0)
			break;
	return n;
}

void
watch_fit(FILE *out, const char *text, size_t rows, size_t columns)
{
	size_t lines = 0, shown;

	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p != '\0')
		lines++;
	shown = lines > rows ? rows - 1 : lines;
	/* Each line is cleared before it is written: behind a full one the cursor is still on it.
	 */
	for (size_t i = 0; i < shown; i++) {
		size_t len = strcspn(text, "\n");

		fprintf(out, "%s\033[K%.*s", i > 0 ? "\n" : "", (int)octets_of(text, len, columns),
			text);
		text += len + 1;
	}
	if (shown < lines) {
		char left_out[64];

		(void)snprintf(left_out, sizeof(left_out), "%zu more lines", lines - shown);
		fprintf(out, "%s\033[K\033[7m%.*s\033[m", shown > 0 ? "\n" : "",
			(int)(columns < sizeof(left_out) ? columns : sizeof(left_out)), left_out);
	} else if (shown < rows)
		fputs(shown > 0 ? "\n\033[J" : "\033[J", out);
}

/* Let the command write into a file instead of the standard descriptors; its status, and malloc'ed
 * what it wrote (NULL: no memory). */
static int
run_caught(const struct watch *w, char **text)
{
	static const int standard[] = {STDOUT_FILENO, STDERR_FILENO};
	int file = memfd_create("answer", MFD_CLOEXEC), kept[COUNT_OF(standard)], status;
	struct stat st;

	*text = NULL;
	if (file == -1)
		return CTL_FAILED;
	for (size_t i = 0; i < COUNT_OF(standard); i++) {
		kept[i] = dup(standard[i]);
		(void)dup2(file, standard[i]);
	}
	status = w->run(w->socket_path, w->form, w->argc, w->argv);
	(void)fflush(stdout);
	for (size_t i = 0; i < COUNT_OF(standard); i++) {
		(void)dup2(kept[i], standard[i]);
		(void)close(kept[i]);
	}
	if (fstat(file, &st) == 0 && (*text = calloc(1, (size_t)st.st_size + 1)) != NULL &&
	    pread(file, *text, (size_t)st.st_size, 0) != st.st_size)
		(*text)[0] = '\0';
	(void)close(file);
	return status;
}

static bool
goes_on(int status, bool first)
{
	return status == CTL_DONE || (!first && status == CTL_UNREACHABLE);
}

/* Does standard output understand sequences? */
static bool
is_terminal(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDOUT_FILENO) && kind != NULL && kind[0] != '\0' &&
	       strcmp(kind, "dumb") != 0;
}

/* One answer, cut to the terminal.  An error that ends it stands below what was there before. */
static int
show(const struct watch *w, bool first)
{
	struct winsize size = {.ws_row = 0};
	char *text;
	int status = run_caught(w, &text);

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	if (text == NULL)
		fputs("pop3ctl: no memory\n", stderr);
	else if (!goes_on(status, first))
		fprintf(stderr, "%s%s", first ? "" : "\n", text);
	else {
		/* Without wrapping: a character may be two wide. */
		fputs(first ? "\033[?7l\033[H\033[2J" : "\033[?7l\033[H", stdout);
		watch_fit(stdout, text, size.ws_row, size.ws_col);
		fputs("\033[?7h", stdout);
	}
	free(text);
	return text != NULL ? status : CTL_FAILED;
}

/* ---- anywhere ---- */

/* Until the time is over, or the terminal has another size. */
static void
pause_for(unsigned seconds)
{
	const struct timespec time = {.tv_sec = seconds};
	sigset_t resize;

	(void)sigemptyset(&resize);
	(void)sigaddset(&resize, SIGWINCH);
	(void)sigtimedwait(&resize, NULL, &time);
}

/* Blocked, it waits for pause_for() and interrupts nothing. */
static void
hold_resizes(void)
{
	sigset_t resize;

	(void)sigemptyset(&resize);
	(void)sigaddset(&resize, SIGWINCH);
	(void)sigprocmask(SIG_BLOCK, &resize, NULL);
}

int
watch_run(const char *socket_path, enum answer_form form, unsigned seconds, int argc, char *argv[],
	  int (*run)(const char *socket_path, enum answer_form form, int argc, char *argv[]))
{
	const struct watch w = {socket_path, form, argc, argv, run};
	bool terminal = is_terminal();

	if (!watch_is_for(argc, argv)) {
		fputs(
		    "pop3ctl: --watch is for list, metrics, sessions, status, who, conn list, and "
		    "conn state\n",
		    stderr);
		return CTL_USAGE;
	}
	hold_resizes();
	for (bool first = true;; first = false) {
		int status;

		if (!terminal && !first)
			putchar('\n');
		status = terminal ? show(&w, first) : run(socket_path, form, argc, argv);
		if (!goes_on(status, first))
			return status;
		if (fflush(stdout) == EOF)
			return CTL_FAILED;
		pause_for(seconds);
	}
}
