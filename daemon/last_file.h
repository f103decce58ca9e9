/*
 * The file last-logins: a first line with its form and version, a line for each user, the newest
 * login first, and a last line with their number.  Fields are separated by tabs; octets of a text
 * that are no visible ASCII are written as %XX, numbers that are unknown as "-".  It is replaced as
 * a whole: written beside, synced, renamed.
 */
#ifndef POP3D_LAST_FILE_H
#define POP3D_LAST_FILE_H

#include <stddef.h>

#include "daemon/last.h"

enum last_read {
	LAST_READ_DONE,
	LAST_READ_NONE,	    /* there is no file */
	LAST_READ_REFUSED,  /* it is not ours, or damaged; `why` says how */
	LAST_READ_UNUSABLE, /* it cannot be read; `why` says how */
};

/* Read it: take() gets each user in the order of the file, and copies it.  What was taken before a
 * fault was found counts for nothing: the caller throws it away. */
enum last_read last_file_read(const char *path, void (*take)(const struct last *l), char *why,
			      size_t cap);

/* Write all users (last_next()) and their number `n` into a new file of mode 0600 at `path_new`,
 * wait for the disk, and let it take the place of the file `path`.  0 or an errno: then there is no
 * new one. */
int last_file_write(const char *path_new, const char *path, size_t n);

#endif
