/*
 * The helper's copy of master's connection table.  Master alone says what a
 * connection is; a worker's request is judged against these rows.
 */
#ifndef POP3D_AUTH_ROWS_H
#define POP3D_AUTH_ROWS_H

#include <bsd/sys/tree.h>
#include <stdbool.h>

#include "common/msg.h"

struct child;
struct request;

struct row {
	RB_ENTRY(row) by_id;
	struct msg_conn conn;
	struct request *request; /* login under way; NULL: none */
	bool granted;		 /* master has a grant for it */
	struct child *keeper;	 /* keeps its PAM session; NULL: none */
};

/* Empty when its octets are 0. */
RB_HEAD(rows, row);

/* The row of a connection, or NULL. */
struct row *rows_find(struct rows *t, conn_id id);

/* Add the row, or renew what it says of the connection.  NULL: no memory. */
struct row *rows_set(struct rows *t, const struct msg_conn *conn);

/* Remove and free it; request and keeper are the caller's affair. */
void rows_remove(struct rows *t, struct row *row);

#endif
