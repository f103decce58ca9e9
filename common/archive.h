/*
 * The table of an archive of mail that is served to one user (pop3d --serve):
 * made once at the start of a run, in a memfd that is sealed against writing,
 * and read by every session of the run.  Beside it a second memfd with one octet
 * of flags a message, the only thing that sessions change.
 */
#ifndef POP3D_ARCHIVE_H
#define POP3D_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum archive_kind {
	ARCHIVE_MAILDIR,
	ARCHIVE_DIRECTORY, /* a file a message */
	ARCHIVE_MH,	   /* the same, of files whose names are numbers */
	ARCHIVE_CYRUS,	   /* the same, of numbers with a dot behind them */
	ARCHIVE_MBOX,
	ARCHIVE_KINDS
};

/* Options of the run, a set. */
enum {
	ARCHIVE_NO_LOCK = 1,
	ARCHIVE_APPLY_DELETES = 2,
	ARCHIVE_UIDL_CRLF = 4 /* the digest is that of the text with CRLF line ends */
};

/* Flags of a message, a set. */
enum { ARCHIVE_FETCHED = 1, ARCHIVE_DELETED = 2 };

enum { ARCHIVE_DIGEST = 20, ARCHIVE_SHOWN = 32 }; /* octets of SHA-1, SHA-256 */

/* The table: this, the entries, the names. */
struct archive_head {
	uint64_t count;
	uint64_t octets; /* of all messages on the wire */
	uint32_t kind;	 /* enum archive_kind */
	uint32_t options;
	uint64_t left_out; /* files that cannot be read, or are no message */
	uint64_t alike;	   /* of an mbox: lines that look as if a message began there */
	uint64_t expunged; /* of an mbox: messages that Mozilla has marked as removed */
};

struct archive_entry {
	uint64_t start, end; /* stored octets within the file */
	uint64_t octets;     /* on the wire */
	uint32_t name; /* where its file's name stands among the names; relative to the archive */
	uint32_t duplicate; /* 1; 2, 3 … for later messages with the same digest */
	uint8_t digest[ARCHIVE_DIGEST];
	uint8_t shown[ARCHIVE_SHOWN]; /* of an mbox: digest of what is shown of it */
	uint32_t unused;
};

/* Both memfds, mapped. */
struct archive {
	const struct archive_head *head;
	const struct archive_entry *entries;
	const char *names;
	uint8_t *flags; /* changed by others at any time */
};

/* The stores that serve an archive: one that is only read, and an mbox that deletions are applied
 * to. */
#define ARCHIVE_STORE	   "archive"
#define ARCHIVE_MBOX_STORE "archive-mbox"

static inline bool
archive_is_rewritten(enum archive_kind kind, uint32_t options)
{
	return kind == ARCHIVE_MBOX && (options & ARCHIVE_APPLY_DELETES) != 0;
}

/* What the process that makes the table is asked: its arguments.  It finds the archive and the
 * table at these descriptors. */
enum { ARCHIVE_SCAN_IN = 3, ARCHIVE_SCAN_OUT };

struct archive_order {
	enum archive_kind kind;
	uint32_t options;
	enum mbox_format mbox_format;
	enum mbox_split mbox_split;
	const char *path; /* absolute; borrowed */
};

/* Replace this process by `program`, the session's, for that.  Returns only if it fails: -1 with
 * errno. */
int archive_order_exec(const struct archive_order *o, const char *program, int in, int table);

/* 0, or -1 for arguments of other form. */
int archive_order_read(struct archive_order *o, int argc, char *argv[]);

/* Open the archive, or a message's file below the directory `in`, without a trace of that in its
 * access time where that can be had.  A descriptor, or -1 with errno. */
int archive_open_file(int in, const char *name);

/* The word for a kind, as `--format` has it. */
const char *archive_kind_name(enum archive_kind kind);

/* Map both for the rest of the process's life; the descriptors may be closed.  Nothing in the table
 * points out of it then.  0, or -1 with errno, EBADMSG for what is no such table. */
int archive_map(struct archive *a, int table, int flags);

/* The flags of message i. */
static inline uint8_t
archive_flags(const struct archive *a, size_t i)
{
	return __atomic_load_n(&a->flags[i], __ATOMIC_RELAXED);
}

static inline void
archive_set_flag(const struct archive *a, size_t i, uint8_t flag)
{
	__atomic_fetch_or(&a->flags[i], flag, __ATOMIC_SEQ_CST);
}

static inline const char *
archive_name(const struct archive *a, size_t i)
{
	return a->names + a->entries[i].name;
}

#endif
