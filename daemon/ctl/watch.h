/*
 * `--watch`: an answer again and again.
 */
#ifndef POP3D_CTL_WATCH_H
#define POP3D_CTL_WATCH_H

#include <stdbool.h>

#include "daemon/ctl/print.h"

enum { WATCH_SECONDS = 2, WATCH_SECONDS_MAX = 86400 };

/* Is the command of argc words, one at least, one that only reads, whose answer changes by itself?
 * Words behind it do not matter. */
bool watch_is_for(int argc, char *argv[]);

/*
 * Run the command of argc words by `run` each `seconds`, on a cleared terminal, or with an empty
 * line before each but the first.  Only what watch_is_for() names can be watched.  Returns the exit
 * status once the command fails, or standard output does; a daemon that went away is waited for.
 */
int watch_run(const char *socket_path, enum answer_form form, unsigned seconds, int argc,
	      char *argv[],
	      int (*run)(const char *socket_path, enum answer_form form, int argc, char *argv[]));

#endif
