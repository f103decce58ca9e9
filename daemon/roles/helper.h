/*
 * The auth helper as master sees it: the gate (pop3d-auth), which has passwords
 * checked, and the dispatcher (pop3d-dispatch) between it and the workers.
 */
#ifndef POP3D_HELPER_H
#define POP3D_HELPER_H

#include "daemon/roles/child.h"
#include "daemon/base.h"

struct helper *helper_new(void); /* NULL: no memory */
/* After helper_stop(), or before it was started; NULL: nothing. */
void helper_free(struct helper *h);
/* May it be started now?  Else master settles again when it may.  Then start it. */
bool helper_may_start(const struct master *m);
void helper_start(struct master *m);
/* Tell it of servers that have changed; let workers ask it when it knows all rows. */
void helper_settle(struct master *m);
/* Which one workers may ask, counted from 1; 0: none now. */
uint64_t helper_number(const struct master *m);
/* Send (again) the settings of m->conf. */
void helper_configure(struct master *m);
bool helper_runs(const struct master *m); /* it may not be ready yet */
bool helper_ready(const struct master *m);

/* Send; dropped without an error when there is no helper: a new one is told all rows. */
void helper_row(struct master *m, const struct msg_conn *row);
void helper_row_gone(struct master *m, conn_id id);
void helper_grant_void(struct master *m, conn_id id);
void helper_worker_new(struct master *m, uint32_t worker, int fd);
void helper_worker_gone(struct master *m, uint32_t worker);

/* Ask who a job's user is; MSG_FOUND is the answer.  0 or -1: it is not there. */
int helper_lookup(struct master *m, const struct msg_lookup *ask);

/* Has everything sent so far left our queue? */
bool helper_is_clear(const struct master *m);

/* Its process of that role, ROLE_AUTH or ROLE_DISPATCH; whose helper it is. */
struct child *helper_child(const struct master *m, enum role role);
struct master *helper_master(const struct child *c);

/* It refused a login; how many it refused in the last 60 seconds. */
void helper_count_refused(struct master *m);
unsigned helper_failed_logins(struct master *m);

/* Counts of failed logins that have changed; the next dispatcher is told all of them. */
void helper_keep_failures(struct master *m, const struct msg_failures *told);

void helper_heartbeat(struct master *m);
void helper_stop(struct master *m);

#endif
