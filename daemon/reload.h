/*
 * Taking up pop3d.conf again while the daemon runs.  The file is read, what is
 * new is bound, and a generation of workers is started with it; when that is
 * ready all of it is adopted, or, if one thing is wrong, nothing.  A changed
 * certificate is a generation without new settings.
 */
#ifndef POP3D_RELOAD_H
#define POP3D_RELOAD_H

#include "daemon/master.h"

/* Take up the configuration file, or say on the next occasion (control.h) why not. */
void reload_settings(struct master *m);

/* Start a generation of workers that knows the certificates of all servers. */
void reload_workers(struct master *m);

/* The new generation is ready: it serves, and what it was started for is in force from here. */
void reload_adopt(struct master *m);

/* The new generation is refused: all stays as it was. */
void reload_abandon(struct master *m, const char *why);

/* Once a second: what waits for its turn. */
void reload_tick(struct master *m);

/* Find the ids of the accounts and groups that the settings name.  0, or -1 (logged). */
int reload_find_accounts(struct master *m, const struct conf *c);

#endif
