/*
 * Reading and writing at an offset, whole or not at all.
 */
#ifndef POP3D_STORE_WHOLE_H
#define POP3D_STORE_WHOLE_H

#include <stddef.h>
#include <stdint.h>

/* Read exactly so much, as pread(2).  0 or -1 with errno, EIO if there is less. */
int read_whole(int fd, void *buf, size_t len, uint64_t at);

/* Write all of it, as pwrite(2).  0 or -1 with errno; perhaps some is written then. */
int write_whole(int fd, const void *buf, size_t len, uint64_t at);

#endif
