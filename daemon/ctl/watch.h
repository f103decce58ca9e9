/*
 * `--watch`: an answer again and again.
 */
#ifndef POP3D_CTL_WATCH_H
#define POP3D_CTL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/ctl/print.h"

enum { WATCH_SECONDS = 2, WATCH_SECONDS_MAX = 86400 };

/* Is the command of argc words, one at least, one that only reads, whose answer changes by itself?
 * Words behind it do not matter. */
bool watch_is_for(int argc, char *argv[]);

/*
 * Run the command of argc words by `run` each `seconds`, and when the terminal has another size: on
 * a terminal cut to its size, elsewhere, and if TERM is "dumb" or not set, whole, with an empty
 * line before each but the first.  Only what watch_is_for() names can be watched.  Returns the exit
 * status once the command fails, or standard output does; a daemon that went away is waited for.
 */
int watch_run(const char *socket_path, enum answer_form form, unsigned seconds, int argc,
	      char *argv[],
	      int (*run)(const char *socket_path, enum answer_form form, int argc, char *argv[]));

/*
 * Write text over a terminal of that size (at least 1 and 1), whose cursor is in its first place,
 * by the sequences of ECMA-48: lines are cut at its width, a character of UTF-8 being one wide, and
 * if there are more lines than rows, the last row says how many are left out.
 */
void watch_fit(FILE *out, const char *text, size_t rows, size_t columns);

#endif
