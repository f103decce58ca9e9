/*
 * The regular files of a directory.
 */
#ifndef POP3D_STORE_SCAN_H
#define POP3D_STORE_SCAN_H

/*
 * Read the directory open at fd from where it stands to its end, and call each()
 * with the name of every regular file, in no order; one that returns -1 ends
 * it.  0, or -1 with errno.
 */
int scan_files(int fd, int (*each)(void *arg, const char *name), void *arg);

#endif
