/*
 * Paths in which others may have a hand.  A symbolic link is followed only if it
 * is root's or the user's, as whom this process runs; what is served is the user's.
 */
#ifndef POP3D_STORE_PATH_H
#define POP3D_STORE_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/* Is this symbolic link (as of lstat(2)) one that may be followed? */
bool path_may_follow(const struct stat *link);

/*
 * Follow the absolute `path` up to its last part.  The descriptor (O_PATH) of the directory that
 * the last part is in, the caller's, and the part's name: it is no symbolic link, and nothing of
 * that name need be there.  A path that ends in "/" has the last part ".".  -1 with errno: EACCES
 * for a link that may not be followed, EINVAL for a path that is not absolute, or as of open(2).
 */
int path_find(const char *path, char name[NAME_MAX + 1]);

/* Does what is open belong to the user?  0; -1 with errno, EACCES if it does not. */
int path_check_owner(int fd);

/* Open a directory, O_RDONLY or O_PATH; links as above.  Its descriptor, the caller's, or -1 with
 * errno. */
int path_open(const char *path, int flags);

/* The same for reading; the directory must be the user's, or errno is EACCES. */
int path_open_own(const char *path);

#endif
