/*
 * After the login of a TLS connection: octets between client and session, with
 * at most one record of 16 KB waiting in each direction.
 */
#ifndef POP3D_LOGIN_RELAY_H
#define POP3D_LOGIN_RELAY_H

#include "worker/login/conn.h"

/* Enter CONN_RELAY; `fd` is the stream to the session, `acked` the memfd of common/acked.h, both
 * taken over.  0, or -1: no memory (they are closed). */
int relay_start(struct conn *c, int fd, int acked);
void relay_free(struct conn *c);

/* Is the client's input wanted now? */
bool relay_wanted(const struct conn *c);
void relay_readable(struct conn *c);
void relay_expired(struct conn *c);
/* Octets reached the client's socket. */
void relay_progress(struct conn *c);
/* Arm the events of the session's side. */
void relay_arm(struct conn *c);

#endif
