/*
 * Master as a whole: start, signals, the end.
 */
#ifndef POP3D_MASTER_H
#define POP3D_MASTER_H

#include "daemon/base.h"

struct master_options {
	const char *conf_path; /* NULL: there is no file, and no reload */
	int64_t conf_read;     /* the time of time(2) before it was read */
};

/* Run until stopped.  `conf` is taken over.  Returns the exit status. */
int master_run(const struct master_options *options, struct conf *conf);

/* Make the parts of `m`, which has its base and its settings; all of them rest.  0, or -1: no
 * memory. */
int master_make_parts(struct master *m);

/* Free what master_make_parts() made, or a part of it: when the parts have stopped, before the base
 * is freed. */
void master_free_parts(struct master *m);

#endif
