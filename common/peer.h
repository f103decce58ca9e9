/*
 * Is there anybody at the other end of a TCP connection?
 */
#ifndef POP3D_PEER_H
#define POP3D_PEER_H

enum { PEER_LOOK_MS = 30000, PEER_DEAD_MS = 120000 };

/*
 * Look at a connection on which octets wait to be acknowledged (tcp(7),
 * TCP_INFO).  1: nobody has acknowledged anything for PEER_DEAD_MS though asked; 0: it lives,
 * a client that reads nothing included; -1: nothing waits, or it is no TCP socket.
 */
int peer_is_dead(int fd);

#endif
