/*
 * The spawner, its spares, and the sessions that they become.
 */
#ifndef POP3D_SESSIONS_H
#define POP3D_SESSIONS_H

#include <bsd/sys/queue.h>

#include "common/scoreboard.h"
#include "daemon/log/admit.h"
#include "daemon/roles/child.h"
#include "daemon/base.h"

struct conn;

/* What it asked of a locked mailbox, and what was asked of it (table/takeover.h). */
struct takeover {
	struct msg_lock_place
	    place;	/* what it has locked or claimed, as it says; inode 0: nothing */
	unsigned asked; /* how often it has asked */
	conn_id awaits; /* the connection whose session is to end for it; 0: none */
	uint64_t told;	/* clock_ms() when it was told to end; 0: never */
	bool killed;	/* because it did not */
};

struct session {
	TAILQ_ENTRY(session) next;
	struct master *master;
	struct evchannel ec;
	uint32_t spawner; /* number of the spawner that made it */
	pid_t pid;	  /* as the kernel vouched for it */
	int pidfd;
	struct log_bucket bucket; /* what it may still log */
	struct event *on_gone;	  /* the channel ended: waits for the process to be gone */
	bool spare;		  /* has no grant yet */
	conn_id id;		  /* of its grant, and whose it is */
	uint32_t uid;
	char user[MSG_NAME_SIZE];
	bool hello;	   /* spare that has spoken */
	bool dying;	   /* its channel ended */
	bool opened;	   /* MSG_SESSION_OPEN came */
	bool refused;	   /* and said that the mailbox could not be opened */
	bool reported;	   /* MSG_SESSION_END came */
	uint64_t messages; /* when it was opened */
	uint64_t receipts; /* that came */
	char *receipt; /* a line that waits for the log (receipts.h), nothing is heard meanwhile;
			  NULL: none */
	TAILQ_ENTRY(session) in_receipts;
	struct msg_session_end end;
	struct takeover takeover;
	int scoreboard; /* memfd: what it is doing (common/scoreboard.h); -1: spare */
	struct conn *conn;
};

struct sessions *sessions_new(void); /* NULL: no memory */
/* After sessions_stop(), or before anything was started; NULL: nothing. */
void sessions_free(struct sessions *ss);
/* A spawner, after a crash a fresh one, and as many spares as there should be: those of the
 * settings and one for each of the `waiting` grants. */
void sessions_settle(struct master *m, uint32_t waiting);
/* A fresh spawner with the settings in force; the old one's sessions live on. */
void sessions_renew(struct master *m);
bool sessions_ready(const struct master *m);

/* A spare has spoken, and the kernel vouches for its pid.  0, or -1: it did before, or has none. */
int sessions_hello(struct session *s, pid_t pid);

/* A line of its log, if it may still write one. */
void sessions_log(struct session *s, const struct msg_log *line);

/* A session said how it is confined, for the status. */
void sessions_confined(struct master *m, uint32_t landlock_abi);

/* What a session that was killed has to report. */
extern const struct msg_session_end session_end_unreported;

/* A spare that may be given a grant; NULL: none now. */
struct session *sessions_take_spare(struct master *m);

/* Give it the grant, the stream, with TLS the memfd of common/acked.h (-1: none), and a scoreboard
 * to write its state on.  0 or -1. */
int sessions_serve(struct session *s, const struct msg_grant *g, size_t len, int stream, int acked);

/* Ask it to bring its scoreboard up to date and say so (MSG_STATE). */
void sessions_ask_state(struct session *s);

/* Read its scoreboard and trust nothing in it: 0, or -1 if it cannot be read.  In *deleted (may
 * be NULL) a malloc'ed list of out->ndeleted numbers, the caller's. */
int sessions_read_scoreboard(const struct session *s, struct scoreboard_head *out,
			     uint32_t **deleted);

/* Kill it, by pidfd. */
void sessions_kill(struct session *s);

/* A session was reaped, by its spawner or, after that one's end, by us. */
void sessions_exited(struct master *m, pid_t pid, int status);

/* Is this user kept out for now, since sessions of his crashed? */
bool sessions_keep_out(const struct master *m, uint32_t uid, const char *user);

/* The spawner and its sessions now. */
struct sessions_status {
	pid_t pid; /* of the spawner */
	uint32_t spares;
	size_t sessions;
	uint32_t seccomp;   /* of the spawner; 1: filter attached */
	bool landlock_told; /* a session has opened a mailbox, with this ABI in force: */
	uint32_t landlock_abi;
};
void sessions_status(const struct master *m, struct sessions_status *out);

void sessions_heartbeat(struct master *m);
void sessions_stop(struct master *m);
void sessions_kill_all(struct master *m);

#endif
