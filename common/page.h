/*
 * The page on which a session writes what it is doing: a memfd that master
 * makes, sealed so that it can neither shrink nor grow, mapped by that session
 * alone.  Master reads it with pread(2), as it would a stranger's: a sequence
 * number tells it of a page that changed meanwhile, and no number in it is
 * believed to be within bounds.
 */
#ifndef POP3D_PAGE_H
#define POP3D_PAGE_H

#include <stddef.h>
#include <stdint.h>

enum page_state { PAGE_LOGIN, PAGE_TRANS, PAGE_UPDATE, PAGE_STATE_COUNT };

/* What a session waits for, if it does. */
enum page_wait {
	PAGE_WAIT_NOTHING,
	PAGE_WAIT_CLIENT,
	PAGE_WAIT_DISK,
	PAGE_WAIT_LOCK,
	PAGE_WAIT_COUNT
};

enum {
	PAGE_DELETED_MAX = 65536
}; /* marked messages that are listed; pages untouched cost nothing */

struct session_page {
	uint32_t seq; /* odd while it is being written */
	uint32_t state, wait;
	uint32_t ndeleted;		      /* numbers in `deleted`, in the order of DELE */
	char command[8];		      /* the last keyword, or the job's word; terminated */
	uint64_t messages;		      /* at login */
	uint64_t octets;		      /* at login; UINT64_MAX: not known yet */
	uint64_t retrieved, retrieved_octets; /* sent */
	uint64_t confirmed, confirmed_octets; /* those of them that the client has */
	uint64_t topped, again, marked;
	uint64_t active; /* clock_ms() when the client last sent or took anything */
};

struct session_board {
	struct session_page page;
	uint32_t deleted[PAGE_DELETED_MAX];
};

/* A new memfd of so many octets, zeroed, sealed so that it can neither shrink nor grow; its
 * descriptor, or -1 with errno. */
int page_make_sealed(const char *name, size_t size);

/* One for a session_board. */
int page_make(void);

/* Map it for writing.  NULL with errno. */
struct session_board *page_map(int fd);

/*
 * Read a page.  Strings are terminated, enums and counts within bounds.  In
 * *deleted (may be NULL) a malloc'ed list of out->ndeleted numbers, the
 * caller's.  0, or -1: it kept changing, or is no such page; then *out is as it was.
 */
int page_read(int fd, struct session_page *out, uint32_t **deleted);

/* Every change of a board stands between these two. */
void page_begin(struct session_board *b);
void page_end(struct session_board *b);

#endif
