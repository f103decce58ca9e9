/*
 * Taking octets out of the middle of an mbox (at its end one ftruncate(2) does it) without losing
 * any other, at whatever instant the process is killed or the disk is full.  The file keeps its
 * inode, since a delivery agent may be waiting for its lock.
 *
 * The journal is a file of its own:
 *   first record, octets that are to stand from `cut` on, room for the second record.
 * It is on stable storage before the mbox is touched; doing it again does no
 * harm.  Then the octets are written into the mbox from `cut` on; when they are
 * on stable storage the second record says so; then the mbox is cut at its new
 * end, and the journal is removed.  Whoever opens the mailbox next goes on where that ended.
 * Mail that came in between stands behind the old end, and is kept.
 *
 * The caller holds the locks of the mbox from first to last.
 */
#ifndef POP3D_STORE_MBOX_JOURNAL_H
#define POP3D_STORE_MBOX_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/store/mbox_text.h"

struct mbox_journal {
	const struct mbox_style *style;
	int dir_fd;	/* of the directory it is in; borrowed, as the next one */
	int fd;		/* of the mbox, open for reading and writing */
	uint64_t inode; /* of the mbox */
	bool trusted;	/* written by this process and in place: its octets need not be checked */
	void (*tick)(void *); /* called at least once for every few megabytes */
	void *tick_arg;
	char name[64], fresh[64]; /* of the journal; of one that is being written */
};

/* Octets of a file. */
struct mbox_range {
	int fd;
	uint64_t from, to;
};

/* Set the names, which go by the inode.  The style (borrowed) tells where mail begins. */
void mbox_journal_init(struct mbox_journal *j, const struct mbox_style *style, int dir_fd, int fd,
		       uint64_t inode, void (*tick)(void *), void *arg);

/* Write down that the octets in `kept` shall stand from `cut` on, in place of all up to `old_end`,
 * the size of the mbox.  0: it is going to be done, whatever happens; -1 with errno: nothing is,
 * but after an error of fsync(2) it may be. */
int mbox_journal_write(struct mbox_journal *j, uint64_t cut, uint64_t old_end,
		       const struct mbox_range *kept, size_t count);

/*
 * Do what the journal says and is not done yet, and remove it.  0: there was
 * none; 1: done; 2: it does not fit the mbox, which others have changed since; it has been renamed
 * and kept (*j->fresh is its name); -1 with errno: to be tried again.
 */
int mbox_journal_run(struct mbox_journal *j);

/* What is known of a journal and its mbox, and what follows from it. */
enum mbox_step {
	MBOX_STEP_ASIDE,     /* it is not for this mbox as it is */
	MBOX_STEP_REDO,	     /* write the octets */
	MBOX_STEP_REDO_TAIL, /* mail has come since: take it up into the journal first */
	MBOX_STEP_MOVE_TAIL, /* written, and mail has come since: it has to move down */
	MBOX_STEP_TRUNCATE,  /* written */
	MBOX_STEP_DONE,	     /* written and cut */
	MBOX_STEP_COUNT
};

struct mbox_facts {
	bool first;	   /* the first record is whole, and for this inode */
	bool before_same;  /* what stands before `cut` is what stood there */
	bool octets_same;  /* the journal's octets are whole */
	bool second;	   /* there is a whole second record */
	bool between_same; /* what stands between new and old end has not changed since that */
	bool tail_is_mail; /* behind the old end a message begins */
	uint64_t old_end, size;
};

enum mbox_step mbox_journal_step(const struct mbox_facts *f);

#endif
