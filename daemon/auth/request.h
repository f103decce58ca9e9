/*
 * One login to be decided, from the worker's request until the answer; or a
 * look-up, from master's.
 */
#ifndef POP3D_AUTH_REQUEST_H
#define POP3D_AUTH_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/msg.h"
#include "common/source.h"

struct event;
struct turn;

struct request {
	TAILQ_ENTRY(request) link; /* in its source's line */
	struct turn *turn;	   /* its source; NULL: not in a queue */
	bool waits;		   /* no child has it yet */
	struct event *patience;	   /* ends its waiting for a child */
	struct event *pace;	   /* before it asks for one (pace.h); NULL: it never waited */
	uint64_t arrived;	   /* milliseconds, clock_ms() */
	uint32_t waited;	   /* milliseconds that it waited before it asked for a child */
	struct source source;
	struct msg_conn conn; /* the connection as it stood when the request came */
	char server[MSG_SERVER_SIZE];
	uint32_t mech; /* enum login_mech */
	struct msg_tls_facts facts;
	char authzid[MSG_NAME_SIZE], user[MSG_NAME_SIZE];
	struct secret password;		 /* MECH_APOP: a digest; wiped when a child has it */
	uint8_t digest[MSG_DIGEST_SIZE]; /* of name and password, refusals.h */
	bool lookup;		   /* no login: an administrator asks who `user` is (lookups.h) */
	char other[MSG_NAME_SIZE]; /* and where the mailbox of this name would be */
};

/* Make one of what a worker sent; NULL: no memory. */
struct request *request_new(const struct msg_login_ask *ask, const struct msg_conn *conn);

/* No control characters: names go into paths and log lines. */
bool request_name_is_clean(const char *name);

/* Wipe and free.  It must have left its queue. */
void request_free(struct request *r);

#endif
