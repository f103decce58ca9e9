/*
 * Reading an mbox as it is on the server, and not as this host remembers it.
 */
#ifndef POP3D_STORE_MBOX_ANEW_H
#define POP3D_STORE_MBOX_ANEW_H

#include <stdbool.h>

/* Is the file on a file system that other hosts may write to, fstatfs(2)?  One that cannot be asked
 * counts as shared. */
bool mbox_is_shared(int fd);

/*
 * Let the next fstat(2) and pread(2) of fd, borrowed, ask the server.  The caller
 * holds the fcntl lock, so that what it then reads stays true.  The octets and the
 * size of the file stay; its mtime may become the present.  0; -1 with errno.
 */
int mbox_read_anew(int fd);

#endif
