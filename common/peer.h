/*
 * Is there anybody at the other end of a TCP connection?
 */
#ifndef POP3D_PEER_H
#define POP3D_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* How often to look, and after what time without an answer it is dead: two minutes in all. */
enum { PEER_LOOK_MS = 10000, PEER_DEAD_MS = 110000 };

/*
 * Look at a connection on which octets wait to be acknowledged (tcp(7),
 * TCP_INFO).  1: nobody has acknowledged anything for PEER_DEAD_MS though asked; 0: it lives,
 * a client that reads nothing included; -1: nothing waits, or it is no TCP socket.
 */
int peer_is_dead(int fd);

/* What the kernel knows, by the names of its struct tcp_info. */
struct peer_facts {
	uint32_t unacked;	/* segments under way */
	uint32_t notsent;	/* octets that have not left, behind a closed window */
	uint32_t probes;	/* of that window, not answered */
	uint32_t last_ack_recv; /* milliseconds ago */
};

/* What peer_is_dead() makes of it. */
int peer_judge(const struct peer_facts *facts);

#endif
