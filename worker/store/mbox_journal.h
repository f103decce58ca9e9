/*
 * Taking octets out of the middle of an mbox (at its end one ftruncate(2) does it) without losing
 * any other, at whatever instant the process is killed or the disk is full.  The file keeps its
 * inode, since a delivery agent may be waiting for its lock.
 *
 * The octets that stay move down, a portion at a time.  The journal is a file of its own with two
 * slots of equal size, written in turn; the later one that is whole counts.  A slot holds
 *   the record: where its portion is to stand, and what the mbox must be like;
 *   the ranges of the mbox that follow behind it; the octets of the portion.
 * It is on stable storage before the mbox is touched; writing the portion again does no harm, since
 * it ends before the ranges begin.  When it is on stable storage the next portion goes into the
 * other slot.  The last record has no portion: everything is in place, and the mbox is cut there.
 * Whoever opens the mailbox next goes on where that ended.  Mail that came in between stands behind
 * the old end, and is one range more.
 *
 * All room is taken at the beginning: a disk that fills up later stops nothing.  A small journal
 * makes more steps.
 *
 * The caller holds the locks of the mbox from first to last.
 */
#ifndef POP3D_STORE_MBOX_JOURNAL_H
#define POP3D_STORE_MBOX_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/store/mbox_text.h"

struct mbox_journal {
	const struct mbox_style *style;
	int dir_fd;	   /* of the directory it is in; borrowed, as the next one */
	int fd;		   /* of the mbox, open for reading and writing */
	uint64_t inode;	   /* of the mbox */
	uint64_t slot_max; /* octets of a slot, at most */
	bool trusted; /* written by this process and in place: its octets need not be checked */
	void (*tick)(void *); /* called at least once for every few megabytes */
	void *tick_arg;
	char name[64], fresh[64]; /* of the journal; of one that is being written */
};

/* Octets of the mbox. */
struct mbox_range {
	uint64_t from, to;
};

/* Set the names, which go by the inode.  The style (borrowed) tells where mail begins. */
void mbox_journal_init(struct mbox_journal *j, const struct mbox_style *style, int dir_fd, int fd,
		       uint64_t inode, void (*tick)(void *), void *arg);

/*
 * Write down that the octets in `kept` shall stand from `cut` on, in place of all up to `end`, the
 * size of the mbox.  A small journal knows the last few ranges only, and leaves the others, with
 * what stands between them, as they are.  The number of ranges that it knows: it is going to be
 * done, whatever happens; -1 with errno: nothing is, but after an error of fsync(2) it may be.
 */
ssize_t mbox_journal_write(struct mbox_journal *j, uint64_t cut, uint64_t end,
			   const struct mbox_range *kept, size_t count);

/*
 * Do what the journal says and is not done yet, and remove it.  0: there was
 * none; 1: done; 2: it does not fit the mbox, which others have changed since; it has been renamed
 * and kept (*j->fresh is its name); -1 with errno: to be tried again.
 */
int mbox_journal_run(struct mbox_journal *j);

/* What is known of a journal and its mbox, and what follows from it. */
enum mbox_step {
	MBOX_STEP_ASIDE, /* it is not for this mbox as it is */
	MBOX_STEP_WRITE, /* the portion into the mbox, and the next one into the journal */
	MBOX_STEP_TAIL,	 /* all is written, and mail has come since: it is the next portion */
	MBOX_STEP_CUT,	 /* all is written */
	MBOX_STEP_DONE,	 /* and cut */
	MBOX_STEP_COUNT
};

struct mbox_facts {
	bool record;	   /* a slot is whole, and for this inode */
	bool last;	   /* its record is the last one */
	bool before_same;  /* what stands before the portion's place is what stood there */
	bool octets_same;  /* ranges and portion are whole */
	bool ranges_same;  /* the ranges begin and end with what they did */
	bool between_same; /* with the last record: what stands between new and old end */
	bool tail_is_mail; /* behind the old end a message begins */
	uint64_t end, size;
};

enum mbox_step mbox_journal_step(const struct mbox_facts *f);

#endif
