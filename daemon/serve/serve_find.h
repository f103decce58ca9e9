/*
 * What lies at the path that pop3d --serve was given: by the names that are there.
 */
#ifndef POP3D_SERVE_FIND_H
#define POP3D_SERVE_FIND_H

#include "common/archive.h"

enum { SERVE_BELOW_SIZE = 1024 };

struct serve_found {
	enum archive_kind kind;
	const char *inside; /* the file in the directory that is to be served instead; NULL: none */
	const char *why;    /* another program's store, which is not read: how to get at its mail;
			     * NULL: it is read */
};

/* What is open at `in`; `path` is its name.  A directory that cannot be listed is a plain one. */
struct serve_found serve_find(int in, const char *path);

/*
 * The folders below the directory `path`, down to three levels, that hold mail
 * which is not served with it: "Sent (Maildir, 2 messages), old (directory,
 * 1 file), and 3 more".  Without any, and where it is no directory: "".
 */
void serve_find_below(const char *path, char out[SERVE_BELOW_SIZE]);

#endif
