/*
 * Room that is kept for a day on which the disk is full or the quota used up: a
 * file beside the lock, which becomes the journal then.
 */
#ifndef POP3D_STORE_MBOX_RESERVE_H
#define POP3D_STORE_MBOX_RESERVE_H

#include <stdbool.h>

enum { MBOX_RESERVE = 65536 /* octets */ };

/* Make it in the directory dir_fd (-1: none), if there is none and room for it. */
void mbox_reserve_make(int dir_fd);

/* Give it up: it gets the other name there.  A descriptor for reading and writing, or -1 with
 * errno.
 */
int mbox_reserve_take(int dir_fd, const char *name);

#endif
