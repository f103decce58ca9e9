/*
 * The process as a whole: its settings, its channels to master, auth helper and key process,
 * its connections.
 */
#ifndef POP3D_LOGIN_WORKER_H
#define POP3D_LOGIN_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/tree.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/channel_event.h"
#include "common/pop3.h"

struct conn;
RB_HEAD(conn_tree, conn);

/* Time limits that many connections share, so that libevent keeps each kind in a plain list. */
enum worker_timer {
	TIMER_NONE,
	TIMER_LOGIN,	 /* login_timeout; after the first command TIMER_PASSWORD */
	TIMER_PASSWORD,	 /* password_timeout */
	TIMER_HANDSHAKE, /* handshake_timeout */
	TIMER_PROXY,	 /* 3 s for a PROXY header */
	TIMER_FLUSH,	 /* 30 s without progress in sending what is left */
	TIMER_WATCH,	 /* PEER_LOOK_MS between two looks whether the peer is alive */
	TIMER_LINGER,	 /* 2 s for the client to take the last line */
	TIMER_ORPHAN,
	TIMER_DECISION, /* the helper ended; could master still have the grant? */
	TIMER_COUNT
};

enum {
	WORKER_SERVERS_MAX = 1024,
	WORKER_SCRATCH_SIZE = 16384 /* one TLS record */
};

struct worker_server {
	struct msg_login_server conf;
	SSL_CTX *tls;		    /* NULL: no certificate */
	struct worker_server *next; /* a further certificate of the same server */
};

struct worker {
	struct event_base *base;
	struct evchannel master, helper, key;
	struct msg_login_conf conf;
	struct worker_server **servers; /* by index; NULL: not sent */
	size_t nservers;
	struct conn_tree conns;
	size_t nconns, nconns_peak; /* now; most since memory was last given back */
	const struct timeval *timers[TIMER_COUNT];
	bool told;     /* it has its settings; certificates may follow */
	bool serving;  /* confined, `ready` was sent */
	bool draining; /* ends with its last connection */
	bool finished; /* ends when its last message has left */
	char greeting[POP3_RESPONSE_MAX];
	/* What is read goes here first; nothing in it outlives one call. */
	char scratch[WORKER_SCRATCH_SIZE];
};

/* The context of a server, NULL if it has no certificate or is unknown. */
SSL_CTX *worker_tls(const struct worker *w, uint32_t server);

/* Put in or take out; keeps count, title and the end of a draining worker. */
void worker_add(struct worker *w, struct conn *c);
void worker_remove(struct worker *w, struct conn *c);
/* NULL: there is none of that id. */
struct conn *worker_find(struct worker *w, conn_id id);

/* Take nothing new; end with the last connection. */
void worker_drain(struct worker *w);

/* End the process when its last message to master has left. */
void worker_finish(struct worker *w);

/* main.c: all settings are there; load certificates and drop every right.
 * 0, or -1 and in `why` what is wrong, for the administrator. */
int worker_confine(struct worker *w, struct msg_ready *ready, char *why, size_t cap);

#endif
