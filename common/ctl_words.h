/*
 * The commands of pop3ctl(8): words, arguments and one line of help each.  Usage, the words that
 * an error names, and completion come from this list; who runs a command (daemon/control,
 * worker/session, daemon/ctl) has a table of its own of what it does.
 */
#ifndef POP3D_CTL_WORDS_H
#define POP3D_CTL_WORDS_H

#include <stdbool.h>

#include "common/answer.h"

enum { CTL_NO_INPUT = -1 };

/* A command that a session does as the mailbox's owner (common/job.h). */
struct ctl_job {
	enum answer_kind answer;
	bool
	    other; /* the argument behind the user is another user's name, whose mailbox it makes */
	/* Which argument behind the user names the file that the job reads ("-" or none: standard
	 * input); or CTL_NO_INPUT. */
	int input;
	bool anyway; /* its answer is printed if it fails, too */
};

struct ctl_words {
	const char *word, *second; /* second: NULL: it has none */
	const char *arguments;	   /* "?x?" may be left out */
	const char *help;
	const struct ctl_job *job; /* NULL: it is none */
};

extern const struct ctl_words ctl_words[]; /* end: no word */

/* The row of a command; `second` (may be NULL) counts where the row has one.  NULL: none. */
const struct ctl_words *ctl_find(const char *word, const char *second);

enum { CTL_TEXT_SIZE = 256 };

/* "conn kill name connId": a command's words and arguments, for an error.  Returns dst. */
const char *ctl_synopsis(char dst[CTL_TEXT_SIZE], const char *word, const char *second);

/* "kill, list, or state": the words that may follow `word`, or all first words (NULL), in the order
 * of letters.  Returns dst. */
const char *ctl_choices(char dst[CTL_TEXT_SIZE], const char *word);

#endif
