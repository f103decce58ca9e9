#include "config.h"

#include "worker/login/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/login/handshake.h"
#include "worker/login/header.h"
#include "worker/login/input.h"
#include "worker/login/channels.h"
#include "worker/login/login.h"
#include "worker/login/relay.h"

enum { CONN_OUTPUT_ROOM = 512, CONN_LINGER_MAX = 65536 };

static void conn_close_own_end(struct conn *c);
static void conn_linger(struct conn *c);
static void conn_expire(struct conn *c);
static void conn_expire_last(struct conn *c);
static bool conn_always(const struct conn *c);

/* What a state does.  No `wanted`: nothing is read, so that sockets half closed or reset cannot
 * make the loop spin. */
static const struct {
	enum worker_timer timer;
	bool (*wanted)(const struct conn *c);
	void (*readable)(struct conn *c);
	void (*flushed)(struct conn *c); /* all output has left */
	void (*expired)(struct conn *c);
} states[CONN_STATE_COUNT] = {
    [CONN_PROXY] = {TIMER_PROXY, conn_always, header_readable, NULL, header_expired},
    [CONN_PROXY_WAIT] = {TIMER_DECISION, NULL, NULL, NULL, conn_expire},
    [CONN_HANDSHAKE] = {TIMER_HANDSHAKE, handshake_wanted, handshake_step, NULL, handshake_expired},
    [CONN_COMMAND] = {TIMER_LOGIN, input_wanted, input_readable, NULL, conn_expire},
    [CONN_SASL] = {TIMER_LOGIN, input_wanted, input_readable, NULL, conn_expire},
    [CONN_ASK] = {TIMER_LOGIN, NULL, NULL, login_ask, conn_expire},
    [CONN_LOGIN] = {TIMER_DECISION, NULL, NULL, NULL, login_expired},
    [CONN_STLS_WAIT] = {TIMER_DECISION, NULL, NULL, NULL, conn_expire},
    [CONN_STLS_GO] = {TIMER_LOGIN, NULL, NULL, handshake_begin, conn_expire},
    [CONN_RELAY] = {TIMER_NONE, relay_wanted, relay_readable, NULL, relay_expired},
    [CONN_LAST] = {TIMER_FLUSH, NULL, NULL, conn_close_own_end, conn_expire_last},
    [CONN_LINGER] = {TIMER_LINGER, conn_always, conn_linger, NULL, conn_expire_last},
};

int
conn_compare(const struct conn *a, const struct conn *b)
{
	return (a->row.id > b->row.id) - (a->row.id < b->row.id);
}

static bool
conn_always(const struct conn *c)
{
	(void)c;
	return true;
}

static void
conn_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (states[c->state].readable != NULL)
		states[c->state].readable(c);
	conn_settle(c);
}

static void
conn_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (c->stream.want_write && !conn_has_output(c) && states[c->state].readable != NULL) {
		c->stream.want_write = false;
		states[c->state].readable(c);
	}
	conn_settle(c);
}

static void
conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (states[c->state].expired != NULL)
		states[c->state].expired(c);
	conn_settle(c);
}

void
conn_new(struct worker *w, const struct msg_conn *row, int fd)
{
	struct conn *c = NULL;

	if (fd != -1 && w->nconns < w->conf.max_connections && worker_find(w, row->id) == NULL)
		c = calloc(1, sizeof(*c));
	if (c == NULL) {
		channels_conn_end(w, &(struct msg_conn_end){.id = row->id, .why = CONN_END_ERROR});
		if (fd != -1)
			close(fd);
		return;
	}
	c->w = w;
	c->row = *row;
	c->since = clock_ms();
	c->stream.fd = fd;
	event_assign(&c->on_read, w->base, fd, EV_READ | EV_PERSIST, conn_on_read, c);
	event_assign(&c->on_write, w->base, fd, EV_WRITE | EV_PERSIST, conn_on_write, c);
	evtimer_assign(&c->timer, w->base, conn_on_timer, c);
	worker_add(w, c);
	if (row->proxy == CONN_PROXY_DUE)
		header_begin(c);
	else
		conn_begin(c);
	conn_settle(c);
}

void
conn_begin(struct conn *c)
{
	if (c->row.tls == CONN_TLS_IMPLICIT) {
		handshake_begin(c);
	} else {
		conn_enter(c, CONN_COMMAND);
		conn_greet(c);
	}
}

void
conn_greet(struct conn *c)
{
	char text[POP3_RESPONSE_MAX + 1];
	const char *stamp = c->row.stamp;
	int len = snprintf(text, sizeof(text), "%s%s%s\r\n", c->w->greeting,
			   stamp[0] != '\0' ? " " : "", stamp);

	conn_reply(c, text, (size_t)len);
}

static void
conn_drop_output(struct conn *c)
{
	free(c->out.octets);
	memset(&c->out, 0, sizeof(c->out));
}

static void
conn_free(struct conn *c)
{
	struct worker *w = c->w;
	struct msg_conn_end end = {.id = c->row.id, .why = c->why, .failures = c->failures};

	event_del(&c->on_read);
	event_del(&c->on_write);
	event_del(&c->timer);
	relay_free(c);
	end.version = stream_version(&c->stream);
	stream_close(&c->stream, !c->handed_over && !c->relayed && !c->undecided);
	conn_forget_login(c);
	free(c->name);
	free(c->proxy);
	line_reset(&c->line);
	conn_drop_output(c);
	if (!c->handed_over)
		channels_conn_end(w, &end);
	worker_remove(w, c);
	free(c);
}

void
conn_arm_event(struct event *ev, bool *armed, bool wanted)
{
	if (*armed == wanted)
		return;
	*armed = wanted;
	if (wanted)
		event_add(ev, NULL);
	else
		event_del(ev);
}

static void
conn_arm(struct conn *c)
{
	bool blocked = conn_has_output(c) || c->stream.want_write;
	bool wanted = !blocked && states[c->state].wanted != NULL && states[c->state].wanted(c);

	conn_arm_event(&c->on_read, &c->reading, wanted);
	conn_arm_event(&c->on_write, &c->writing, blocked);
	if (wanted && stream_pending(&c->stream))
		event_active(&c->on_read, EV_READ, 0);
	if (c->relay != NULL)
		relay_arm(c);
}

/* Somebody took octets: whoever measures progress should know. */
static void
conn_note_progress(struct conn *c)
{
	if (c->state == CONN_RELAY)
		relay_progress(c);
	else if (c->state == CONN_LAST)
		conn_set_timer(c, TIMER_FLUSH);
}

/* Write until the kernel takes no more.  Octets written; -1: the connection has ended. */
static ssize_t
conn_write(struct conn *c, const char *octets, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = stream_write(&c->stream, octets + done, len - done);

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		conn_end(c, CONN_END_CLIENT);
		return -1;
	}
	if (done > 0)
		conn_note_progress(c);
	return (ssize_t)done;
}

/* True if no output waits any more. */
static bool
conn_flush(struct conn *c)
{
	struct conn_output *out = &c->out;

	if (!conn_has_output(c))
		return true;
	ssize_t n = conn_write(c, out->octets + out->at, out->len - out->at);
	if (n == -1)
		return false;
	out->at += (size_t)n;
	if (out->at < out->len)
		return false;
	conn_drop_output(c);
	return true;
}

void
conn_settle(struct conn *c)
{
	enum conn_state before;

	do {
		before = c->state;
		if (!conn_flush(c))
			break;
		if (states[c->state].flushed != NULL)
			states[c->state].flushed(c);
	} while (c->state != before && c->state != CONN_ENDED);
	if (c->state == CONN_ENDED)
		conn_free(c);
	else
		conn_arm(c);
}

void
conn_enter(struct conn *c, enum conn_state state)
{
	c->state = state;
	conn_set_timer(c, states[state].timer);
}

void
conn_set_timer(struct conn *c, enum worker_timer timer)
{
	if (timer == TIMER_LOGIN && c->greeted)
		timer = TIMER_PASSWORD; /* somebody may be typing one */
	if (timer == TIMER_NONE)
		evtimer_del(&c->timer);
	else
		evtimer_add(&c->timer, c->w->timers[timer]);
}

/* Keep what could not be sent.  Octets of responses are no secrets. */
static int
conn_keep(struct conn *c, const char *octets, size_t len)
{
	struct conn_output *out = &c->out;

	if (out->at > 0) {
		memmove(out->octets, out->octets + out->at, out->len - out->at);
		out->len -= out->at;
		out->at = 0;
	}
	if (out->len + len > out->cap) {
		size_t cap = out->len + len > CONN_OUTPUT_ROOM ? out->len + len : CONN_OUTPUT_ROOM;
		char *grown = realloc(out->octets, cap);
		if (grown == NULL) {
			conn_end(c, CONN_END_ERROR);
			return -1;
		}
		out->octets = grown;
		out->cap = cap;
	}
	memcpy(out->octets + out->len, octets, len);
	out->len += len;
	return 0;
}

int
conn_send(struct conn *c, const char *octets, size_t len)
{
	ssize_t done = conn_has_output(c) ? 0 : conn_write(c, octets, len);

	if (done == -1)
		return -1;
	if ((size_t)done == len)
		return 0;
	return conn_keep(c, octets + done, len - (size_t)done);
}

void
conn_reply(struct conn *c, const char *text, size_t len)
{
	if (c->w->conf.trace != 0)
		channels_trace(c->w, c->row.id, false, text, len);
	conn_keep(c, text, len);
}

void
conn_say(struct conn *c, enum reply reply)
{
	char line[POP3_RESPONSE_MAX];
	int len = snprintf(line, sizeof(line), "%s\r\n", reply_text(reply));

	conn_reply(c, line, (size_t)len);
}

bool
conn_has_output(const struct conn *c)
{
	return c->out.len > c->out.at;
}

void
conn_finish(struct conn *c, enum conn_end why)
{
	c->why = c->relayed ? CONN_END_RELAY : why;
	conn_enter(c, CONN_LAST);
}

void
conn_end(struct conn *c, enum conn_end why)
{
	c->why = c->relayed && why != CONN_END_DROPPED ? CONN_END_RELAY : why;
	conn_drop_output(c);
	c->state = CONN_ENDED;
}

/* CONN_LAST: everything is on its way.  Closing now with unread input would reset the
 * connection and could lose the last line. */
static void
conn_close_own_end(struct conn *c)
{
	if (stream_finish(&c->stream) == 0)
		conn_enter(c, CONN_LINGER);
}

static void
conn_linger(struct conn *c)
{
	ssize_t n = stream_drain(&c->stream, c->w->scratch, sizeof(c->w->scratch));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && (c->lingered += (size_t)n) < CONN_LINGER_MAX)
		return;
	conn_end(c, c->why);
}

static void
conn_expire(struct conn *c)
{
	conn_end(c, CONN_END_TIMEOUT);
}

static void
conn_expire_last(struct conn *c)
{
	conn_end(c, c->why);
}

bool
conn_is_secure(const struct conn *c)
{
	return c->row.tls != CONN_TLS_NONE || c->row.clear_ok != 0;
}

bool
conn_offers_stls(const struct conn *c)
{
	return c->row.tls == CONN_TLS_NONE && c->row.stls != 0 &&
	       worker_tls(c->w, c->row.server) != NULL;
}

void
conn_forget_login(struct conn *c)
{
	if (c->user != NULL) /* people type passwords there */
		explicit_bzero(c->user, strlen(c->user));
	free(c->user);
	c->user = NULL;
	if (c->ask != NULL)
		explicit_bzero(c->ask, sizeof(*c->ask));
	free(c->ask);
	c->ask = NULL;
	memset(&c->sasl, 0, sizeof(c->sasl));
}
