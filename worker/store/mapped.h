/*
 * A file mapped for reading that others may cut short meanwhile: what is not there
 * any more reads as zeros, where the kernel would send SIGBUS.
 */
#ifndef POP3D_STORE_MAPPED_H
#define POP3D_STORE_MAPPED_H

#include <stddef.h>

struct mapped {
	const char *at; /* NULL: nothing is mapped */
	size_t len;
};

/* Map the first `len` octets, more than 0, of the file at fd.  0 or -1 with errno. */
int mapped_open(struct mapped *m, int fd, size_t len);
void mapped_close(struct mapped *m);

#endif
