/*
 * STLS and the TLS handshake of a connection (RFC 2595 section 4).
 */
#ifndef POP3D_LOGIN_HANDSHAKE_H
#define POP3D_LOGIN_HANDSHAKE_H

#include "worker/login/conn.h"

/* Begin TLS on a new connection, or after the +OK to STLS has left. */
void handshake_begin(struct conn *c);
/* CONN_HANDSHAKE: the socket is ready. */
void handshake_step(struct conn *c);
/* CONN_HANDSHAKE: it took too long. */
void handshake_expired(struct conn *c);
/* CONN_STLS_WAIT: master has renewed the row. */
void handshake_go(struct conn *c);

#endif
