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

#include "common/privs.h"
#include "daemon/ctl/job.h"
#include "daemon/ctl/print.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/top.h"
#include "daemon/ctl/user.h"

static const char usage_text[] =
    "usage: pop3ctl [-s socket] [--json | --tcl] command [argument ...]\n"
    "  new [name]                             make a server; prints its name\n"
    "  up name | down name                    listen, or stop listening\n"
    "  destroy name [kill | defer] [--wait]   end a server at once, or after its last session\n"
    "  configure name [-option [value ...]]   show or set -port -auth -storage -socket\n"
    "  cget name -option                      show one option, -state included\n"
    "  conn list name                         ids of its connections, oldest first\n"
    "  conn state name id                     what a connection is doing\n"
    "  conn kill name id                      end it; nothing is deleted\n"
    "  list                                   all servers\n"
    "  history server user [--since time]     what was deleted from a mailbox, and from where\n"
    "  status                                 the daemon and its processes\n"
    "  box verb server user ...               one mailbox, by a session as its owner:\n"
    "    add | exists | locked | list         (server: - if all have the same users and mail)\n"
    "    move newname | remove [--force]\n"
    "  uidl import --from source [--force] server user\n"
    "                                         take over another server's unique-ids\n"
    "  uidl verify server user [file]         what would be fetched again?\n"
    "  top [--once]                           live table of connections; q quits\n"
    "  reload                                 take up configuration and certificates\n"
    "  user [-f file] verb ...                the user file, without the daemon:\n"
    "    add [--plain | --apop] name uid gid home [mailbox]\n"
    "                                         password from standard input or the terminal\n"
    "    remove name | rename name newname\n"
    "    lookup name | exists name | who\n"
    "    save [file] | read file              copy it, or replace it by another\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 daemon not reachable.\n";

/* What the daemon's answer to a command looks like; others say nothing or one value. */
static const struct {
	const char *word, *second;
	int argc; /* words in all; 0: any number */
	enum answer_kind kind;
} kinds[] = {
    {"configure", NULL, 2, ANSWER_PAIRS}, {"conn", "list", 0, ANSWER_LIST},
    {"conn", "state", 0, ANSWER_PAIRS},	  {"list", NULL, 0, ANSWER_TABLE},
    {"sessions", NULL, 0, ANSWER_TABLE},  {"status", NULL, 0, ANSWER_PAIRS},
    {"summary", NULL, 0, ANSWER_VALUE},
};

static enum answer_kind
kind_of(int argc, char *argv[])
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].word, argv[0]) == 0 &&
		    (kinds[i].second == NULL ||
		     (argc > 1 && strcmp(kinds[i].second, argv[1]) == 0)) &&
		    (kinds[i].argc == 0 || kinds[i].argc == argc))
			return kinds[i].kind;
	return ANSWER_VALUE;
}

static int
run(const char *socket_path, enum answer_form form, int argc, char *argv[])
{
	struct answer a;
	int status = request(socket_path, (size_t)argc, argv, &a);

	if (status == CTL_DONE) {
		if (a.len > 0 || kind_of(argc, argv) != ANSWER_VALUE)
			answer_print(a.text, kind_of(argc, argv), form);
	} else if (status != CTL_UNREACHABLE)
		fprintf(stderr, "pop3ctl: %s", a.text);
	free(a.text);
	return status;
}

static int
top(const char *socket_path, enum answer_form form, int argc, char *argv[])
{
	char *table[] = {(char *)"sessions"};
	bool once = argc == 2 && strcmp(argv[1], "--once") == 0;

	if (argc > (once ? 2 : 1)) {
		fputs("pop3ctl: wrong # args: should be \"pop3ctl top ?--once?\"\n", stderr);
		return CTL_USAGE;
	}
	/* For a program it is the table alone. */
	return form != FORM_TEXT ? run(socket_path, form, 1, table) : top_run(socket_path, once);
}

int
main(int argc, char *argv[])
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
					      {"json", no_argument, NULL, 'j'},
					      {"tcl", no_argument, NULL, 't'},
					      {"socket", required_argument, NULL, 's'},
					      {NULL, 0, NULL, 0}};
	const char *socket_path = RUNSTATEDIR "/pop3d/control";
	enum answer_form form = FORM_TEXT;
	int c;

	privs_fill_standard_fds();
	/* "+": options of commands are theirs */
	while ((c = getopt_long(argc, argv, "+hs:", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage_text, stdout);
			return CTL_DONE;
		}
		if (c == '?') {
			fputs(usage_text, stderr);
			return CTL_USAGE;
		}
		if (c == 's')
			socket_path = optarg;
		else
			form = c == 'j' ? FORM_JSON : FORM_TCL;
	}
	argc -= optind;
	argv += optind;
	/* Also where people put them: behind the command. */
	if (argc > 0 && strcmp(argv[argc - 1], "--json") == 0)
		form = FORM_JSON, argc--;
	else if (argc > 0 && strcmp(argv[argc - 1], "--tcl") == 0)
		form = FORM_TCL, argc--;
	if (argc == 0) {
		fputs(usage_text, stderr);
		return CTL_USAGE;
	}
	if (strcmp(argv[0], "top") == 0)
		return top(socket_path, form, argc, argv);
	if (strcmp(argv[0], "user") == 0)
		return user_run(form, argc, argv);
	if (job_is_one(argv[0]))
		return job_command(socket_path, form, argc, argv);
	return run(socket_path, form, argc, argv);
}
