/*
 * A connection whose PROXY header is still to come: nothing else of it is looked
 * at before master knows whose it is.
 */
#ifndef POP3D_LOGIN_HEADER_H
#define POP3D_LOGIN_HEADER_H

#include "worker/login/conn.h"

/* Wait for the header. */
void header_begin(struct conn *c);
/* For the table of states in conn.c. */
void header_readable(struct conn *c);
void header_expired(struct conn *c);

/* Master has renewed the row: begin, or refuse. */
void header_go(struct conn *c, const struct msg_conn *row);

#endif
