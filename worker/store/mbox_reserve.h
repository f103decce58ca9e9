/*
 * Room that is kept for a day on which the disk is full or the quota used up: a
 * file beside the lock, given up so that a journal fits in its place.
 */
#ifndef POP3D_STORE_MBOX_RESERVE_H
#define POP3D_STORE_MBOX_RESERVE_H

#include <stdbool.h>

enum { MBOX_RESERVE = 65536 /* octets */ };

/* Make it in the directory dir_fd (-1: none), if there is none and room for it. */
void mbox_reserve_make(int dir_fd);

/* Give it up.  False: there was none. */
bool mbox_reserve_free(int dir_fd);

#endif
