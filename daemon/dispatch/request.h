/*
 * One login to be decided, from the worker's request until the answer.
 */
#ifndef POP3D_DISPATCH_REQUEST_H
#define POP3D_DISPATCH_REQUEST_H

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
	bool waits;		   /* the gate does not have it yet */
	struct event *patience;	   /* ends its waiting */
	struct event *pace; /* before it asks to be checked (pace.h); NULL: it never waited */
	uint64_t arrived;   /* milliseconds, clock_ms() */
	uint64_t put;	    /* the same when it was put to the gate; before that `arrived` */
	uint32_t waited;    /* milliseconds that it waited before that */
	struct source source;
	struct msg_conn conn; /* the connection as it stood when the request came */
	char server[MSG_SERVER_SIZE];
	uint32_t mech; /* enum login_mech */
	struct msg_tls_facts facts;
	char authzid[MSG_NAME_SIZE], user[MSG_NAME_SIZE];
	struct secret password;		 /* MECH_APOP: a digest; wiped when the gate has it */
	uint8_t digest[MSG_DIGEST_SIZE]; /* of name and password, refusals.h */
};

/* Make one of what a worker sent; NULL: no memory. */
struct request *request_new(const struct msg_login_ask *ask, const struct msg_conn *conn);

/* Wipe and free.  It must have left its queue. */
void request_free(struct request *r);

#endif
