/*
 * Where the messages of an mbox are, and how each is read.
 */
#ifndef POP3D_STORE_MBOX_TABLE_H
#define POP3D_STORE_MBOX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/store/mbox_journal.h"
#include "worker/store/mbox_text.h"
#include "worker/store/rows.h"
#include "worker/store/store.h"

/* Offsets in the file.  The From_ line and the blank line that ends a message are no part of it. */
struct mbox_entry {
	uint64_t start; /* of the From_ line; of the first one 0, whatever blank lines are before */
	uint64_t text;	/* of the message itself */
	uint64_t end;	/* behind it, before the blank line */
	uint64_t octets;	      /* of what is shown of it, on the wire */
	uint8_t digest[STORE_DIGEST]; /* of the same */
};

struct mbox_table {
	struct mbox_style style;
	uint64_t size;	   /* of the file */
	bool internal;	   /* the first one is a mail reader's notes, and no message */
	uint64_t alike;	   /* lines that begin with "From " and look as if a message began there */
	uint64_t expunged; /* messages that Mozilla has marked as removed; they are there */
	size_t count;
	struct rows rows; /* a struct mbox_entry each; by mbox_table_entry() */
};

/*
 * Find the messages in the first `size` octets of a file.  A long table is kept at `place` (NULL:
 * in memory).  tick(arg), unless NULL, is called now and then, at least once for every few
 * megabytes. 0, or -1 with errno: EILSEQ for a file that does not begin with a From_ line, perhaps
 * behind blank lines.  *t is to be freed in any case.
 */
int mbox_table_scan(struct mbox_table *t, const struct mbox_style *style, int fd, uint64_t size,
		    const struct rows_place *place, void (*tick)(void *), void *arg);
void mbox_table_free(struct mbox_table *t);

/* Entry i, good until the next call; NULL with errno: it cannot be read any more.  It may be what
 * the file's owner wrote. */
const struct mbox_entry *mbox_table_entry(struct mbox_table *t, size_t i);

/* All that belongs to entry i: from its start to the next one's, or to the file's end.  0 or -1
 * with errno. */
int mbox_table_range(struct mbox_table *t, size_t i, struct mbox_range *range);

/* Are the entries of `old` the first ones of `now`, unchanged?  Notes of mail readers (metadata
 * fields) may have changed in them, if every message is still where it was.  1 or 0; -1 with
 * errno: that cannot be told. */
int mbox_table_continues(struct mbox_table *old, struct mbox_table *now);

/* Begin to read what is shown of the octets `from` to `end` of fd, a message; style and fd are
 * borrowed, and one message at a time is read in a process.  store_read() fails with EIO in the end
 * if it does not come to that digest. */
void mbox_message_read(const struct mbox_style *style, int fd, uint64_t from, uint64_t end,
		       const uint8_t digest[STORE_DIGEST], struct store_reader *r);

/* The same for entry i.  0 or -1 with errno. */
int mbox_table_read(struct mbox_table *t, size_t i, int fd, struct store_reader *r);

#endif
