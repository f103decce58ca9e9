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
/* CONN_HANDSHAKE: does it wait for the client? */
bool handshake_wanted(const struct conn *c);
/* CONN_HANDSHAKE: the signature that it waits for; NULL: there will be none. */
void handshake_signed(struct conn *c, const struct msg_signed *answer);
/* CONN_HANDSHAKE: it took too long. */
void handshake_expired(struct conn *c);
/* CONN_STLS_WAIT: master has renewed the row. */
void handshake_go(struct conn *c);

#endif
