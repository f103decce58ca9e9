/*
 * The runtime directory: the workers' empty root, the pid file; and the state directory.
 */
#ifndef POP3D_RUNTIME_H
#define POP3D_RUNTIME_H

#include "daemon/conf/conf.h"

/*
 * Make what is missing of conf->runtime_dir and take its pid file, which stays
 * locked until this process ends: a second master there would fight for the
 * ports.  Rootless: nothing is needed, and only the directory made if that is possible.
 * 0, or -1 (logged).
 */
int runtime_take(const struct conf *conf, bool rootless);

/* Make conf->state_dir, for what is kept over restarts, if it is missing; a warning if it cannot be
 * had, unless rootless. */
void runtime_state(const struct conf *conf, bool rootless);

/* Are these directories, if they are there, as they must be?  0, or -1: pop3d does not start
 * (logged). */
int runtime_look(const struct conf *conf);

/* Does another master run with this runtime_dir? */
bool runtime_is_taken(const struct conf *conf);

/* Remove the pid file, if it was taken. */
void runtime_release(void);

#endif
