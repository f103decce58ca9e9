/*
 * From complete credentials to the end of the login: helper and master decide,
 * the worker waits and replies.
 */
#ifndef POP3D_LOGIN_LOGIN_H
#define POP3D_LOGIN_LOGIN_H

#include "worker/login/conn.h"

/* Room for the credentials of `c`, zeroed.  NULL: no memory. */
struct msg_login_ask *login_begin(struct conn *c);
/* CONN_ASK and all output has left: put the request. */
void login_ask(struct conn *c);

/* The helper refused, and it is time to say so; `last`: of too many, so close. */
void login_refused(struct conn *c, enum login_result result, bool last);
/* Granted, but no session took it. */
void login_failed(struct conn *c, enum login_result result);
/* A session has it.  With TLS `fd` is the relay's end (-1: it was lost) and `acked` the memfd of
 * common/acked.h; else -1. */
void login_taken(struct conn *c, int fd, int acked);
/* The helper ended before it answered; master may have the grant already. */
void login_orphan(struct conn *c);
/* Nobody decided in time. */
void login_expired(struct conn *c);
/* End a connection without a session; its login may be being decided. */
void login_give_up(struct conn *c, enum conn_end why);

#endif
