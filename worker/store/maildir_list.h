/*
 * The names of a Maildir's messages while an index is made: in their order, and
 * each file once.
 *
 * Compact, for mailboxes of a million messages: 12 octets each; the names are in
 * the index.
 */
#ifndef POP3D_MAILDIR_LIST_H
#define POP3D_MAILDIR_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "worker/store/maildir_index.h"

struct list_entry {
	uint32_t key;	/* rank, if its place was taken over; else the seconds of its name */
	uint32_t block; /* in the index */
	uint32_t flags;
};

struct maildir_list {
	const int *dirs;	     /* new/ and cur/; borrowed */
	struct maildir_index *index; /* under construction; borrowed */
	size_t count, room;
	struct list_entry *entries;
};

void list_init(struct maildir_list *l, const int dirs[MAILDIR_DIRS], struct maildir_index *index);
void list_free(struct maildir_list *l);

/* Put a message into the index and the list.  0 or -1 with errno. */
int list_add(struct maildir_list *l, const struct maildir_message *m);

/*
 * All names are there: bring them in order, and settle those that occur twice: a
 * file seen twice, or under two names, counts once, and of several files the lowest inode
 * keeps the base name as its unique-id.  The index is mapped then.  0 or -1 with errno.
 */
int list_settle(struct maildir_list *l);

#endif
