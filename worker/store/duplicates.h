/*
 * Numbers of messages that are octet for octet the same, kept when one of them
 * is removed: the others' unique-ids must not change by it.
 *
 * A file says so, where they would not be counted 1, 2, 3 … any more: a line
 * "DIGEST PLACE NUMBER" each.  Without it, they are.
 */
#ifndef POP3D_STORE_DUPLICATES_H
#define POP3D_STORE_DUPLICATES_H

#include "worker/store/digest.h"

/* Number the messages as digest_number() does; `name` in the directory dir_fd (-1: none) is the
 * file.  The numbers, to be freed by free(3); NULL with errno. */
uint32_t *duplicates_number(int dir_fd, const char *name, const struct digests *d);

/* Write the file anew for the messages that are not marked, or remove it.  0 or -1 with errno,
 * ENOSPC where there is no directory (-1) for one that is needed. */
int duplicates_keep(int dir_fd, const char *name, const struct digests *d, const uint32_t *numbers,
		    const uint64_t *marked);

#endif
