/*
 * Where in an index the message with a base name is.
 */
#ifndef POP3D_MAILDIR_TABLE_H
#define POP3D_MAILDIR_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "worker/store/maildir_index.h"

/* Filled when something is first looked for that is not where it is expected; 6 octets a message.
 */
struct maildir_table {
	const struct maildir_index *index; /* borrowed */
	uint32_t *slots; /* number of a message and 1, or 0; NULL: not filled yet */
	size_t room;
	size_t expected; /* where the next message may be */
};

#define TABLE_NONE SIZE_MAX

void table_init(struct maildir_table *t, const struct maildir_index *index);
void table_free(struct maildir_table *t);

/* The first of the messages with this base name (they stand side by side), or TABLE_NONE in
 * *at.  0 or -1 with errno. */
int table_find(struct maildir_table *t, const char *base, size_t len, size_t *at);

/* Is message i one, undamaged, with this base name?  Then it is in *m, and will be what is found
 * first if the message behind it is looked for next. */
bool table_has(struct maildir_table *t, size_t i, const char *base, size_t len,
	       struct maildir_message *m);

#endif
