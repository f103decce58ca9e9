/*
 * The index of a Maildir: the list of a session's messages, in their order, as
 * a file that the next session goes on with.
 *
 * "pop3d-index" in the Maildir, or, where that cannot be made, memory (memfd_create(2)).
 * It is mapped for reading and changed in place by pwrite(2).  It is a cache and
 * hostile input: its owner, or a disk that lost power, may have written
 * anything into it at any moment.  So each part carries a check of its own,
 * nothing is believed that was not copied and looked at, and nothing is ever
 * synchronised: what is torn is found out, and read from the Maildir again.
 */
#ifndef POP3D_MAILDIR_INDEX_H
#define POP3D_MAILDIR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/store/maildir_record.h"
#include "worker/store/mapped.h"

#define INDEX_FILE     "pop3d-index"
#define INDEX_NEW_FILE "pop3d-index.new"

struct maildir_index {
	int fd;	    /* -1: none is open */
	bool quiet; /* built while cur/ did not change: nothing can have been missed */
	struct mapped map;
	struct index_head head;
	struct index_stamp made; /* of the file when it was new; inode 0: in memory */
	uint64_t end;		 /* of the file, with what waits to be written */
	size_t pending;		 /* octets of that */
	uint64_t salt;		 /* key of sizes that are good for this session only */
	size_t former;	 /* when built: messages of the former index that we have not removed */
	size_t vanished; /* and how many of them others have */
};

#define INDEX_NONE ((struct maildir_index){.fd = -1})

/* Open the index of the Maildir at dir_fd.  Only its head is looked at, whose stamps say whether
 * it is up to date.  0; -1 with errno: there is none that could be used. */
int index_open(struct maildir_index *ix, int dir_fd);
void index_close(struct maildir_index *ix);

/* ---- messages, i below head.count */

/* 0; -1: this one is damaged. */
int index_message(const struct maildir_index *ix, size_t i, struct maildir_message *m);

/* Flags alone, not looked at. */
uint32_t index_flags(const struct maildir_index *ix, size_t i);

/* The size on the wire, or STORE_NO_SIZE. */
uint64_t index_size(const struct maildir_index *ix, size_t i);

/* The same, but only one that is good for later sessions too. */
uint64_t index_kept_size(const struct maildir_index *ix, size_t i);

/* When it was first fetched whole, seconds since the Epoch; 0: never, or not known. */
uint32_t index_fetched(const struct maildir_index *ix, size_t i);

/*
 * Changes.  0 or -1 with errno.  What this session goes by, and a file does not
 * take (full, read-only), goes on in memory:
 */

/* The size; with `keep` false for this session only. */
int index_set_size(struct maildir_index *ix, size_t i, uint64_t octets, bool keep);
/* Name, inode, flags and unique-id as in *m.  A new name cannot be read before index_map(). */
int index_set_message(struct maildir_index *ix, size_t i, const struct maildir_message *m,
		      bool renamed);

/* What only a later one would know is not worth that: */

int index_set_fetched(struct maildir_index *ix, size_t i, uint32_t when);
int index_set_octets(struct maildir_index *ix, uint64_t octets);
/* Let the next session look into both directories. */
int index_unsettle(struct maildir_index *ix);

/* ---- making one */

/* Begin a file beside the index of the Maildir at dir_fd, or, with -1, one in memory. */
int index_begin(struct maildir_index *ix, int dir_fd);

/* Begin again. */
void index_rewind(struct maildir_index *ix);

/* Append the block of a message: its place, or -1 with errno. */
int64_t index_put_block(struct maildir_index *ix, const struct maildir_message *m);

/* Append the record of message i, whose block is at `block`.  Records follow each other. */
int index_put_record(struct maildir_index *ix, size_t i, uint32_t block,
		     const struct maildir_message *m, uint64_t octets, uint32_t fetched);

/* Write what waits, and map all of it. */
int index_map(struct maildir_index *ix);

/* A block of an index under construction.  -1: it has been damaged meanwhile. */
int index_block(const struct maildir_index *ix, uint32_t block, uint32_t flags,
		struct maildir_message *m);

/* The name in a block: octets that are not looked at, and how many there can be before NUL. */
const char *index_block_name(const struct maildir_index *ix, uint32_t block, size_t *len);

/* Complete: write the head and, with dir_fd not -1, put it into place; where that cannot
 * be done it serves without a name. */
int index_finish(struct maildir_index *ix, int dir_fd);

/* Take away the name of a file that is only for this session. */
void index_forget_file(int dir_fd);

#endif
