#include "config.h"

#include "worker/login/relay.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/acked.h"
#include "common/log.h"
#include "common/peer.h"

enum {
	RELAY_TURN = 4,	   /* records before other connections get their turn */
	RECORD_MAX = 16384 /* octets of a TLS record's content */
};

struct relay {
	int fd; /* the stream to the session */
	struct event on_read, on_write, on_gone;
	bool reading, writing, watching; /* which of the events are armed */
	bool looking;			 /* a look at the peer is due */
	bool client_eof;		 /* the client sends no more */
	bool deaf;			 /* the session takes no more */
	bool gone; /* the session has ended, what it wrote is still being sent */
	char *up;  /* octets from the client that the session had no room for */
	size_t up_len, up_at;
	uint64_t taken;	 /* octets of the session's output */
	uint64_t *acked; /* how many of them are known to be acknowledged; the session reads it */
};

static bool
relay_has_up(const struct relay *r)
{
	return r->up_len > r->up_at;
}

static void
relay_drop_up(struct relay *r)
{
	free(r->up);
	r->up = NULL;
	r->up_len = r->up_at = 0;
}

bool
relay_wanted(const struct conn *c)
{
	const struct relay *r = c->relay;
	return !r->client_eof && !r->deaf && !relay_has_up(r);
}

/* The session reads no more; what the client still sends has nobody to take it. */
static void
relay_set_deaf(struct relay *r)
{
	r->deaf = true;
	relay_drop_up(r);
}

/* Send to the session what there is room for.  Octets taken. */
static size_t
relay_write_up(struct relay *r, const char *octets, size_t len)
{
	ssize_t n = send(r->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR)
		relay_set_deaf(r);
	return r->deaf ? len : 0;
}

/*
 * Tell the session what the client's TCP has acknowledged: always before it is sent
 * what the client says.  Octets of TLS that are not acknowledged hold no more of the
 * session's; of a record that is acknowledged in part nothing counts.
 */
static void
relay_tell_acked(struct conn *c)
{
	struct relay *r = c->relay;
	uint64_t left = c->out.len - c->out.at, sum;
	int unacked;

	if (ioctl(c->stream.fd, SIOCOUTQ, &unacked) == -1)
		return;
	if (unacked > 0)
		left += (uint64_t)unacked + RECORD_MAX;
	sum = left < r->taken ? r->taken - left : 0;
	if (sum > acked_read(r->acked))
		acked_tell(r->acked, sum);
}

static int
relay_send_up(struct conn *c, const char *octets, size_t len)
{
	struct relay *r = c->relay;
	size_t done = relay_write_up(r, octets, len);

	if (done == len)
		return 0;
	r->up = malloc(len - done);
	if (r->up == NULL) {
		conn_end(c, CONN_END_RELAY);
		return -1;
	}
	memcpy(r->up, octets + done, len - done);
	r->up_len = len - done;
	return 0;
}

void
relay_readable(struct conn *c)
{
	struct relay *r = c->relay;
	char *octets = c->w->scratch;

	for (int turn = 0; turn < RELAY_TURN && relay_wanted(c); turn++) {
		ssize_t n = stream_read(&c->stream, octets, WORKER_SCRATCH_SIZE);

		if (n == -1 && errno == EAGAIN)
			return;
		if (n == -1) {
			conn_end(c, CONN_END_RELAY);
			return;
		}
		relay_tell_acked(c);
		if (n == 0) {
			r->client_eof = true;
			shutdown(r->fd, SHUT_WR);
			return;
		}
		if (relay_send_up(c, octets, (size_t)n) == -1 || !stream_pending(&c->stream))
			return;
	}
}

/* The session's side can be read. */
static void
relay_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	char *octets = c->w->scratch;

	(void)what;
	relay_tell_acked(c);
	for (int turn = 0; turn < RELAY_TURN && !conn_has_output(c); turn++) {
		ssize_t n = recv(fd, octets, WORKER_SCRATCH_SIZE, MSG_DONTWAIT);

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			relay_free(c); /* a session that lingers need not wait */
			conn_finish(c, CONN_END_RELAY);
			break;
		}
		c->relay->taken += (uint64_t)n;
		if (conn_send(c, octets, (size_t)n) == -1 || n < WORKER_SCRATCH_SIZE)
			break;
	}
	conn_settle(c);
}

static void
relay_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct relay *r = c->relay;

	(void)fd, (void)what;
	r->up_at += relay_write_up(r, r->up + r->up_at, r->up_len - r->up_at);
	if (!relay_has_up(r))
		relay_drop_up(r);
	conn_settle(c);
}

/* The session ended while the client is too slow to take what it wrote. */
static void
relay_on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	c->relay->watching = false;
	c->relay->gone = true;
	conn_set_timer(c, TIMER_FLUSH);
}

int
relay_start(struct conn *c, int fd, int acked)
{
	struct relay *r = calloc(1, sizeof(*r));
	uint64_t *counter = acked_map_to_tell(acked);

	if (r == NULL || counter == NULL) {
		free(r);
		acked_unmap(counter);
		close(fd);
		return -1;
	}
	r->acked = counter;
	r->fd = fd;
	event_assign(&r->on_read, c->w->base, fd, EV_READ | EV_PERSIST, relay_on_read, c);
	event_assign(&r->on_write, c->w->base, fd, EV_WRITE | EV_PERSIST, relay_on_write, c);
	event_assign(&r->on_gone, c->w->base, fd, EV_CLOSED, relay_on_gone, c);
	c->relay = r;
	c->relayed = true;
	conn_enter(c, CONN_RELAY);
	return 0;
}

void
relay_free(struct conn *c)
{
	struct relay *r = c->relay;

	if (r == NULL)
		return;
	event_del(&r->on_read);
	event_del(&r->on_write);
	event_del(&r->on_gone);
	close(r->fd);
	relay_drop_up(r);
	acked_unmap(r->acked);
	free(r);
	c->relay = NULL;
}

void
relay_arm(struct conn *c)
{
	struct relay *r = c->relay;
	bool live = c->state == CONN_RELAY;
	bool blocked = conn_has_output(c);

	conn_arm_event(&r->on_read, &r->reading, live && !blocked);
	conn_arm_event(&r->on_write, &r->writing, live && relay_has_up(r));
	conn_arm_event(&r->on_gone, &r->watching, live && blocked && !r->gone);
}

/* What the client takes while the session lives is watched for acknowledgements; what is left
 * after its end has a limit of its own. */
void
relay_progress(struct conn *c)
{
	struct relay *r = c->relay;

	if (r->gone) {
		conn_set_timer(c, TIMER_FLUSH);
	} else if (!r->looking) {
		r->looking = true;
		conn_set_timer(c, TIMER_WATCH);
	}
}

void
relay_expired(struct conn *c)
{
	struct relay *r = c->relay;

	if (r->gone) {
		conn_end(c, CONN_END_RELAY);
		return;
	}
	int dead = peer_is_dead(c->stream.fd);
	r->looking = dead == 0;
	if (dead == 0)
		conn_set_timer(c, TIMER_WATCH);
	else if (dead == 1)
		conn_end(c, CONN_END_RELAY);
}
