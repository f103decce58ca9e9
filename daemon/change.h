/*
 * Changes of what the daemon serves with: the start, a configuration that is
 * read anew, a renewed certificate, a server that comes up with another one.
 * They are of one kind.  What is new is bound, a generation of workers is
 * started with it, and when that is ready all of it is adopted; if one thing is
 * wrong, or it takes too long, all stays as it was (at the start: it ends).
 * One is under way at a time; what is asked for meanwhile is done after it
 * (DESIGN 5.3).
 */
#ifndef POP3D_CHANGE_H
#define POP3D_CHANGE_H

#include "daemon/base.h"

struct change *change_new(void); /* NULL: no memory */
/* With the settings that were not adopted yet; NULL: nothing. */
void change_free(struct change *c);

/* Ask for the configuration file to be taken up; settling begins it when it may.  The number of the
 * change that does it. */
uint64_t change_settings(struct master *m);

/* The number of the change under way, or of the last one. */
uint64_t change_number(const struct master *m);

/* Ask for a generation of workers that knows the certificates of all servers. */
void change_workers(struct master *m);

/* Make the servers of these settings, bind their ports.  0, or -1 (logged). */
int change_prepare(struct master *m, const struct conf *c);

/* Let those serve that went up and whose certificates the workers have. */
void change_serve(struct master *m);

/* The first one: start with m->conf, whose servers are prepared. */
void change_start(struct master *m);

/* Begin, adopt or abandon. */
void change_settle(struct master *m);

/* Was the start abandoned? */
bool change_has_failed(const struct master *m);

/* Is one under way?  Is one under way or waiting? */
bool change_is_under_way(const struct master *m);
bool change_is_pending(const struct master *m);

/* Find the ids of the accounts and groups that the settings name.  0, or -1 (logged). */
int change_find_accounts(struct master *m, const struct conf *c);

#endif
