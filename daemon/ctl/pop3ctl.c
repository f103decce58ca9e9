/*
 * pop3ctl, the administrator's hand on a running pop3d.
 *
 * Runs as:  whoever calls it.
 * Sees:     the control socket, as far as its mode and the daemon let it.
 * May never: open a mailbox, even as root: the daemon has that done by a
 *           session as the mailbox's owner; believe what that says.
 */
#include "config.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ctl_words.h"
#include "common/output.h"
#include "common/privs.h"
#include "daemon/ctl/adopt.h"
#include "daemon/ctl/autoconfig.h"
#include "daemon/ctl/complete.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/job.h"
#include "daemon/ctl/print.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/top.h"
#include "daemon/ctl/user.h"
#include "daemon/ctl/watch.h"

/* Arguments that may be left out as "[x]" instead of "?x?". */
static void
arguments_show(FILE *out, const char *arguments)
{
	bool open = false;

	for (; *arguments != '\0'; arguments++)
		if (*arguments == '?')
			putc((open = !open) ? '[' : ']', out);
		else
			putc(*arguments, out);
}

/* The rows of the command `word` (NULL: of all) and of its `second` word (NULL: of each); how many.
 */
static size_t
commands_show(FILE *out, const char *word, const char *second)
{
	size_t n = 0;

	for (const struct ctl_words *w = ctl_words; w->word != NULL; w++) {
		if ((word != NULL && strcmp(w->word, word) != 0) ||
		    (second != NULL && w->second != NULL && strcmp(w->second, second) != 0))
			continue;
		fprintf(out, "  %s%s%s ", w->word, w->second != NULL ? " " : "",
			w->second != NULL ? w->second : "");
		arguments_show(out, w->arguments);
		fprintf(out, "\n\t%s\n", w->help);
		n++;
	}
	return n;
}

static int
usage(FILE *out, int status)
{
	fputs("usage: pop3ctl [-V] [-s socket] [--json | --tcl] [--watch[=seconds]] command "
	      "[argument ...]\n",
	      out);
	commands_show(out, NULL, NULL);
	fputs("user: \"user -f file\" edits another file.\n"
	      "Of one command: \"help command\" or \"command --help\".\n"
	      "server: \"-\" if all have the same users and mail.\n"
	      "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 daemon not reachable;\n"
	      "of doctor: 0 ok, 1 warning, 2 critical, 3 unknown.\n",
	      out);
	return status;
}

/* "help", "help conn", "help conn kill". */
static int
help(int argc, char *argv[])
{
	char text[CTL_TEXT_SIZE];

	if (argc == 0)
		return usage(stdout, CTL_DONE);
	if (commands_show(stdout, argv[0], argc > 1 ? argv[1] : NULL) > 0)
		return CTL_DONE;
	if (ctl_choices(text, argv[0])[0] == '\0')
		(void)ctl_choices(text, NULL);
	fprintf(stderr, "pop3ctl: no such command: must be %s\n", text);
	return CTL_USAGE;
}

static int
run(const char *socket_path, enum answer_form form, int argc, char *argv[])
{
	struct answer a;
	int status = request(socket_path, (size_t)argc, argv, &a);

	if (status == CTL_DONE)
		answer_print(a.text, a.kind, form);
	else if (status != CTL_UNREACHABLE) {
		fputs("pop3ctl: ", stderr);
		text_print(stderr, a.text);
	}
	free(a.text);
	return status;
}

static int
top(const char *socket_path, enum answer_form form, int argc, char *argv[])
{
	char *summary[] = {(char *)"summary"}, *table[] = {(char *)"sessions"};
	char text[CTL_TEXT_SIZE];
	bool once = argc == 2 && strcmp(argv[1], "--once") == 0;

	if (argc > (once ? 2 : 1)) {
		fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl %s\"\n",
			ctl_synopsis(text, "top", NULL));
		return CTL_USAGE;
	}
	if (form == FORM_TEXT && !once)
		return top_run(socket_path);
	/* For a program it is the table alone. */
	if (form == FORM_TEXT) {
		int status = run(socket_path, form, 1, summary);

		if (status != CTL_DONE)
			return status;
	}
	return run(socket_path, form, 1, table);
}

/* What stands before the command, or behind it. */
struct options {
	const char *socket_path;
	enum answer_form form;
	unsigned watch; /* seconds between two answers; 0: one answer */
};

/* --watch[=SECONDS]; 0, or -1: no number of seconds. */
static int
watch_set(struct options *o, const char *seconds)
{
	char *end;
	unsigned long n = seconds != NULL ? strtoul(seconds, &end, 10) : WATCH_SECONDS;

	if (n == 0 || n > WATCH_SECONDS_MAX || (seconds != NULL && *end != '\0')) {
		fprintf(stderr, "pop3ctl: --watch=%s: not 1 to %d seconds\n", seconds,
			WATCH_SECONDS_MAX);
		return -1;
	}
	o->watch = (unsigned)n;
	return 0;
}

/* Those that people put behind the command are taken from its end.  0, or -1: a bad one. */
static int
options_behind(struct options *o, int *argc, char *argv[])
{
	static const char watch[] = "--watch";

	for (; *argc > 1; --*argc) {
		const char *last = argv[*argc - 1];
		size_t len = strlen(watch);

		if (strcmp(last, "--json") == 0)
			o->form = FORM_JSON;
		else if (strcmp(last, "--tcl") == 0)
			o->form = FORM_TCL;
		else if (strncmp(last, watch, len) != 0 || (last[len] != '\0' && last[len] != '='))
			return 0;
		else if (watch_set(o, last[len] == '=' ? last + len + 1 : NULL) == -1)
			return -1;
	}
	return 0;
}

/* The command, whose words are argv. */
static int
command(const struct options *o, int argc, char *argv[])
{
	if (strcmp(argv[0], "help") == 0)
		return help(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[argc - 1], "--help") == 0)
		return help(argc - 1, argv);
	if (o->watch > 0)
		return watch_run(o->socket_path, o->form, o->watch, argc, argv, run);
	if (strcmp(argv[0], "adopt") == 0)
		return adopt_run(o->socket_path, argc, argv);
	if (strcmp(argv[0], "autoconfig") == 0)
		return autoconfig_run(o->socket_path, argc, argv);
	if (strcmp(argv[0], "top") == 0)
		return top(o->socket_path, o->form, argc, argv);
	if (strcmp(argv[0], "user") == 0)
		return user_run(o->form, argc, argv);
	if (strcmp(argv[0], "doctor") == 0)
		return doctor_run(o->socket_path, o->form, argc, argv);
	if (job_is_one(argv[0]))
		return job_command(o->socket_path, o->form, argc, argv);
	return run(o->socket_path, o->form, argc, argv);
}

int
main(int argc, char *argv[])
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {"json", no_argument, NULL, 'j'},
					      {"tcl", no_argument, NULL, 't'},
					      {"socket", required_argument, NULL, 's'},
					      {"watch", optional_argument, NULL, 'w'},
					      {NULL, 0, NULL, 0}};
	struct options o = {RUNSTATEDIR "/pop3d/control", FORM_TEXT, 0};
	int c;

	privs_fill_standard_fds();
	output_watch("pop3ctl");
	/* "+": options of commands are theirs */
	while ((c = getopt_long(argc, argv, "+Vhs:", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout, CTL_DONE);
		if (c == '?' || (c == 'w' && watch_set(&o, optarg) == -1))
			return usage(stderr, CTL_USAGE);
		if (c == 'V') {
			puts("pop3ctl " PACKAGE_VERSION);
			return CTL_DONE;
		}
		if (c == 's')
			o.socket_path = optarg;
		else if (c != 'w')
			o.form = c == 'j' ? FORM_JSON : FORM_TCL;
	}
	argc -= optind;
	argv += optind;
	if (argc > 0 && strcmp(argv[0], "complete") == 0)
		return complete_run(o.socket_path, argc, argv);
	if (argc > 0 && options_behind(&o, &argc, argv) == -1)
		return CTL_USAGE;
	return argc > 0 ? command(&o, argc, argv) : usage(stderr, CTL_USAGE);
}
