/*
 * What the index of a Maildir consists of: head, records, blocks with names, and
 * the checks that each of them carries.  Pure functions over octets.
 *
 *   head | blocks: NAME NUL [UID NUL] [rank] [inode] | records, one a message | blocks
 *
 * Blocks behind the records are of names that others have changed since.
 */
#ifndef POP3D_MAILDIR_RECORD_H
#define POP3D_MAILDIR_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "worker/store/store.h"

enum maildir_dir { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_DIRS };

/* What is noted with a message. */
enum {
	ENTRY_IN_CUR = 1,      /* in cur/, else in new/ */
	ENTRY_DUPLICATE = 2,   /* other files have its base name: its inode is noted */
	ENTRY_MADE_UID = 4,    /* a duplicate that cannot use the base name as its unique-id */
	ENTRY_LINKED = 8,      /* the same file had a second name with this base */
	ENTRY_GONE = 16,       /* was removed by others */
	ENTRY_REMOVED = 32,    /* was removed by us */
	ENTRY_DIGEST_UID = 64, /* its base name is the unique-id of another message */
	ENTRY_RANKED = 128,    /* its unique-id and place were taken over from another server */
	ENTRY_FLAGS = 255
};

/* By what a change of a directory, or of a file that is replaced, is known. */
struct index_stamp {
	uint64_t inode; /* 0: there is none */
	int64_t mtime, mtime_ns, ctime, ctime_ns;
};

struct index_head {
	char magic[8];
	uint32_t version, layout;
	uint64_t nonce;	  /* key of all checks */
	uint64_t count;	  /* messages */
	uint64_t records; /* where they begin */
	uint64_t octets;  /* of all messages on the wire, or STORE_NO_SIZE */
	struct index_stamp dirs[MAILDIR_DIRS], uids;
	uint64_t settled; /* a bit a directory: an unchanged stamp says that nothing has changed */
	uint64_t check;
};

/* What the file holds of a message. */
struct index_record {
	uint64_t octets; /* on the wire */
	uint32_t octets_check;
	uint32_t fetched, fetched_check; /* seconds since the Epoch */
	uint32_t block, name_check;	 /* where its block is; of block and flags */
	uint8_t name_len, uid_len;
	uint16_t flags;
};

/* A message as the index has it: a copy, and all of it was looked at. */
struct maildir_message {
	uint32_t flags;
	size_t name_len;
	uint32_t rank;	/* of one that is ENTRY_RANKED, else 0 */
	uint64_t inode; /* of a duplicate, else 0 */
	char name[NAME_MAX + 1];
	char uid[STORE_UID_SIZE]; /* taken over; "": none */
};

enum { BLOCK_MAX = NAME_MAX + 1 + STORE_UID_SIZE + sizeof(uint32_t) + sizeof(uint64_t) };

/* A hash for checks and tables; it need not withstand who knows the key. */
uint64_t index_hash(uint64_t key, const void *octets, size_t len);

/* A head of this version, without stamps. */
struct index_head head_make(uint64_t nonce);
uint64_t head_check(const struct index_head *h);

/* Is it one of this version and layout, for a file of `len` octets? */
bool head_is_sound(const struct index_head *h, uint64_t len);

/* The check of a number that belongs to message i. */
uint32_t number_check(uint64_t key, size_t i, uint64_t number);

/* The record of message i says which one it is: sets block to name_check. */
void record_name(struct index_record *r, uint64_t key, size_t i, uint32_t block,
		 const struct maildir_message *m);

/* Copy what a record says out of a file of `len` octets, and look at it.  0; -1: it is damaged. */
int record_take(const struct index_record *r, uint64_t key, size_t i, const char *file, size_t len,
		struct maildir_message *m);

/* The octets of a message's block; their number. */
size_t block_make(const struct maildir_message *m, char block[BLOCK_MAX]);

/* Copy the block at `at` of a file, with lengths that are known, and look at it.  0 or -1. */
int block_take(const char *file, size_t len, size_t at, size_t name_len, size_t uid_len,
	       uint32_t flags, struct maildir_message *m);

struct index_stamp index_stamp_of(const struct stat *st);
bool index_stamps_equal(const struct index_stamp *a, const struct index_stamp *b);

#endif
