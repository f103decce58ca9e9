/*
 * Where messages are kept: one table of functions a back end (DESIGN 7).
 * A new back end is one file, a line in the table of store.c and a row of common/backends.c.
 *
 * One process opens one store for one session.  Messages are counted from 0
 * here; message n of the protocol is n - 1.  What the list shows is fixed by
 * list(): later mail is not seen, and numbers never move.
 */
#ifndef POP3D_STORE_H
#define POP3D_STORE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/msg.h"
#include "common/scoreboard.h"
#include "common/sandbox.h"

enum store_result {
	STORE_OK,
	STORE_IN_USE,  /* another session has the lock */
	STORE_TEMP,    /* likely to pass: no memory, no descriptor, I/O error */
	STORE_FULL,    /* of remove() alone: no room on the disk or in the quota */
	STORE_PERM,    /* needs somebody: no right, not a mailbox */
	STORE_MISSING, /* the message has gone since it was listed */
	STORE_RESULT_COUNT
};

enum { STORE_UID_SIZE = 71 }; /* 1 to 70 octets of 0x21..0x7E and NUL, RFC 1939 section 7 */

/* Size that is not known. */
#define STORE_NO_SIZE UINT64_MAX

enum {
	STORE_DIGEST = 32, /* octets of SHA-256 */
	STORE_PATHS = 4,   /* that a store, and a job with it, may name */
	STORE_ROOM = 1280  /* octets for what a back end keeps of a mailbox */
};

struct store_backend;

struct store {
	const struct store_backend *backend;
	conn_id id;	 /* for the log */
	size_t count;	 /* messages; set by list() */
	uint64_t octets; /* of all of them on the wire, or STORE_NO_SIZE; set by list() */
	size_t known;	 /* messages at the end of the session before, as far as the back end
			  * knows; set by list() */
	size_t vanished; /* messages of the session before that others have removed since, as far as
			  * the back end knows; set by list() */
	bool had_mail;	 /* a login has found messages here, maybe long ago */
	bool lost;	 /* the listing is no longer valid: answer and delete nothing */
	const char *path; /* of the mailbox; borrowed */
	const char *home; /* the user's, for a store that keeps files of its own there; borrowed */
	struct sandbox_path confine[STORE_PATHS]; /* all that is opened, made or removed after
						   * open(); the descriptors are the store's */
	size_t confine_count;
	uint32_t index_found; /* enum index_found; set by list() */
	int history_fd; /* of the directory that the history is kept in; -1: none.  The back end's
			 */
	char history[256];	    /* its file there; see history.h */
	struct msg_lock_place lock; /* what lock() locks, set by it; master tells sessions by it */
	bool lock_claim; /* set by lock(): the place has other names that lead to other locks, and
			  * so master has to agree */
	bool
	    lock_look; /* lock() is to tell whether another process has the lock, and not take it */
	uint32_t *shown; /* where it shows what it waits for (enum scoreboard_wait); NULL: nowhere.
			    Borrowed */
	int given[2];	 /* descriptors that came with the grant; -1: none.  Borrowed */
	uint16_t mbox_format, mbox_split; /* for an mbox: enum mbox_format, enum mbox_split */
	const char *mbox_journal; /* a directory for a journal that has no room in the usual place;
				   * NULL or "": none.  Borrowed */
	void *data; /* the back end's own, in `room` or from malloc(3); NULL: not open */
	/* A session's heap is shared with its spawner's, and each page of it that an allocation
	 * writes is copied first: as many as six for one calloc(3).  Here there is no more to
	 * copy. */
	max_align_t room[STORE_ROOM / sizeof(max_align_t)];
};

/* A message open for reading. */
struct store_reader {
	int fd;
	uint64_t pos, end; /* stored octets: next one, and the first behind the message */
	/* Instead of reading stored octets as they are; see store_read(). */
	ssize_t (*read)(struct store_reader *r, char *buf, size_t cap);
	void *source;				/* read()'s own */
	void (*finish)(struct store_reader *r); /* give that up; NULL: nothing is to be done */
	bool packed;	 /* the file is compressed; known after the first read, see unpack.h */
	const char *why; /* reading failed for a reason that errno has no words for; else NULL */
};

struct store_backend {
	const char *name;
	/* Find the mailbox and set confine[], so that the caller can confine himself before
	 * anything in it is looked at.  With `missing_is_empty` a mailbox that does not exist is an
	 * empty one, unless there is a sign that it is only not there now; see absent.h.  OK, TEMP,
	 * PERM. */
	enum store_result (*open)(struct store *s, bool missing_is_empty);
	/* Take the session lock, which ends with the process.  OK; IN_USE: may be called again;
	 * TEMP, PERM. */
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
	/* Message i was sent, and has another size than the one that was told, which stays for this
	 * session: a later one is to read it again.  NULL: sizes are not kept that long. */
	void (*forget_size)(struct store *s, size_t i);
	/* Is message i stored in a form that cannot be sent (see unpack.h)?  Then it is not to be
	 * marked as deleted: nobody has seen it.  NULL: never. */
	bool (*refused)(struct store *s, size_t i);
	/* Message i was sent whole, and the client has it.  NULL: the back end does not want to
	 * know. */
	void (*fetched)(struct store *s, size_t i);
	/* When the client first had message i, in this session or an earlier one: seconds since the
	 * Epoch; 0: never, or not known.  NULL: the back end does not know. */
	int64_t (*fetched_at)(struct store *s, size_t i);
	/* Remove the messages whose bits are set, every one that can be, for good: it is on
	 * stable storage before this returns.  What has gone already counts as removed.  The bits
	 * of those that are not removed are cleared. OK, or the worst of TEMP, FULL and PERM;
	 * *removed is set in any case. */
	enum store_result (*remove)(struct store *s, uint64_t *marked, uint64_t *removed);
	/* Log what is odd about the mailbox, which is listed, and keeps nobody from being served.
	 * NULL: nothing is known to be. */
	void (*examine)(struct store *s);
	/* Give up lock, descriptors and memory. */
	void (*close)(struct store *s);
};

/* The back end of that name, or NULL. */
const struct store_backend *store_find(const char *name);

/* The back end's own data, of `size` octets (STORE_ROOM at most), zeroed, at s->data. */
static inline void *
store_room(struct store *s, size_t size)
{
	assert(size <= sizeof(s->room));
	return s->data = memset(s->room, 0, size);
}

/* Let the session reach what is open at fd; see sandbox_landlock_paths(). */
void store_confine(struct store *s, int fd, enum sandbox_access access);

/* Can every user of the host write into the home or the mailbox?  A directory with the sticky bit,
 * as /tmp, does not count.  Looks at the modes alone; what cannot be looked at is not exposed. */
enum exposed store_exposed(const struct store *s);

/* Where the history of the mailbox is kept: see history.h. */
void store_keep_history(struct store *s, int dir_fd, const char *name);

/* Open the regular file `name` without following a link or waiting, all of it to be read.
 * OK, TEMP, PERM, MISSING. */
enum store_result store_open_file(int dir_fd, const char *name, struct store_reader *r);

/* Read the next octets of a message.  Their number; 0 at its end; -1 with errno, which is EIO
 * for a file that ended too early or is not any more what was listed.  store_judge() tells whether
 * it may be read later. */
ssize_t store_read(struct store_reader *r, char *buf, size_t cap);
/* Why reading failed, in words; to be asked before errno changes. */
const char *store_reader_why(const struct store_reader *r);
void store_reader_end(struct store_reader *r);

/* Read to the end: the size on the wire and, unless NULL, the digest of the octets.  0 or -1 with
 * errno. */
int store_measure(struct store_reader *r, uint64_t *octets, uint8_t digest[STORE_DIGEST]);

/* Show what is waited for: enum scoreboard_wait. */
static inline void
store_show(const struct store *s, uint32_t wait)
{
	if (s->shown != NULL)
		__atomic_store_n(s->shown, wait, __ATOMIC_RELAXED);
}

/* TEMP or PERM for an errno. */
enum store_result store_judge(int error);

/* Is it the errno of a full disk, or of a user over his quota? */
bool store_is_full(int error);

static inline bool
store_is_marked(const uint64_t *marked, size_t i)
{
	return (marked[i / 64] >> (i % 64) & 1) != 0;
}

static inline void
store_mark(uint64_t *marked, size_t i)
{
	marked[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void
store_unmark(uint64_t *marked, size_t i)
{
	marked[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* Close a descriptor that may not have been opened (-1). */
static inline void
store_close_fd(int fd)
{
	if (fd != -1)
		(void)close(fd);
}

/* The worse of two results of a removal. */
static inline enum store_result
store_worse(enum store_result a, enum store_result b)
{
	return a > b ? a : b;
}

/* fsync(2) of a directory; those that cannot be synchronised (EINVAL, EROFS) are passed over. */
enum store_result store_sync_directory(int fd);

extern const struct store_backend store_archive, store_archive_mbox, store_dir, store_maildir,
    store_mbox, store_none;

#endif
