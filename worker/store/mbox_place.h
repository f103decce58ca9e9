/*
 * Where an mbox is: its directory and name, and the directory that holds what
 * pop3d keeps beside it (session lock, journal).
 *
 * The latter is ".pop3d" in the mbox's own directory or, where the user may not
 * write there (as in Debian's /var/mail), in his home.  It is the user's own, and
 * nobody else writes there.  Names in it go by the mbox's inode, which
 * never changes here, so that all names of a mailbox share them.
 */
#ifndef POP3D_STORE_MBOX_PLACE_H
#define POP3D_STORE_MBOX_PLACE_H

#include <limits.h>
#include <stdbool.h>

struct mbox_place {
	int dir_fd;		 /* of the directory that holds the mbox (O_PATH), -1: none */
	char name[NAME_MAX + 1]; /* in it; no symbolic link */
	bool writable;		 /* files can be made in that directory */
};

/* Find out where `path` is, as path_find() does.  A file of that name need not be there.  The
 * descriptor is the caller's.  0 or -1 with errno. */
int mbox_place_find(struct mbox_place *p, const char *path);

/* Open the directory for lock and journal, made if need be; `home` may be NULL or "".  Its
 * descriptor, the caller's, or -1 with errno. */
int mbox_place_state(const struct mbox_place *p, const char *home);

/* Open the user's directory in `dir` for journals that have no room beside the lock, named by his
 * uid and made if need be.  As above; EACCES, ENOTDIR and ELOOP: somebody else has taken the name,
 * ENOENT: there is no `dir`. */
int mbox_place_spare(const char *dir);

#endif
