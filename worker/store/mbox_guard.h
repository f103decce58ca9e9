/*
 * The locks of an mbox against delivery agents and mail readers, Debian Policy
 * 11.6: fcntl first, then the dot-lock "NAME.lock", both or none, and only for
 * as long as the file is read through or changed.
 *
 * The dot-lock is a hard link to an empty file ".NAME.pop3d-lock" that stays
 * beside it.  So one that a killed session left behind is known for what it is, by who
 * holds the fcntl lock, and need not grow stale.  Where the directory
 * refuses a dot-lock the fcntl lock alone serves.
 */
#ifndef POP3D_STORE_MBOX_GUARD_H
#define POP3D_STORE_MBOX_GUARD_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/store/mbox_place.h"
#include "worker/store/store.h"

enum {
	MBOX_LOCK_STALE = 300, /* seconds after which a dot-lock that nobody touches is none */
	MBOX_LOCK_TOUCH = 60
};

struct mbox_guard {
	const struct store *store; /* for the log */
	int fd;			   /* of the mbox; borrowed, as the next one */
	int dir_fd;
	bool read_only;
	char dot[NAME_MAX + 8], temp[NAME_MAX + 16];
	bool has_fcntl, has_dot;
	bool told; /* that there is no dot-lock */
	int64_t touched;
};

void mbox_guard_init(struct mbox_guard *g, const struct store *s, const struct mbox_place *p,
		     int fd, bool read_only);

/* Take both, waiting for them up to so many milliseconds.  Read-only: a shared fcntl lock, if there
 * is such a thing.  OK, IN_USE, TEMP, PERM. */
enum store_result mbox_guard_take(struct mbox_guard *g, int64_t wait_ms);

/* To be called now and then while they are held: keeps the dot-lock fresh.  `g` is a guard. */
void mbox_guard_tick(void *g);

void mbox_guard_drop(struct mbox_guard *g);

#endif
