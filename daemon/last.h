/*
 * The last login of each user, for "pop3ctl last": when, from where, how, and what the client did
 * with the mailbox; and the last failed one since the first login.  A login that fails is kept only
 * for a user who has logged in before: who guesses names cannot push out others.
 *
 * Kept over restarts in the file last-logins of the state directory (last_file.h), which is
 * written at intervals, by a process of its own (aside.h), and at the end: a daemon that is killed
 * forgets a minute or two.
 */
#ifndef POP3D_LAST_H
#define POP3D_LAST_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/log_text.h"
#include "common/msg.h"

enum {
	LAST_USERS_MAX = 10000, /* whoever has logged in longest ago goes */
	LAST_WRITE_MS = 60000	/* from one writing of the file to the next */
};

#define LAST_UNKNOWN UINT64_MAX /* a number that nobody has told */

struct last_failed {
	int64_t time; /* time(2); 0: none */
	char server[MSG_SERVER_SIZE];
	char peer[LOG_ADDR_SIZE]; /* log_host() */
	char reason[MSG_WORD_SIZE];
};

struct last {
	RB_ENTRY(last) by_name;
	TAILQ_ENTRY(last) by_time;
	conn_id conn; /* 0: the daemon has been started since */
	char user[MSG_NAME_SIZE];
	int64_t login; /* time(2) */
	char server[MSG_SERVER_SIZE];
	char peer[LOG_ADDR_SIZE]; /* log_host() */
	char mech[MSG_WORD_SIZE];
	char tls[MSG_WORD_SIZE];   /* "TLSv1.3", "none" */
	char ended[MSG_WORD_SIZE]; /* why, session_end_name(); empty: not, or nobody has told */
	int64_t end;		   /* time(2); 0: the same */
	uint64_t messages;	   /* at login */
	/* What the session said at its end, as in its log line. */
	uint64_t retrieved, retrieved_octets, deleted, left;
	struct last_failed failed;
};

/* Read the file in `dir` and keep logins from now on, or remove it if `keep` is 0, as last_tick()
 * does; one that cannot be used is told in a warning
 * (one that cannot be made not, if `quiet`).  A file that is damaged, of another form, or that
 * others may read or write is renamed to last-logins.refused.  Without this call nothing is
 * kept. */
void last_open(const char *dir, uint32_t keep, bool quiet);

/* A login: `l` is copied, without what the ends are about. */
void last_login(const struct last *l);

/* The session of that login has ended at `now`; of another login of the user nothing is changed. */
void last_end(const char *user, const struct msg_session_end *end, int64_t now);

/* A login of that user has failed. */
void last_failed(const char *user, const struct last_failed *f);

/* The last login of a user; NULL: none is known. */
const struct last *last_find(const char *user);

/* The next one, from the newest (NULL) to the oldest; NULL: that was it. */
const struct last *last_next(const struct last *l);

/* Is anything kept? */
bool last_is_kept(void);

/*
 * Once a second, at `ms` (clock_ms()) and `now` (time(2)): write the file if it is time to, forget
 * logins that are older than `keep` seconds.  0: keep none, and remove the file.
 */
void last_tick(uint32_t keep, uint64_t ms, int64_t now);

/* Write what is not written, which waits for the disk, and forget all. */
void last_close(void);

#endif
