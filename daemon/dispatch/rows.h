/*
 * The dispatcher's copy of master's connection table.  Master alone says what a
 * connection is; a worker's request is judged against these rows.
 */
#ifndef POP3D_DISPATCH_ROWS_H
#define POP3D_DISPATCH_ROWS_H

#include <bsd/sys/tree.h>
#include <stdbool.h>

#include "common/msg.h"

struct event;
struct request;

/* How far the logins of a connection are. */
enum row_state {
	ROW_OPEN,    /* its worker may ask */
	ROW_ASKED,   /* a request is under way */
	ROW_REFUSED, /* the refusal waits for its time */
	ROW_OVER     /* it was refused for the last time */
};

struct row {
	RB_ENTRY(row) by_id;
	struct msg_conn conn;
	enum row_state state;
	struct request *request;	  /* ROW_ASKED */
	struct msg_login_refused refusal; /* ROW_REFUSED (refusals.h) */
	struct event *delay;		  /* of that; NULL: there was none yet */
	struct msg_login_ask *early;	  /* a login that waits until the row is open; NULL: none */
	uint32_t failures;
	uint8_t failed[MSG_DIGEST_SIZE]; /* of the failure before, if there is one */
};

/* Empty when its octets are 0. */
RB_HEAD(rows, row);

/* The row of a connection, or NULL. */
struct row *rows_find(struct rows *t, conn_id id);

/* Add the row, or renew what it says of the connection.  NULL: no memory. */
struct row *rows_set(struct rows *t, const struct msg_conn *conn);

/* Remove and free it; its request is the caller's affair. */
void rows_remove(struct rows *t, struct row *row);

#endif
