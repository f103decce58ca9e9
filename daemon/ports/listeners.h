/*
 * What the servers listen on, accepting, and the limits at the door.
 */
#ifndef POP3D_LISTENERS_H
#define POP3D_LISTENERS_H

#include "daemon/base.h"
#include "daemon/ports/servers.h"

/* What is told of clients. */
struct ports_calls {
	/* One was accepted, and counted in its networks or not: takes over fd; listeners_release()
	 * when its connection has ended. */
	void (*accepted)(struct master *m, struct server *server, int fd,
			 const struct msg_addr *peer, bool uncounted);
};

struct listeners *listeners_new(const struct ports_calls *calls); /* NULL: no memory */
/* After listeners_close_all(), or before anything was bound; NULL: nothing. */
void listeners_free(struct listeners *ls);

/* Take over the sockets that a service manager handed us (sd_listen_fds(3)). */
void listeners_inherit(struct master *m);

/*
 * Bind the addresses and ports of `set` that are not bound for this server yet.  Nothing is
 * accepted on the new ones before listeners_commit.  If `set` is of a configuration that is being
 * taken up (s->coming), what another server lets go of with it is not bound anew but handed over,
 * open as it is, by listeners_hand_over; the `coming` of all servers has to be known by then.
 * 0, or -1 with `why`; what was newly bound is closed then.
 */
int listeners_open(struct master *m, struct server *s, const struct conf_server *set,
		   char why[MSG_PATH_SIZE]);

/* The configuration is adopted: give what it moves to another server to that. */
void listeners_hand_over(struct master *m);

/* Close what s->set no longer asks for, serve on the rest. */
void listeners_commit(struct master *m, struct server *s);

/* Close what was opened and not committed; what was to be handed over stays where it is. */
void listeners_abandon(struct master *m, struct server *s);

/*
 * Close all of a server's; inherited ones stay with us, and are not listened to.  What another one
 * is to have goes to that at once, unserved until it is committed.
 */
void listeners_close(struct master *m, struct server *s);
void listeners_close_all(struct master *m);

/* The port of a server's first listener; 0: it has none. */
uint16_t listeners_port(const struct master *m, const struct server *s);
/* Has it a socket of the service manager? */
bool listeners_inherited(const struct master *m, const struct server *s);

/* Accept, as long as there is room for it, or let clients wait in the backlog.  `fds` descriptors
 * are kept free for connections that there are. */
void listeners_accept(struct master *m, bool on, size_t fds);

/* Once a second: try again what the kernel had no room for. */
void listeners_tick(struct master *m);

/*
 * A connection from `old` turned out to be one from `peer`, and is counted there from now on.
 * CONN_PROXY_TOLD; or CONN_PROXY_FULL: there are too many from its networks, or
 * CONN_PROXY_BARRED: the server does not serve them, and it is counted where it was.
 */
enum conn_proxy listeners_renew(struct master *m, const struct server *s,
				const struct msg_addr *old, bool was_uncounted,
				const struct msg_addr *peer);

/* A connection from this address has ended. */
void listeners_release(struct master *m, const struct msg_addr *peer, bool uncounted);

#endif
