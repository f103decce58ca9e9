/*
 * One row of the connection table: what a connection is.  The table (conns.h) is
 * the only one that changes it.
 */
#ifndef POP3D_CONN_H
#define POP3D_CONN_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>

#include "common/msg.h"

struct job;
struct server;
struct session;
struct worker;

enum conn_state {
	CONN_NEW,     /* being made */
	CONN_WAITING, /* its row has not left for the helper yet */
	CONN_LOGIN,   /* with its worker, before login */
	CONN_LOOKUP,  /* a job (jobs.h), while the helper looks its user up */
	CONN_GRANTED, /* logged in, waits for a spare */
	CONN_OFFERED, /* a spare was given the stream and has not answered */
	CONN_SESSION  /* a session serves it */
};

/* An answer that lets a worker act: it leaves when the helper knows what the worker will act on. */
enum conn_due { CONN_DUE_NOTHING, CONN_DUE_STLS_GO, CONN_DUE_RENEWED, CONN_DUE_FAILED };

/* Who logged in, for the log; kept from the grant to the end. */
struct conn_login {
	char user[MSG_NAME_SIZE];
	uint32_t uid, mech;
	char mailbox[MSG_PATH_SIZE];
	struct msg_tls_facts facts;
	int64_t since;	  /* time(2) when a session took it */
	uint64_t granted; /* clock_ms() */
};

struct conn {
	RB_ENTRY(conn) by_id;
	TAILQ_ENTRY(conn) in_queue; /* waiting rows, or grants without a spare */
	TAILQ_ENTRY(conn) in_worker;
	enum conn_state state;
	struct msg_conn row;
	struct msg_addr balancer;	       /* that announced the peer; family 0: none */
	struct msg_balancer_tls *balancer_tls; /* what it said of TLS; NULL: nothing */
	bool uncounted;			       /* by the limits of networks */
	struct server *server;
	uint64_t since;	       /* clock_ms() when it came into its state */
	uint64_t deadline;     /* clock_ms() when that is over (deadlines.c); 0: never */
	unsigned overdue;      /* looks in a row at a session that should have ended itself */
	uint32_t idle_timeout; /* seconds, as its session was told */
	uint64_t accepted;     /* clock_ms() */
	int fd;		       /* master's copy of the socket; -1: given away */
	int stream, relay;     /* with TLS and for jobs, while offered: the session's end, and the
				* worker's or the administrator's */
	int acked;	       /* with TLS, while offered: the memfd of common/acked.h */
	struct worker *worker; /* NULL: it is done with it */
	bool worker_lost;      /* ... because that ended, with the client's TLS */
	bool dropped;	       /* its worker was told to end it */
	bool asked;	       /* for its state, and has not answered */
	bool end_due; /* its session said that the client closed: the worker knows better */
	struct msg_session_end end; /* what it said, if so */
	struct session *session;    /* offered to, or serving */
	struct msg_grant *grant;    /* until a session has it */
	struct conn_login *login;
	struct job *job;	  /* there is no client: no peer, no worker; else NULL */
	unsigned tries;		  /* spares that it was offered to */
	enum conn_due due;	  /* what its worker waits for */
	enum login_result failed; /* with CONN_DUE_FAILED */
	TAILQ_ENTRY(conn) in_due;
};

#endif
