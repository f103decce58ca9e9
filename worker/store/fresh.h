/*
 * New files in directories that the user writes to as well.
 */
#ifndef POP3D_STORE_FRESH_H
#define POP3D_STORE_FRESH_H

/*
 * Make a new, empty file, mode 0600, for the caller alone: what has that name goes
 * first, be it a file, a link or a FIFO, on which an open(2) would wait.  flags:
 * O_WRONLY or O_RDWR.  Its descriptor, or -1 with errno (EISDIR, EPERM: a directory
 * has that name).
 */
int fresh_make(int dir_fd, const char *name, int flags);

#endif
