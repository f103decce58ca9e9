/*
 * Login workers, in generations: a reload starts a new one, the old one takes
 * nothing new and ends with its last connection.
 */
#ifndef POP3D_WORKERS_H
#define POP3D_WORKERS_H

#include "daemon/roles/certificate_list.h"
#include "daemon/roles/child.h"
#include "daemon/base.h"

struct conn;
struct server;

TAILQ_HEAD(conn_list, conn);

struct worker {
	TAILQ_ENTRY(worker) next;
	struct child child;
	struct master *master;
	uint32_t number, generation;
	uint64_t helper, keys; /* the processes that it has channels to; 0: none yet */
	uint32_t connections;  /* undecided or relayed */
	struct conn_list conns;
	bool draining;
	bool refused;		   /* could not serve with its settings */
	uint64_t turn;		   /* when it got its last connection, in connections given out */
	uint64_t done_since;	   /* clock_ms(): since then it should have ended */
	bool used;		   /* one-shot worker: it had its connection */
	struct msg_ready confined; /* what it said of its confinement */
	struct certificate_list certificates; /* what it serves */
};

struct workers *workers_new(void);

/* A new generation: from here on workers are started with these settings, borrowed until another
 * generation begins or this one is abandoned. */
void workers_begin_generation(struct master *m, const struct conf *conf);

/* Start as many of the newest generation as the settings say, and give each its channels to the
 * helper and to the key process. */
void workers_settle(struct master *m);

/* It says so; `why` is logged, and its end awaited. */
void worker_is_ready(struct worker *w, const struct msg_ready *ready);
void worker_is_refused(struct worker *w, const char *why);

/* Are all workers of the newest generation ready? */
bool workers_ready(const struct master *m);

/* Have the newest ones, if they are ready, the certificate of this server? */
bool workers_know(const struct master *m, const struct server *s);

/* The newest generation serves from now on; older ones drain. */
void workers_switch(struct master *m);

/* The newest generation was refused: end it, keep the one that serves. */
void workers_abandon(struct master *m);

/* How many generations drain; close the connections of the oldest one. */
unsigned workers_old_generations(const struct master *m);
void workers_close_oldest(struct master *m);

/* The worker with room whose turn it is; NULL: all are full. */
struct worker *workers_pick(struct master *m);

/* It is given a connection. */
void workers_took(struct master *m, struct worker *w);

/* Have the worker of this number close a connection that has not logged in. */
void workers_shed(struct master *m, uint32_t number);

/* Kill the worker of this number: its channel to the helper ended with that errno. */
void workers_kill(struct master *m, uint32_t number, int error);

/* One of those that serve; NULL: there is none now. */
const struct worker *workers_serving(const struct master *m);

/* The next one after `w` (NULL: the first), oldest first. */
const struct worker *workers_next(const struct master *m, const struct worker *w);

void workers_heartbeat(struct master *m);
/* Once a second: workers that should have ended. */
void workers_tick(struct master *m);
void workers_drain_all(struct master *m);
void workers_kill_all(struct master *m);
#endif
