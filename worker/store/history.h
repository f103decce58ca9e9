/*
 * The history of a mailbox: what was deleted from it, when and from where, in a
 * text file of its owner's, so that it can be told which device it was.
 *
 * One event a line: the time in UTC, a word, key=value words with values as in
 * the log (log_quote).  An UPDATE is a run of lines that nobody else writes in
 * between, since the mailbox is locked:
 *
 *	2026-01-31T23:59:59Z deleting uid=a octets=120 retrieved=never delivered=no conn=...
 *peer=... ... 2026-01-31T23:59:59Z deleting uid=b octets=99 retrieved=2026-01-30T08:00:00Z
 *delivered=yes conn=... ... 2026-01-31T23:59:59Z kept uid=b conn=... 2026-01-31T23:59:59Z done
 *deleted=1 kept=1 conn=...
 *
 * The "deleting" lines are on the disk before the first message goes.  A "kept"
 * line tells of one that could not be removed, in the same order.  Without a
 * "done" the removal was cut off, and each of its messages may be there or gone.
 */
#ifndef POP3D_STORE_HISTORY_H
#define POP3D_STORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"

enum {
	HISTORY_MAX = 4 << 20,	 /* octets: a longer file is renamed before more is written */
	HISTORY_WHO_SIZE = 2048, /* fits conn, peer, tls, mech, server and a quoted user */
	HISTORY_LINE_MAX = 4096, /* longer lines are none of ours */
	HISTORY_BUFFER = 16384
};

#define HISTORY_OLD ".old" /* behind the name of the one file that is kept of the past */

/* One UPDATE being written. */
struct history {
	int fd;		/* -1: not open */
	int dir_fd;	/* borrowed */
	bool made;	/* the file was made or renamed: so the directory is written, too */
	bool failed;	/* nothing more is written */
	uint64_t start; /* octets of the file before this UPDATE */
	const char *who;
	char when[CLOCK_UTC_SIZE];
	size_t len; /* of what waits in the buffer */
	char buffer[HISTORY_BUFFER];
};

/*
 * Open the file `name` in a directory for one UPDATE, and rename it first if it has become too
 * long. `who` (borrowed) are the words that each line of it ends with; its first is conn=ID. It has
 * to be a regular file of the process's own user, no link.  0 or -1 with errno.
 */
int history_begin(struct history *h, int dir_fd, const char *name, const char *who);

/* A message is to be deleted.  `octets` UINT64_MAX: not known.  `retrieved` as retrieved_text(). */
void history_deleting(struct history *h, const char *uid, uint64_t octets, int64_t retrieved,
		      bool delivered);

/* All messages were named: put that on stable storage.  0; -1 with errno: it may not be there. What
 * could not even be written is taken back, and the file closed, so that what follows does nothing.
 */
int history_sync(struct history *h);

/* A message that was named is still there. */
void history_kept(struct history *h, const char *uid);

/* The removal is over; close the file.  0 or -1 with errno. */
int history_done(struct history *h, uint64_t deleted, uint64_t kept);

/* What the file says of one message. */
struct history_event {
	const char *when;  /* as in the file */
	const char *what;  /* "deleted", "kept", or "unknown": the removal was cut off */
	const char *words; /* key=value; printable ASCII */
};

typedef void history_fn(const struct history_event *e, void *arg);

/*
 * Tell what a file says, the oldest first.  It is its owner's, so nothing in it is believed: lines
 * of another form, such as one that was cut off, are passed over.  A file that is not there says
 * nothing. 0 or -1 with errno.
 */
int history_read(int dir_fd, const char *name, history_fn *tell, void *arg);

/* The value of a key as it stands in the words, quotes included: its start, and its length in *len;
 * NULL: it is not there. */
const char *history_value(const char *words, const char *key, size_t *len);

#endif
