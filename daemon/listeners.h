/*
 * Listening sockets, and the limits at the door.
 */
#ifndef POP3D_LISTENERS_H
#define POP3D_LISTENERS_H

#include "daemon/master.h"
#include "daemon/servers.h"

struct listeners *listeners_new(struct master *m);

/* Take over the sockets that a service manager handed us (sd_listen_fds(3)). */
void listeners_inherit(struct master *m);

/*
 * Bind the addresses of `set` that are not bound for this server yet.  Nothing is accepted on
 * the new ones before listeners_commit.  0, or -1 with `why`; what was newly bound is closed then.
 */
int listeners_open(struct master *m, struct server *s, const struct conf_server *set,
    char why[MSG_PATH_SIZE]);

/* Close what s->set no longer asks for, serve on the rest. */
void listeners_commit(struct master *m, struct server *s);

/* Close what was opened and not committed. */
void listeners_abandon(struct master *m, struct server *s);

/* Close all of a server's; inherited ones stay with us, and are not listened to. */
void listeners_close(struct master *m, struct server *s);
void listeners_close_all(struct master *m);

/* The port of a server's first listener; 0: it has none. */
uint16_t listeners_port(const struct master *m, const struct server *s);
/* Has it a socket of the service manager? */
bool listeners_inherited(const struct master *m, const struct server *s);

/* Accept, or let clients wait in the backlog.  Both idempotent. */
void listeners_resume(struct master *m);
void listeners_pause(struct master *m);

/* A connection from this address has ended. */
void listeners_release(struct master *m, const struct msg_addr *peer);

#endif
