/*
 * Sessions that crashed: whose they were, and how long the same user is then kept
 * out.  A crash may be somebody feeling out the memory that all sessions of a
 * spawner share, who must not have many tries.
 */
#ifndef POP3D_CRASHES_H
#define POP3D_CRASHES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/msg.h"

struct crashes;

/* Whose session a process was, and what it did, for the log. */
struct crash_session {
	pid_t pid;
	uint32_t spawner; /* number of the spawner that made it */
	uint32_t uid;
	conn_id conn;
	char user[MSG_NAME_SIZE];
	char doing[32];
};

/* free(3) frees it.  NULL: no memory. */
struct crashes *crashes_new(void);

/* A session's process has gone; how is told later, by its pid. */
void crashes_remember(struct crashes *c, const struct crash_session *s);

/* The one that was remembered last of that pid, for the caller to copy; NULL. */
const struct crash_session *crashes_find(const struct crashes *c, pid_t pid);

/* A session of that user crashed at `now`, clock_ms(): he is kept out for a second, and twice as
 * long at each crash, up to five minutes; half an hour after the last one it begins anew. */
void crashes_count(struct crashes *c, uint32_t uid, const char *user, uint64_t now);

/* Is he kept out at `now`?  Accounts that share a uid do not keep out each other. */
bool crashes_keep_out(const struct crashes *c, uint32_t uid, const char *user, uint64_t now);

#endif
