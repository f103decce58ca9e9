/*
 * One client's connection: its life, its states, its output.
 *
 * Everything that happens to a connection is one call from the event loop or
 * from a message; it ends with conn_settle, which writes, arms the events that
 * the state asks for, or closes.  Handlers in between only change the state.
 */
#ifndef POP3D_LOGIN_CONN_H
#define POP3D_LOGIN_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/tree.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/msg.h"
#include "common/replies.h"
#include "worker/login/line.h"
#include "worker/login/sasl.h"
#include "worker/login/stream.h"
#include "worker/login/worker.h"

struct proxy;
struct relay;

enum conn_state {
	CONN_PROXY,	 /* a load balancer is to say whose connection it is */
	CONN_PROXY_WAIT, /* master was told */
	CONN_HANDSHAKE,	 /* TLS is being agreed on */
	CONN_COMMAND,	 /* AUTHORIZATION: a command line is due */
	CONN_SASL,	 /* in an exchange: a response is due */
	CONN_ASK,	 /* credentials are complete; asks when its output has left */
	CONN_LOGIN,	 /* helper or master decide; a plain socket is not touched */
	CONN_STLS_WAIT,	 /* master was asked for TLS */
	CONN_STLS_GO,	 /* +OK is leaving, then the handshake begins */
	CONN_RELAY,	 /* logged in; octets pass between TLS and session */
	CONN_LAST,	 /* what waits is leaving, then it ends */
	CONN_LINGER,	 /* our end is closed; the client may read on for a moment */
	CONN_ENDED,	 /* conn_settle frees it */
	CONN_STATE_COUNT
};

/* Octets that the kernel had no room for yet. */
struct conn_output {
	char *octets;
	size_t len, at, cap;
};

struct conn {
	RB_ENTRY(conn) link;
	struct worker *w;
	struct msg_conn row; /* tls is renewed here after STLS */
	struct stream stream;
	struct event on_read, on_write, timer;
	enum conn_state state;
	enum conn_end why;     /* from CONN_LAST on */
	bool reading, writing; /* which of the events are armed */
	bool greeted;	       /* a whole line came: it speaks POP3 */
	bool handed_over;      /* a session has the socket: touch it no more */
	bool relayed;	       /* it was logged in */
	bool orphaned;	       /* in CONN_LOGIN: the helper that was asked has gone */
	bool undecided;	       /* given up while a session may have the socket: no shutdown */
	uint32_t failures;     /* failed logins */
	uint32_t refused_commands;
	uint64_t since;	 /* clock_ms() of its beginning */
	uint64_t asked;	 /* clock_ms() when its login was asked for, in CONN_LOGIN */
	size_t lingered; /* octets thrown away in CONN_LINGER */
	struct line line;
	struct conn_output out;
	char *user;	  /* from the USER that just went before; NULL: none */
	char *name;	  /* given last, kept for pop3ctl; NULL: none */
	bool user_chosen; /* USER came and no PASS since: no APOP then */
	bool in_apop;	  /* a login by APOP is under way */
	struct sasl sasl;
	struct msg_login_ask *ask; /* credentials until they are sent */
	struct relay *relay;
	struct proxy *proxy; /* the header, while it comes */
};

int conn_compare(const struct conn *a, const struct conn *b);
RB_PROTOTYPE(conn_tree, conn, link, conn_compare)

/* A new connection of master's table; takes `fd`. */
void conn_new(struct worker *w, const struct msg_conn *row, int fd);

/* Begin to serve: a handshake, or the greeting. */
void conn_begin(struct conn *c);

/* Add the greeting to the output, with the row's timestamp if APOP is on. */
void conn_greet(struct conn *c);

/* Every way into a connection ends with this.  It may free `c`. */
void conn_settle(struct conn *c);

/* Change one event only if it has to be: each change is a system call.  *armed: as it is. */
void conn_arm_event(struct event *ev, bool *armed, bool wanted);

/* Change the state; its time limit begins anew. */
void conn_enter(struct conn *c, enum conn_state state);
/* Let the time limit begin anew, or another one. */
void conn_set_timer(struct conn *c, enum worker_timer timer);

/* Add a response to the output; conn_settle writes all of it at once. */
void conn_reply(struct conn *c, const char *text, size_t len);
/* The same for a reply of the table. */
void conn_say(struct conn *c, enum reply reply);
/* Write octets now and keep what does not fit.  0, or -1: the connection has ended. */
int conn_send(struct conn *c, const char *octets, size_t len);
/* Does output wait? */
bool conn_has_output(const struct conn *c);

/* End after what waits has been sent: close_notify, FIN, and time for the client to read it. */
void conn_finish(struct conn *c, enum conn_end why);
/* End now, sending nothing more. */
void conn_end(struct conn *c, enum conn_end why);

/* Logins that need no TLS of their own may be made now. */
bool conn_is_secure(const struct conn *c);
/* STLS would be accepted now. */
bool conn_offers_stls(const struct conn *c);

/* Forget name, exchange and credentials of a login that did not come about. */
void conn_forget_login(struct conn *c);

#endif
