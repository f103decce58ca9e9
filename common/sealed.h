/*
 * Shared memory of a fixed size: a memfd whose other end cannot shrink it under
 * the reader, who would die of SIGBUS.
 */
#ifndef POP3D_SEALED_H
#define POP3D_SEALED_H

#include <stddef.h>

/* A new memfd of so many octets, zeroed, sealed so that it can neither shrink nor grow: its
 * descriptor, close-on-exec, or -1 with errno (memfd_create(2), fcntl(2)). */
int sealed_make(const char *name, size_t size);

#endif
