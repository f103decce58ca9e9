#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/ctl_words.h"

static const struct ctl_job job_nothing = {ANSWER_NOTHING, false, CTL_NO_INPUT, false},
			    job_truth = {ANSWER_TRUTH, false, CTL_NO_INPUT, false},
			    job_list = {ANSWER_LIST, false, CTL_NO_INPUT, false},
			    job_table = {ANSWER_TABLE, false, CTL_NO_INPUT, false},
			    job_move = {ANSWER_NOTHING, true, CTL_NO_INPUT, false},
			    job_import = {ANSWER_LIST, false, CTL_NO_INPUT, true},
			    job_verify = {ANSWER_LIST, false, 0, true};

/* clang-format off */

/* In the order in which the usage shows them. */
const struct ctl_words ctl_words[] = {
	{"new", NULL, "?name?", "make a server; prints its name", NULL},
	{"up", NULL, "name", "listen", NULL},
	{"down", NULL, "name", "stop listening", NULL},
	{"destroy", NULL, "name ?kill|defer? ?--wait?",
	    "end a server at once, or after its last session", NULL},
	{"configure", NULL, "name ?-option? ?value -option value ...?",
	    "show or set -port -auth -storage -socket", NULL},
	{"cget", NULL, "name -option", "show one option, -state included", NULL},
	{"conn", "list", "name", "ids of its connections, oldest first", NULL},
	{"conn", "state", "name connId", "what a connection is doing", NULL},
	{"conn", "kill", "name connId", "end it; nothing is deleted", NULL},
	{"who", NULL, "", "who is logged in, on which server, from where", NULL},
	{"kick", NULL, "user", "end all sessions of a user; nothing is deleted; prints how many", NULL},
	{"last", NULL, "?--since time? ?user?",
	    "the last login of a user, or of each, and what the client did", NULL},
	{"sessions", NULL, "", "all connections: what each does, has sent and waits for", NULL},
	{"list", NULL, "", "all servers", NULL},
	{"status", NULL, "", "the daemon and its processes", NULL},
	{"log", "errors", "?count?", "the last errors and warnings of all processes, 20 by default",
	    NULL},
	{"metrics", NULL, "", "counts and times, as Prometheus reads them", NULL},
	{"doctor", NULL, "?--conf file? ?server user?",
	    "what is wrong with the host, or with a user's mailbox, and what to do", NULL},
	{"top", NULL, "?--once?", "live screen of connections; ? for help, q quits", NULL},
	{"reload", NULL, "", "take up configuration and certificates", NULL},
	{"history", NULL, "server user ?--since time?",
	    "what was deleted from a mailbox, and from where", &job_table},
	{"box", "add", "server user", "make a mailbox, by a session as its owner (server: -"
	    " if all have the same users and mail)", &job_nothing},
	{"box", "exists", "server user", "1 or 0", &job_truth},
	{"box", "locked", "server user", "1 if somebody has it open, or 0", &job_truth},
	{"box", "list", "server user", "names of directories beside the mailbox", &job_list},
	{"box", "move", "server user newName", "move it to where another user's would be",
	    &job_move},
	{"box", "remove", "server user ?--force?", "remove it; with --force with its messages",
	    &job_nothing},
	{"uidl", "import", "--from source ?--force? server user",
	    "take over another server's unique-ids", &job_import},
	{"uidl", "verify", "server user ?file?", "what would be fetched again?", &job_verify},
	{"adopt", "courier", "?--config folder? ?-o file? ?--force?",
	    "a pop3d.conf that does what Courier does", NULL},
	{"adopt", "dovecot", "?--config file? ?-o file? ?--force?",
	    "a pop3d.conf that does what Dovecot does, of what doveconf says", NULL},
	{"adopt", "uids", "courier|dovecot ?--jobs n? ?--config folder? ?--force? server ?user ...?",
	    "take over the unique-ids of all users, and compare", NULL},
	{"autoconfig", NULL, "?--dns|--xml? ?--conf file? ?--domain domain? ?server?",
	    "DNS records and a file by which mail programs find the servers", NULL},
	{"user", "add", "?--plain|--apop? name uid gid home ?mailbox?",
	    "password from standard input or the terminal", NULL},
	{"user", "remove", "name", "from the user file, without the daemon", NULL},
	{"user", "rename", "name newName", "keeps the password", NULL},
	{"user", "lookup", "name", "show an account", NULL},
	{"user", "exists", "name", "1 or 0", NULL},
	{"user", "who", "", "all names", NULL},
	{"user", "save", "?file?", "copy the user file", NULL},
	{"user", "read", "file", "replace it by another", NULL},
	{NULL, NULL, NULL, NULL, NULL}
};

/* clang-format on */

const struct ctl_words *
ctl_find(const char *word, const char *second)
{
	const struct ctl_words *w = ctl_words;

	for (; w->word != NULL; w++)
		if (strcmp(w->word, word) == 0 &&
		    (w->second == NULL || (second != NULL && strcmp(w->second, second) == 0)))
			return w;
	return NULL;
}

const char *
ctl_synopsis(char dst[CTL_TEXT_SIZE], const char *word, const char *second)
{
	const struct ctl_words *w = ctl_find(word, second);
	const char *arguments = w != NULL ? w->arguments : "";

	(void)snprintf(dst, CTL_TEXT_SIZE, "%s%s%s%s%s", word, second != NULL ? " " : "",
		       second != NULL ? second : "", arguments[0] != '\0' ? " " : "", arguments);
	return dst;
}

/* The next word behind `last` in the order of letters; NULL: none. */
static const char *
choice_next(const char *word, const char *last)
{
	const char *next = NULL;

	for (const struct ctl_words *w = ctl_words; w->word != NULL; w++) {
		bool fits = word == NULL || strcmp(w->word, word) == 0;
		const char *choice = word == NULL ? w->word : w->second;

		if (fits && choice != NULL && strcmp(choice, last) > 0 &&
		    (next == NULL || strcmp(choice, next) < 0))
			next = choice;
	}
	return next;
}

const char *
ctl_choices(char dst[CTL_TEXT_SIZE], const char *word)
{
	const char *choice = choice_next(word, ""), *next;
	size_t n = 0;

	dst[0] = '\0';
	for (; choice != NULL; choice = next) {
		next = choice_next(word, choice);
		(void)snprintf(dst + n, CTL_TEXT_SIZE - n, "%s%s%s", n == 0 ? "" : ", ",
			       n > 0 && next == NULL ? "or " : "", choice);
		n = strlen(dst);
	}
	return dst;
}
