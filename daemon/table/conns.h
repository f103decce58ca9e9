/*
 * The connection table: the only authority on what a connection is, and the
 * way of a connection from accept to its end.
 */
#ifndef POP3D_CONNS_H
#define POP3D_CONNS_H

#include "daemon/base.h"
#include "daemon/table/conn.h"

struct ports_calls;

struct conns *conns_new(struct master *m);

/* For the listeners: a client was accepted. */
extern const struct ports_calls conns_ports_calls;

/* End what has stood in its state for too long, and what a lost helper will not answer
 * (deadlines.c). */
void conns_expire(struct master *m);

/* Do what has become possible: tell workers what they wait for, give rows to workers and grants to
 * spares. */
void conns_settle(struct master *m);

/* Accept clients, unless some wait for a worker already or too many have not logged in. */
void conns_accept(struct master *m);

/*
 * Start the helper when it is not there, and tell it every undecided row.  Not while there are rows
 * of which the one before has decided and that no session has yet: the new one would answer for a
 * connection which a session is about to have.
 */
void conns_start_helper(struct master *m);

/* A spare for each grant that waits. */
void conns_order_spares(struct master *m);

/* Does the connection belong to the worker? */
bool conns_is_of_worker(struct master *m, const struct worker *w, conn_id id);

/* From a worker.  False: too late, the connection is not the worker's any more or has moved on. */
bool conns_stls_asked(struct master *m, struct worker *w, conn_id id);
bool conns_proxied(struct master *m, struct worker *w, const struct msg_proxied *said);
bool conns_worker_done(struct master *m, struct worker *w, const struct msg_conn_end *end);
void conns_worker_lost(struct master *m, struct worker *w);

/* From the helper.  False: too late, the connection has gone or has a grant. */
bool conns_granted(struct master *m, const struct msg_grant *grant, size_t len);

/* From a session. */
void conns_taken(struct master *m, struct conn *c);
void conns_opened(struct master *m, struct conn *c, const struct msg_session_open *open);
void conns_session_gone(struct master *m, struct conn *c, const struct msg_session_end *end);
/* The spare died or stalled before it had the grant. */
void conns_not_taken(struct master *m, struct conn *c);

/* End a connection now: no line more, no UPDATE.  It may be freed on return. */
void conns_kill(struct master *m, struct conn *c);
void conns_kill_server(struct master *m, struct server *s);

/* Ask whoever has it for its state, unless it owes an answer; that wakes who waits for WAIT_STATE
 * (waiters.h). */
void conns_ask_state(struct conn *c);
/* The answer; a session's is on its scoreboard. */
bool conns_worker_told_state(struct master *m, const struct worker *w,
			     const struct msg_conn_state *state);
void conns_session_told_state(struct master *m, struct conn *c);

struct conn *conns_find(struct master *m, conn_id id);
/* The next one after `c` (NULL: the first), oldest first. */
struct conn *conns_next(struct master *m, struct conn *c);

/* Close every undecided connection; sessions are not touched. */
void conns_drop_undecided(struct master *m);

size_t conns_count(const struct master *m);
/* Logins whose descriptors have not been given away yet. */
size_t conns_undecided(const struct master *m);

#endif
