/*
 * Where messages are kept: one table of functions a back end (DESIGN section 6).
 * A new back end is one file and one line in the table of store.c.
 *
 * One process opens one store for one session.  Messages are counted from 0
 * here; message n of the protocol is n - 1.  What the list shows is fixed by
 * list(): later mail is not seen, and numbers never move.
 */
#ifndef POP3D_STORE_H
#define POP3D_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/msg.h"

enum store_result {
	STORE_OK,
	STORE_IN_USE,  /* another session has the lock */
	STORE_TEMP,    /* likely to pass: no memory, no descriptor, I/O error */
	STORE_PERM,    /* needs somebody: no right, not a mailbox */
	STORE_MISSING, /* the message has gone since it was listed */
	STORE_RESULT_COUNT
};

enum { STORE_UID_SIZE = 71 }; /* 1 to 70 octets of 0x21..0x7E and NUL, RFC 1939 section 7 */

/* Size that is not known. */
#define STORE_NO_SIZE UINT64_MAX

struct store_backend;

struct store {
	const struct store_backend *backend;
	conn_id id;	  /* for the log */
	size_t count;	  /* messages; set by list() */
	int confine_fd;	  /* the directory of all that the session may touch; -1: nothing.  The store's */
	const char *path; /* of the mailbox; borrowed */
	void *data;	  /* the back end's own */
};

/* A message open for reading. */
struct store_reader {
	int fd;
	uint64_t pos, end; /* stored octets: next one, and the first behind the message */
};

struct store_backend {
	const char *name;
	/* Find the mailbox and set confine_fd, so that the caller can confine himself before
	 * anything in it is looked at.  With `missing_is_empty` a mailbox that does not exist, in
	 * a directory that does, is an empty one.  OK, TEMP, PERM. */
	enum store_result (*open)(struct store *s, bool missing_is_empty);
	/* Take the session lock, which ends with the process.  OK, IN_USE, TEMP, PERM. */
	enum store_result (*lock)(struct store *s);
	/* Fix the list of messages and its order.  OK, TEMP, PERM. */
	enum store_result (*list)(struct store *s);
	/* The unique-id of message i, the same in every session. */
	void (*uid)(struct store *s, size_t i, char out[STORE_UID_SIZE]);
	/* The exact size on the wire, read from the message if it is not known yet, or, with
	 * `look` false, STORE_NO_SIZE then.  Told once, it stays.  A message that has gone or may
	 * not be read counts 0 octets.  OK, TEMP. */
	enum store_result (*size)(struct store *s, size_t i, bool look, uint64_t *octets);
	/* Open message i; to be ended by store_reader_end().  OK, TEMP, PERM, MISSING. */
	enum store_result (*get)(struct store *s, size_t i, struct store_reader *r);
	/* Keep a size that the caller has counted on the way. */
	void (*keep_size)(struct store *s, size_t i, uint64_t octets);
	/* Remove the messages whose bits are set, every one that can be, for good: it is on
	 * stable storage before this returns.  What has gone already counts as removed.
	 * OK, or the worst of TEMP and PERM; *removed is set in any case. */
	enum store_result (*remove)(struct store *s, const uint64_t *marked, uint64_t *removed);
	/* Give up lock, descriptors and memory. */
	void (*close)(struct store *s);
};

/* The back end of that name, or NULL. */
const struct store_backend *store_find(const char *name);

/* Read the next octets of a message.  Their number; 0 at its end; -1 with errno, which is EIO
 * for a file that ended too early. */
ssize_t store_read(struct store_reader *r, char *buf, size_t cap);
void store_reader_end(struct store_reader *r);

/* TEMP or PERM for an errno. */
enum store_result store_judge(int error);

static inline bool
store_is_marked(const uint64_t *marked, size_t i)
{
	return (marked[i / 64] >> (i % 64) & 1) != 0;
}

extern const struct store_backend store_maildir;

#endif
