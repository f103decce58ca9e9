/*
 * Runs as:  whoever asks for a completion.
 * Sees:     the names of accounts, and what the daemon tells its caller.
 * May never: change anything.
 */
#include "config.h"

#include "daemon/ctl/complete.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "common/ctl_words.h"
#include "daemon/auth/userfile.h"
#include "daemon/ctl/request.h"
#include "daemon/ctl/watch.h"

/* A command line as far as it has been typed. */
struct line {
	const char *socket_path;
	const char *user_file;
	char **words; /* of the command, before the one under the cursor */
	size_t n;
	const char *current; /* the one under the cursor */
	bool file;	     /* is the name of a file */
};

static void
offer(const struct line *l, const char *word, size_t len)
{
	size_t typed = strlen(l->current);

	if (len > 0 && len >= typed && strncmp(word, l->current, typed) == 0)
		printf("%.*s\n", (int)len, word);
}

/* Of a list with one of `between` after each word. */
static void
offer_words(const struct line *l, const char *words, const char *between)
{
	for (size_t len; *words != '\0'; words += len + (words[len] != '\0')) {
		len = strcspn(words, between);
		offer(l, words, len);
	}
}

/* ---- what the daemon and the user file know ---- */

/* Its answer to the words, malloc'ed; NULL: none. */
static char *
ask(const struct line *l, size_t n, const char *const words[])
{
	struct answer a;

	if (request(l->socket_path, n, (char *const *)words, &a) == CTL_DONE)
		return a.text;
	free(a.text);
	return NULL;
}

/* The first column of that command's table, without its head. */
static void
offer_first_column(struct line *l, const char *command)
{
	char *text = ask(l, 1, &command), *rest = text, *row;

	strsep(&rest, "\n");
	while ((row = strsep(&rest, "\n")) != NULL)
		offer(l, row, strcspn(row, "\t"));
	free(text);
}

static void
offer_servers(struct line *l)
{
	offer_first_column(l, "list");
}

static void
offer_logged_in(struct line *l)
{
	offer_first_column(l, "who");
}

static void
offer_remembered(struct line *l)
{
	offer_first_column(l, "last");
}

static void
offer_connections(struct line *l)
{
	const char *const words[] = {"conn", "list", l->words[l->n - 1]};
	char *text = ask(l, COUNT_OF(words), words);

	if (text != NULL)
		offer_words(l, text, "\n");
	free(text);
}

static void
offer_accounts(struct line *l)
{
	struct userfile u = {0};
	char why[256], *text;
	size_t len;

	if (userfile_read(l->user_file, &text, &len, why, sizeof(why)) == 0)
		(void)userfile_parse(&u, text, len, true, NULL, NULL);
	for (size_t i = 0; i < u.n; i++)
		offer(l, u.entries[i].name, strlen(u.entries[i].name));
	userfile_free(&u);
}

/* Who can log in on the server before it: users of its user file, else accounts of the host. */
static void
offer_users(struct line *l)
{
	static const char file[] = "file:";
	const char *const words[] = {"cget", l->words[l->n - 1], "-auth"};
	char *auth = ask(l, COUNT_OF(words), words);
	const struct passwd *account;

	if (auth != NULL && strncmp(auth, file, strlen(file)) == 0) {
		auth[strcspn(auth, "\n")] = '\0';
		l->user_file = auth + strlen(file);
		offer_accounts(l);
	} else {
		while ((account = getpwent()) != NULL)
			offer(l, account->pw_name, strlen(account->pw_name));
		endpwent();
	}
	free(auth);
}

static void
offer_file(struct line *l)
{
	l->file = true;
}

/* The value of an option. */
static void
offer_value(struct line *l)
{
	if (strcmp(l->words[l->n - 1], "-socket") == 0)
		offer_words(l, "plain plain+stls tls", " ");
}

/* ---- arguments ---- */

/* What may stand for an argument, by its name in the table of commands. */
static const struct argument {
	const char *command; /* NULL: any other */
	const char *name;
	const char *words;
	void (*offer)(struct line *l); /* NULL: the words */
} arguments[] = {
    {"new", "name", "", NULL},
    {"user", "name", NULL, offer_accounts},
    {"kick", "user", NULL, offer_logged_in},
    {"last", "user", NULL, offer_remembered},
    {NULL, "name", NULL, offer_servers},
    {NULL, "server", NULL, offer_servers},
    {NULL, "user", NULL, offer_users},
    {NULL, "connId", NULL, offer_connections},
    {NULL, "source", "basename courier dovecot md5", NULL},
    {NULL, "-option", "-port -auth -storage -socket -state", NULL},
    {NULL, "value", NULL, offer_value},
    {NULL, "file", NULL, offer_file},
    {NULL, "folder", NULL, offer_file},
    {NULL, "home", NULL, offer_file},
    {NULL, "mailbox", NULL, offer_file},
};

/* An argument is `len` octets of the command's synopsis, without a "?" at its ends. */
static size_t
argument_here(const char *synopsis, const char **name)
{
	*name = synopsis + (synopsis[0] == '?');
	return strcspn(*name, "? ");
}

/* Is it written as it stands there, as "--wait", "-o" and "kill|defer" are? */
static bool
argument_is_literal(const char *name, size_t len)
{
	static const char any[] = "-option";

	if (len == strlen(any) && strncmp(name, any, len) == 0)
		return false;
	return name[0] == '-' || memchr(name, '|', len) != NULL;
}

static bool
literal_has(const char *name, size_t len, const char *word)
{
	const char *found = word[0] != '\0' ? memmem(name, len, word, strlen(word)) : NULL;
	const char *end = found != NULL ? found + strlen(word) : NULL;

	return found != NULL && (found == name || found[-1] == '|') &&
	       (end == name + len || *end == '|');
}

/* Behind the argument, or behind all of a group of them that is left out. */
static const char *
argument_next(const char *synopsis, bool group)
{
	const char *name, *end = synopsis + 1;

	if (group)
		end += strcspn(end, "?") + 1;
	else {
		size_t len = argument_here(synopsis, &name);

		end = name + len + (name[len] == '?');
	}
	return end + (*end == ' ');
}

/* Does an option begin here that may be left out, as "?--force?" and "?--conf file?" may? */
static bool
option_is_here(const char *synopsis)
{
	const char *name;
	size_t len = argument_here(synopsis, &name);

	return synopsis[0] == '?' && name[0] == '-' && argument_is_literal(name, len);
}

/* Options beside each other stand in any order: what is behind that word in the one from here on
 * that has it; NULL: none has. */
static const char *
option_find(const char *synopsis, const char *word)
{
	const char *name;

	for (; option_is_here(synopsis); synopsis = argument_next(synopsis, true)) {
		size_t len = argument_here(synopsis, &name);

		if (literal_has(name, len, word))
			return name + len;
	}
	return NULL;
}

/* Behind the argument that `word` is, and those before it that are left out. */
static const char *
argument_pass(const char *synopsis, const char *at, const char *word)
{
	const char *name;
	size_t len = argument_here(at, &name);

	while (*at == '?' && argument_is_literal(name, len) && !literal_has(name, len, word)) {
		at = argument_next(at, true);
		len = argument_here(at, &name);
	}
	at = argument_next(at, false);
	return strncmp(at, "...", 3) == 0 ? strchr(synopsis, '-') : at; /* "-option value" again */
}

/* Where in the synopsis the argument under the cursor is. */
static const char *
argument_reached(const char *synopsis, const struct line *l, size_t from)
{
	const char *at = synopsis;

	for (; from < l->n && *at != '\0'; from++) {
		const char *behind = option_find(at, l->words[from]);

		if (behind == NULL)
			at = argument_pass(synopsis, at, l->words[from]);
		else if (*behind == ' ' && ++from == l->n)
			return behind + 1;
	}
	return at;
}

/* May the command end here? */
static bool
rest_is_optional(const char *synopsis)
{
	while (*synopsis == '?')
		synopsis = argument_next(synopsis, true);
	return *synopsis == '\0';
}

/* Is that option, or one that it excludes, on the line? */
static bool
option_is_given(const struct line *l, const char *name, size_t len)
{
	for (size_t i = 1; i < l->n && name[0] == '-'; i++)
		if (literal_has(name, len, l->words[i]))
			return true;
	return false;
}

static void
offer_argument(struct line *l, const char *name, size_t len)
{
	if (option_is_given(l, name, len))
		return;
	if (argument_is_literal(name, len)) {
		char words[CTL_TEXT_SIZE];

		snprintf(words, sizeof(words), "%.*s", (int)len, name);
		offer_words(l, words, "|");
		return;
	}
	for (size_t i = 0; i < COUNT_OF(arguments); i++) {
		const struct argument *a = &arguments[i];

		if (strlen(a->name) != len || strncmp(a->name, name, len) != 0 ||
		    (a->command != NULL && strcmp(a->command, l->words[0]) != 0))
			continue;
		if (a->offer != NULL)
			a->offer(l);
		else
			offer_words(l, a->words, " ");
		return;
	}
}

/* pop3ctl's own options, which may stand behind a whole command; --help behind part of one. */
static void
offer_options_behind(struct line *l, bool whole)
{
	bool has_forms =
	    strcmp(l->words[0], "adopt") != 0 && strcmp(l->words[0], "autoconfig") != 0;

	if (l->current[0] != '-' || l->file)
		return;
	offer_words(l, "--help", " ");
	if (!whole)
		return;
	if (has_forms && !option_is_given(l, "--json|--tcl", strlen("--json|--tcl")))
		offer_words(l, "--json --tcl", " ");
	if (watch_is_for((int)l->n, l->words) && !option_is_given(l, "--watch", strlen("--watch")))
		offer_words(l, "--watch", " ");
}

/* What may be left out is offered with what comes behind it. */
static void
offer_arguments(struct line *l, const struct ctl_words *w)
{
	const char *at = argument_reached(w->arguments, l, w->second != NULL ? 2 : 1), *name;
	bool more, whole = rest_is_optional(at);

	do {
		size_t len = argument_here(at, &name);

		offer_argument(l, name, len);
		more = *at == '?' && argument_is_literal(name, len);
		if (more)
			at = argument_next(at, true);
	} while (more);
	offer_options_behind(l, whole);
}

/* ---- commands ---- */

/* The words that may follow `word`, or all first words (NULL). */
static void
offer_commands(const struct line *l, const char *word)
{
	const char *last = "";

	for (const struct ctl_words *w = ctl_words; w->word != NULL; w++) {
		const char *choice = word == NULL ? w->word : w->second;

		if ((word != NULL && strcmp(w->word, word) != 0) || choice == NULL ||
		    strcmp(choice, last) == 0)
			continue;
		offer(l, choice, strlen(choice));
		last = choice;
	}
}

/* "user -f file": the option stands between the two words of the command. */
static void
user_file_take(struct line *l)
{
	bool given = l->n > 1 && strcmp(l->words[1], "-f") == 0;

	if (l->n == 1)
		offer_words(l, "-f", " ");
	if (given && l->n == 2)
		l->file = true;
	if (!given || l->n == 2)
		return;
	l->user_file = l->words[2];
	l->words[2] = l->words[0];
	l->words += 2;
	l->n -= 2;
}

static void
offer_in_command(struct line *l)
{
	const struct ctl_words *w;

	if (strcmp(l->words[0], "user") == 0)
		user_file_take(l);
	if (l->file)
		return;
	w = ctl_find(l->words[0], l->n > 1 ? l->words[1] : NULL);
	if (w != NULL)
		offer_arguments(l, w);
	else if (l->n == 1)
		offer_commands(l, l->words[0]);
}

static const char socket_is[] = "--socket=";

/* The socket that the option in front names; `*n`, 1, becomes the number of its words. */
static void
socket_take(struct line *l, size_t *n)
{
	const char *word = l->words[0];

	if (strcmp(word, "-s") == 0 || strcmp(word, "--socket") == 0) {
		l->file = l->n == 1;
		*n += l->n > 1;
		l->socket_path = l->words[*n - 1];
	} else if (strncmp(word, socket_is, strlen(socket_is)) == 0)
		l->socket_path = word + strlen(socket_is);
	else if (strncmp(word, "-s", 2) == 0)
		l->socket_path = word + 2;
}

/* Take pop3ctl's own options from the front of the line. */
static void
options_take(struct line *l)
{
	while (l->n > 0 && l->words[0][0] == '-') {
		size_t n = 1;

		socket_take(l, &n);
		l->words += n;
		l->n -= n;
	}
	if (l->n == 0 && strncmp(l->current, socket_is, strlen(socket_is)) == 0)
		l->file = true;
}

int
complete_run(const char *socket_path, int argc, char *argv[])
{
	static char none[] = "";
	struct line l = {socket_path,
			 SYSCONFDIR "/pop3d/users",
			 argv + 1,
			 argc > 1 ? (size_t)argc - 2 : 0,
			 argc > 1 ? argv[argc - 1] : none,
			 false};

	options_take(&l);
	if (l.n > 0 && strcmp(l.words[0], "help") == 0) {
		if (l.n < 3)
			offer_commands(&l, l.n == 2 ? l.words[1] : NULL);
	} else if (l.n > 0)
		offer_in_command(&l);
	else if (!l.file && l.current[0] == '-')
		offer_words(&l, "-s --socket --json --tcl --watch --help --version", " ");
	else if (!l.file) {
		offer_commands(&l, NULL);
		offer_words(&l, "help", " ");
	}
	return l.file ? COMPLETE_FILE : CTL_DONE;
}
