/*
 * From complete credentials to the end of the login: helper and master decide,
 * the worker waits, delays and replies.
 */
#ifndef POP3D_LOGIN_LOGIN_H
#define POP3D_LOGIN_LOGIN_H

#include "worker/login/conn.h"

/* Room for the credentials of `c`, zeroed.  NULL: no memory. */
struct msg_login_ask *login_begin(struct conn *c);
/* CONN_ASK and all output has left: put the request. */
void login_ask(struct conn *c);

/* The helper refused; the reply is due in `delay` milliseconds. */
void login_refused(struct conn *c, enum login_result result, uint32_t delay);
/* CONN_DELAY: it is time. */
void login_reply(struct conn *c);
/* Granted, but no session took it. */
void login_failed(struct conn *c, enum login_result result);
/* A session has it.  With TLS `fd` is the relay's end (-1: it was lost) and `acked` the page of
 * common/acked.h; else -1. */
void login_taken(struct conn *c, int fd, int acked);
/* The helper ended before it answered; master may have the grant already. */
void login_orphan(struct conn *c);
/* Nobody decided in time. */
void login_expired(struct conn *c);

#endif
