/*
 * Listening sockets, and the limits at the door.
 */
#ifndef POP3D_LISTENERS_H
#define POP3D_LISTENERS_H

#include "daemon/master.h"

struct listeners *listeners_new(struct master *m);

/* Take over the sockets that a service manager handed us (sd_listen_fds(3)). */
void listeners_inherit(struct master *m);

/*
 * Bind what `conf` asks for and is not bound yet.  Nothing is accepted before
 * listeners_use.  0, or -1 (logged; what was newly bound is closed again).
 */
int listeners_bind(struct master *m, const struct conf *conf);

/* Close what `conf` no longer asks for. */
void listeners_use(struct master *m, const struct conf *conf);

/* Accept, or let clients wait in the backlog.  Both idempotent. */
void listeners_resume(struct master *m);
void listeners_pause(struct master *m);

void listeners_close(struct master *m);

/* A connection from this address has ended. */
void listeners_release(struct master *m, const struct msg_addr *peer);

#endif
