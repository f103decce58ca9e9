/*
 * What the files of the connection table share: conns.c (the table, and the way
 * of a connection to its login), grants.c (from the grant to the session) and
 * deadlines.c (how long a row may stay in each state).
 */
#ifndef POP3D_CONNS_PRIV_H
#define POP3D_CONNS_PRIV_H

#include "daemon/table/conns.h"
#include "daemon/roles/workers.h"

RB_HEAD(conn_tree, conn);

struct conns {
	struct conn_tree tree;
	struct conn_list waiting; /* CONN_WAITING, oldest first */
	struct conn_list granted; /* CONN_GRANTED, oldest first */
	struct conn_list due;	  /* with an answer for their worker, oldest first */
	size_t count, undecided, ngranted, noffered, nlookups, njobs;
	uint64_t looked; /* clock_ms(): for deadlines */
	conn_id last;
};

int conns_compare(const struct conn *a, const struct conn *b);
RB_PROTOTYPE(conn_tree, conn, by_id, conns_compare)

/* Is it known whose connection it is?  Not before its PROXY header, if there is to be one. */
bool conns_is_known(const struct conn *c);

/* Close what is open, and note that. */
void conns_close_fd(int *fd);

/* A new row of the server's, in the table, with an id, to be given a state.  NULL: no memory. */
struct conn *conns_add(struct master *m, struct server *server);

/* Its user is known: find it a session.  Takes the grant over, which may be NULL (no memory). */
void conns_grant(struct master *m, struct conn *c, struct msg_grant *grant);

/* Log the end that its session told, or that the worker was lost, if the session took that for its
 * client's end. */
void conns_report_end(struct conn *c);

/* Not the worker's any more. */
void conns_leave_worker(struct master *m, struct conn *c);

/* Into a state: out of the former one's queue, into that of this one. */
void conns_set_state(struct master *m, struct conn *c, enum conn_state state);

/* Its worker is to have this answer. */
void conns_set_due(struct master *m, struct conn *c, enum conn_due due);

/* Give grants to spares. */
void conns_settle_grants(struct master *m);

/* Its grant comes to nothing: the client hears `result`, the log `reason`.  It may be freed on
 * return. */
void conns_grant_failed(struct master *m, struct conn *c, enum login_result result,
			const char *reason);

/* Its worker, if it has one, is to end it now. */
void conns_drop(struct conn *c);

/* Its time in a state, or in the next part of CONN_SESSION, begins. */
void conns_set_deadline(struct master *m, struct conn *c);

/* Out of the table, with all that belongs to it. */
void conns_free(struct master *m, struct conn *c);

/* That, if nobody serves it any more: neither a worker nor a session. */
void conns_free_if_done(struct master *m, struct conn *c);

#endif
