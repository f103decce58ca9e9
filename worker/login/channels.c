#include "config.h"

#include "worker/login/channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/peer.h"
#include "common/title.h"
#include "worker/login/conn.h"
#include "worker/login/handshake.h"
#include "worker/login/header.h"
#include "worker/login/login.h"
#include "worker/login/shed.h"
#include "worker/login/tls.h"

enum {
	CHANNELS_CONGESTED = 256,  /* messages waiting: clients wait, too */
	CHANNELS_QUEUE_BASE = 4096 /* beside what each connection may owe */
};

static int
channels_on_ping(void *who, struct msg *m)
{
	struct worker *w = who;
	evchannel_put(&w->master, MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	return 0;
}

/* The greeting has a host name and no '<', which announces APOP (RFC 1939 section 7). */
static void
channels_make_greeting(struct worker *w)
{
	static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789.-_:";
	const char *host = w->conf.hostname;

	if (host[0] == '\0' || host[strspn(host, name_chars)] != '\0')
		host = "localhost";
	snprintf(w->greeting, sizeof(w->greeting), "+OK %s POP3 server ready", host);
}

static int
channels_on_conf(void *who, struct msg *m)
{
	struct worker *w = who;
	w->conf = m->u.login_conf;
	w->told = true;
	title_detail((enum ps_titles)w->conf.ps_titles);
	channels_make_greeting(w);
	w->master.ch.queue_max = CHANNELS_QUEUE_BASE + 4 * (size_t)w->conf.max_connections;

	const struct timeval limits[TIMER_COUNT] = {
	    [TIMER_LOGIN] = {w->conf.login_timeout, 0},
	    [TIMER_PASSWORD] = {w->conf.password_timeout, 0},
	    [TIMER_HANDSHAKE] = {w->conf.handshake_timeout, 0},
	    [TIMER_PROXY] = {3, 0}, /* the protocol's least */
	    [TIMER_FLUSH] = {30, 0},
	    [TIMER_WATCH] = {PEER_LOOK_MS / 1000, 0},
	    [TIMER_LINGER] = {2, 0},
	    [TIMER_DECISION] = {w->conf.decision_timeout, 0},
	    [TIMER_ORPHAN] = {11, 0}, /* master keeps a grant in its queue for ten seconds */
	};
	for (size_t i = TIMER_NONE + 1; i < TIMER_COUNT; i++)
		w->timers[i] = event_base_init_common_timeout(w->base, &limits[i]);
	return 0;
}

/* Make a place for the server of that index.  0 or -1. */
static int
channels_make_place(struct worker *w, uint32_t index)
{
	struct worker_server **grown;

	if (index < w->nservers)
		return 0;
	if (index >= WORKER_SERVERS_MAX ||
	    (grown = reallocarray(w->servers, index + 1, sizeof(*grown))) == NULL)
		return -1;
	w->servers = grown;
	while (w->nservers <= index)
		w->servers[w->nservers++] = NULL;
	return 0;
}

static int
channels_on_server(void *who, struct msg *m)
{
	struct worker *w = who;
	uint32_t index = m->u.login_server.server;
	struct worker_server *server = calloc(1, sizeof(*server));
	struct worker_server **place;

	if (server == NULL || channels_make_place(w, index) == -1) {
		log_error(0, "server %u cannot be taken on", (unsigned)index);
		free(server);
		return 0;
	}
	server->conf = m->u.login_server;
	for (place = &w->servers[index]; *place != NULL; place = &(*place)->next)
		;
	*place = server;
	return 0;
}

/* Several servers may have the same one. */
static bool
certificate_was_told(const struct worker *w, const struct worker_server *server)
{
	for (size_t i = 0; i < w->nservers; i++)
		for (const struct worker_server *s = w->servers[i]; s != NULL; s = s->next) {
			if (s == server)
				return false;
			if (strcmp(s->conf.certificate, server->conf.certificate) == 0)
				return true;
		}
	return false;
}

static void
channels_tell_certificates(struct worker *w)
{
	struct msg_certificate msg;

	for (size_t i = 0; i < w->nservers; i++)
		for (const struct worker_server *s = w->servers[i]; s != NULL; s = s->next) {
			if (certificate_was_told(w, s))
				continue;
			msg.expires = tls_context_expires(s->tls);
			memcpy(msg.path, s->conf.certificate, sizeof(msg.path));
			evchannel_put(&w->master, MSG_CERTIFICATE, &msg, sizeof(msg));
		}
}

static int
channels_on_start(void *who, struct msg *m)
{
	struct worker *w = who;
	static struct msg_refused refused;
	struct msg_ready ready = {0, 0};

	(void)m;
	if (worker_confine(w, &ready, refused.why, sizeof(refused.why)) == -1) {
		evchannel_put(&w->master, MSG_REFUSED, &refused, sizeof(refused));
		worker_finish(w);
		return 0;
	}
	w->serving = true;
	channels_tell_certificates(w);
	title_set(role_name(ROLE_LOGIN), "0 connections");
	evchannel_put(&w->master, MSG_READY, &ready, sizeof(ready));
	return 0;
}

static void channels_on_helper(struct evchannel *ec, struct msg *m, void *arg);
static void channels_on_helper_end(struct evchannel *ec, int error, void *arg);
static void channels_on_drained(struct evchannel *ec, void *arg);

/* Do something with every connection; it may end those. */
static void
channels_each(struct worker *w, void (*act)(struct conn *c))
{
	struct conn *c, *next;

	for (c = RB_MIN(conn_tree, &w->conns); c != NULL; c = next) {
		next = RB_NEXT(conn_tree, &w->conns, c);
		act(c);
	}
}

static void
channels_orphan(struct conn *c)
{
	if (c->state == CONN_LOGIN)
		login_orphan(c);
}

/* Master has settled the grants of the former helper before it made a channel to the new one. */
static void
channels_release(struct conn *c)
{
	if (c->state != CONN_LOGIN)
		return;
	login_failed(c, LOGIN_TEMP);
	conn_settle(c);
}

static int
channels_on_auth_channel(void *who, struct msg *m)
{
	struct worker *w = who;
	int fd = msg_take_fd(m, 0);

	if (evchannel_is_open(&w->helper))
		evchannel_read_dry(&w->helper);
	evchannel_close(&w->helper);
	channels_each(w, channels_release);
	if (fd == -1 || evchannel_open(&w->helper, w->base, fd, ROLE_LOGIN, ROLE_DISPATCH,
				       CHANNELS_QUEUE_BASE + w->conf.max_connections,
				       channels_on_helper, channels_on_helper_end, w) == -1)
		log_error(0, "no channel to the auth helper: %s",
			  fd == -1 ? "its descriptor was lost" : strerror(errno));
	else
		w->helper.drained = channels_on_drained;
	return 0;
}

static void channels_on_key(struct evchannel *ec, struct msg *m, void *arg);
static void channels_on_key_end(struct evchannel *ec, int error, void *arg);

/* The key process has ended: nobody answers what was asked. */
static void
channels_unsigned(struct conn *c)
{
	if (c->state != CONN_HANDSHAKE || c->stream.signing == NULL)
		return;
	handshake_signed(c, NULL);
	conn_settle(c);
}

static int
channels_on_key_channel(void *who, struct msg *m)
{
	struct worker *w = who;
	int fd = msg_take_fd(m, 0);

	if (evchannel_is_open(&w->key))
		evchannel_read_dry(&w->key);
	evchannel_close(&w->key);
	channels_each(w, channels_unsigned);
	if (fd == -1 || evchannel_open(&w->key, w->base, fd, ROLE_LOGIN, ROLE_KEY,
				       CHANNELS_QUEUE_BASE + w->conf.max_connections,
				       channels_on_key, channels_on_key_end, w) == -1)
		log_error(0, "no channel to the key process: %s",
			  fd == -1 ? "its descriptor was lost" : strerror(errno));
	return 0;
}

static int
channels_on_conn_new(void *who, struct msg *m)
{
	struct worker *w = who;
	conn_new(w, &m->u.conn, msg_take_fd(m, 0));
	return 0;
}

static int
channels_on_stls_go(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.ref.id);

	handshake_go(c);
	conn_settle(c);
	return 0;
}

static int
channels_on_conn_renewed(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.conn.id);

	header_go(c, &m->u.conn);
	conn_settle(c);
	return 0;
}

static int
channels_on_login_taken(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.ref.id);

	login_taken(c, msg_take_fd(m, 0), msg_take_fd(m, 1));
	conn_settle(c);
	return 0;
}

static int
channels_on_login_failed(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.login_failed.id);

	login_failed(c, (enum login_result)m->u.login_failed.result);
	conn_settle(c);
	return 0;
}

static int
channels_on_conn_drop(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.ref.id);

	conn_end(c, CONN_END_DROPPED);
	conn_settle(c);
	return 0;
}

static int
channels_on_conn_shed(void *who, struct msg *m)
{
	struct conn *c = shed_choose(who);

	(void)m;
	if (c == NULL)
		return 0;
	login_give_up(c, CONN_END_CROWDED);
	conn_settle(c);
	return 0;
}

static int
channels_on_conn_state_ask(void *who, struct msg *m)
{
	struct worker *w = who;
	const struct conn *c = worker_find(w, m->u.ref.id);
	struct msg_conn_state state = {.id = m->u.ref.id};

	state.logon = c->in_apop ? LOGON_APOP : c->user != NULL ? LOGON_USER : LOGON_NONE;
	stream_facts(&c->stream, &state.tls);
	if (c->name != NULL)
		snprintf(state.name, sizeof(state.name), "%s", c->name);
	evchannel_put(&w->master, MSG_CONN_STATE, &state, sizeof(state));
	return 0;
}

static int
channels_on_drain(void *who, struct msg *m)
{
	struct worker *w = who;
	(void)m;
	worker_drain(w);
	return 0;
}

static int
channels_on_login_refused(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.login_refused.id);

	login_refused(c, (enum login_result)m->u.login_refused.result,
		      m->u.login_refused.last != 0);
	conn_settle(c);
	return 0;
}

static int
channels_on_signed(void *who, struct msg *m)
{
	struct conn *c = worker_find(who, m->u.signed_text.id);

	handshake_signed(c, &m->u.signed_text);
	conn_settle(c);
	return 0;
}

enum {
	/* of the worker */
	WORKER_NEW = 1,	     /* knows no settings */
	WORKER_TOLD = 2,     /* is being told its settings */
	WORKER_FINISHED = 4, /* ends, since it refused them or has served its last connection */
	WORKER_SERVING = 8,
	/* of the connection that a message names */
	CONN_UNKNOWN = 16,  /* its client has gone meanwhile */
	CONN_STLS = 32,	    /* master was asked for STLS */
	CONN_SIGNING = 64,  /* its handshake waits for the key process */
	CONN_DECIDED = 128, /* its login is being decided */
	CONN_CLEAR = 256,   /* it has gone on, without TLS */
	CONN_TLS = 512,	    /* it has gone on, with TLS */
	CONN_HEADER = 1024, /* master was told what its PROXY header says */
	CONN_ANY = CONN_STLS | CONN_SIGNING | CONN_DECIDED | CONN_CLEAR | CONN_TLS | CONN_HEADER,
	CONN_LATE = WORKER_FINISHED | CONN_UNKNOWN | CONN_ANY
};

static int
conn_bit(const struct conn *c)
{
	if (c == NULL)
		return CONN_UNKNOWN;
	if (c->state == CONN_STLS_WAIT)
		return CONN_STLS;
	if (c->state == CONN_PROXY_WAIT)
		return CONN_HEADER;
	if (c->state == CONN_HANDSHAKE && c->stream.signing != NULL)
		return CONN_SIGNING;
	if (c->state == CONN_LOGIN)
		return CONN_DECIDED;
	return c->stream.ssl == NULL ? CONN_CLEAR : CONN_TLS;
}

/* Is it about a connection that the worker has been given? */
static bool
names_conn(const struct msg *m)
{
	return m->type == MSG_STLS_GO || m->type == MSG_CONN_RENEWED ||
	       m->type == MSG_LOGIN_TAKEN || m->type == MSG_LOGIN_FAILED ||
	       m->type == MSG_CONN_DROP || m->type == MSG_CONN_STATE_ASK ||
	       m->type == MSG_LOGIN_REFUSED || m->type == MSG_SIGNED;
}

static int
channels_state(const void *who, const struct msg *m)
{
	const struct worker *w = who;

	if (w->finished)
		return WORKER_FINISHED;
	if (!w->serving)
		return w->told ? WORKER_TOLD : WORKER_NEW;
	return names_conn(m) ? conn_bit(worker_find((struct worker *)w, m->u.ref.id))
			     : WORKER_SERVING;
}

/* A plain socket that a session has is no more the worker's, whatever was believed here
 * meanwhile. */
static const struct inbox_row master_rows[] = {
    {MSG_PING, INBOX_ALWAYS, 0, channels_on_ping},
    {MSG_DRAIN, INBOX_ALWAYS, 0, channels_on_drain},
    {MSG_AUTH_CHANNEL, INBOX_ALWAYS, 0, channels_on_auth_channel},
    {MSG_KEY_CHANNEL, INBOX_ALWAYS, 0, channels_on_key_channel},
    {MSG_LOGIN_CONF, WORKER_NEW, 0, channels_on_conf},
    {MSG_LOGIN_SERVER, WORKER_TOLD, 0, channels_on_server},
    {MSG_LOGIN_START, WORKER_TOLD, 0, channels_on_start},
    {MSG_CONN_NEW, WORKER_SERVING, 0, channels_on_conn_new},
    {MSG_CONN_SHED, WORKER_SERVING, WORKER_FINISHED, channels_on_conn_shed},
    {MSG_STLS_GO, CONN_STLS, CONN_LATE, channels_on_stls_go},
    {MSG_CONN_RENEWED, CONN_HEADER, CONN_LATE, channels_on_conn_renewed},
    {MSG_LOGIN_TAKEN, CONN_DECIDED | CONN_STLS | CONN_CLEAR, CONN_LATE, channels_on_login_taken},
    {MSG_LOGIN_FAILED, CONN_DECIDED, CONN_LATE, channels_on_login_failed},
    {MSG_CONN_DROP, CONN_ANY, CONN_LATE, channels_on_conn_drop},
    {MSG_CONN_STATE_ASK, CONN_ANY, CONN_LATE, channels_on_conn_state_ask},
};

static const struct inbox_row helper_rows[] = {
    {MSG_LOGIN_REFUSED, CONN_DECIDED, CONN_LATE, channels_on_login_refused},
};

static const struct inbox_row key_rows[] = {
    {MSG_SIGNED, CONN_SIGNING, CONN_LATE, channels_on_signed},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), channels_state};
static const struct inbox helper_inbox = {helper_rows, COUNT_OF(helper_rows), channels_state};
static const struct inbox key_inbox = {key_rows, COUNT_OF(key_rows), channels_state};

static void
channels_on_master(struct evchannel *ec, struct msg *m, void *arg)
{
	struct worker *w = arg;

	if (inbox_take(&master_inbox, w, m) == 0)
		return;
	evchannel_close(ec); /* nothing behind it is handled */
	event_base_loopbreak(w->base);
}

/* Without master there is nothing to serve for. */
static void
channels_on_master_end(struct evchannel *ec, int error, void *arg)
{
	struct worker *w = arg;

	(void)ec, (void)error;
	event_base_loopbreak(w->base);
}

static void
channels_on_helper(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(&helper_inbox, arg, m) == -1)
		channels_on_helper_end(ec, EBADMSG, arg);
}

static void
channels_on_helper_end(struct evchannel *ec, int error, void *arg)
{
	struct worker *w = arg;

	if (error != EPIPE)
		log_error(0, "channel to the auth helper given up: %s", strerror(error));
	evchannel_close(ec);
	channels_each(w, channels_orphan);
}

static void
channels_on_key(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(&key_inbox, arg, m) == -1)
		channels_on_key_end(ec, EBADMSG, arg);
}

static void
channels_on_key_end(struct evchannel *ec, int error, void *arg)
{
	struct worker *w = arg;

	if (error != EPIPE)
		log_error(0, "channel to the key process given up: %s", strerror(error));
	evchannel_close(ec);
	channels_each(w, channels_unsigned);
}

static void
channels_on_drained(struct evchannel *ec, void *arg)
{
	struct worker *w = arg;

	(void)ec;
	if (w->finished)
		event_base_loopbreak(w->base);
	else
		channels_each(w, conn_settle);
}

int
channels_open(struct worker *w, int fd)
{
	if (evchannel_open(&w->master, w->base, fd, ROLE_LOGIN, ROLE_MASTER, CHANNELS_QUEUE_BASE,
			   channels_on_master, channels_on_master_end, w) == -1)
		return -1;
	w->master.drained = channels_on_drained;
	return 0;
}

void
channels_close(struct worker *w)
{
	evchannel_close(&w->key);
	evchannel_close(&w->helper);
	evchannel_close(&w->master);
}

int
channels_ask_login(struct worker *w, const struct msg_login_ask *ask)
{
	if (!evchannel_is_open(&w->helper))
		return -1;
	return evchannel_put(&w->helper, MSG_LOGIN_ASK, ask, sizeof(*ask));
}

int
channels_ask_signature(struct worker *w, const struct msg_sign_ask *ask)
{
	if (!evchannel_is_open(&w->key))
		return -1;
	return evchannel_put(&w->key, MSG_SIGN_ASK, ask, sizeof(*ask));
}

void
channels_ask_stls(struct worker *w, conn_id id)
{
	const struct msg_conn_ref ref = {id};
	evchannel_put(&w->master, MSG_STLS_ASK, &ref, sizeof(ref));
}

void
channels_tell_proxied(struct worker *w, const struct msg_proxied *said)
{
	evchannel_put(&w->master, MSG_PROXIED, said, sizeof(*said));
}

void
channels_conn_end(struct worker *w, const struct msg_conn_end *end)
{
	evchannel_put(&w->master, MSG_CONN_END, end, sizeof(*end));
}

void
channels_trace(struct worker *w, conn_id id, bool from_client, const char *text, size_t len)
{
	struct msg_trace trace = {.id = id, .from_client = from_client};

	for (size_t share; len > 0; text += share, len -= share) {
		const char *end = memchr(text, '\n', len);
		share = end != NULL ? (size_t)(end - text) + 1 : len;
		size_t shown = share;
		while (shown > 0 && (text[shown - 1] == '\n' || text[shown - 1] == '\r'))
			shown--;
		if (shown >= sizeof(trace.text))
			shown = sizeof(trace.text) - 1;
		memcpy(trace.text, text, shown);
		trace.text[shown] = '\0';
		evchannel_put(&w->master, MSG_TRACE, &trace,
			      offsetof(struct msg_trace, text) + shown + 1);
	}
}

bool
channels_congested(const struct worker *w)
{
	return w->master.ch.queued > CHANNELS_CONGESTED || w->helper.ch.queued > CHANNELS_CONGESTED;
}
