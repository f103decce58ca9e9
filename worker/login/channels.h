/*
 * What the worker says to master and auth helper, and what it does on their
 * messages.
 */
#ifndef POP3D_LOGIN_CHANNELS_H
#define POP3D_LOGIN_CHANNELS_H

#include "worker/login/worker.h"

/* Serve the channel to master in the worker's loop.  0, or -1 with errno. */
int channels_open(struct worker *w, int fd);
void channels_close(struct worker *w);

/* Ask the helper to check credentials.  0, or -1: there is no helper now. */
int channels_ask_login(struct worker *w, const struct msg_login_ask *ask);
/* Ask the key process to sign.  0, or -1: there is none now. */
int channels_ask_signature(struct worker *w, const struct msg_sign_ask *ask);
/* Ask master to let a connection begin TLS. */
void channels_ask_stls(struct worker *w, conn_id id);
/* Tell master whose connection it is, as its PROXY header says. */
void channels_tell_proxied(struct worker *w, const struct msg_proxied *said);
/* Tell master that a connection has ended. */
void channels_conn_end(struct worker *w, const struct msg_conn_end *end);
/* Send one line to the trace, secrets already masked. */
void channels_trace(struct worker *w, conn_id id, bool from_client, const char *text, size_t len);

/* Is so much waiting for master or helper that clients should wait, too? */
bool channels_congested(const struct worker *w);

#endif
