/*
 * The scoreboard of a session: its state and counters, in a sealed memfd that
 * master makes and that session alone maps.  Master reads it with pread(2) and
 * trusts nothing in it: a sequence number shows that it changed during the read,
 * and every number is brought within bounds.
 */
#ifndef POP3D_SCOREBOARD_H
#define POP3D_SCOREBOARD_H

#include <stddef.h>
#include <stdint.h>

enum scoreboard_state {
	SCOREBOARD_LOGIN,
	SCOREBOARD_TRANS,
	SCOREBOARD_UPDATE,
	SCOREBOARD_STATE_COUNT
};

/* What a session waits for, if it does. */
enum scoreboard_wait {
	SCOREBOARD_WAIT_NOTHING,
	SCOREBOARD_WAIT_CLIENT,
	SCOREBOARD_WAIT_DISK,
	SCOREBOARD_WAIT_LOCK,
	SCOREBOARD_WAIT_COUNT
};

enum {
	SCOREBOARD_DELETED_MAX = 65536
}; /* marked messages that are listed; memory that is not written costs nothing */

struct scoreboard_head {
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

struct scoreboard {
	struct scoreboard_head head;
	uint32_t deleted[SCOREBOARD_DELETED_MAX];
};

/* A new sealed memfd (sealed.h) for one; its descriptor, or -1 with errno. */
int scoreboard_make(void);

/* Map it for writing.  NULL with errno. */
struct scoreboard *scoreboard_map(int fd);

/*
 * Read it.  Strings are terminated, enums and counts within bounds.  In
 * *deleted (may be NULL) a malloc'ed list of out->ndeleted numbers, the
 * caller's.  0, or -1: it kept changing, or is no scoreboard; then *out is as it was.
 */
int scoreboard_read(int fd, struct scoreboard_head *out, uint32_t **deleted);

/* Every change of a scoreboard stands between these two. */
void scoreboard_begin(struct scoreboard *b);
void scoreboard_end(struct scoreboard *b);

#endif
