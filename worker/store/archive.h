/*
 * An archive that one user fetches, and that is never written (pop3d --serve).
 */
#ifndef POP3D_STORE_ARCHIVE_H
#define POP3D_STORE_ARCHIVE_H

#include <stdint.h>

#include "common/archive.h"

/*
 * Read every message of the archive open at `in` (a directory, or an mbox file)
 * and write its table to `out`.  What cannot be read is told on standard error
 * and left out.  0, or -1 with errno.
 */
int archive_scan(int in, enum archive_kind kind, uint32_t options, int out);

/* Open the archive, or a message's file below the directory `in`, without a trace of that in its access time where
 * that can be had.  A descriptor, or -1 with errno. */
int archive_open_file(int in, const char *name);

#endif
