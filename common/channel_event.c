#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_event.h"

/* Messages handled before other events of the loop get their turn. */
enum { READ_TURN = 64 };

static void
channel_failed(struct evchannel *ec, int error)
{
	evchannel_end_fn *end = ec->end;

	event_del(ec->on_read);
	event_del(ec->on_write);
	ec->end = NULL;
	if (end != NULL)
		end(ec, error, ec->arg);
}

static void
read_messages(struct evchannel *ec, int most)
{
	struct msg m;
	bool gone = false, *outer = ec->gone;

	ec->gone = &gone;
	while (most-- != 0 && ec->end != NULL && !ec->paused) {
		int r = channel_recv(&ec->ch, &m);

		if (r == 0)
			break;
		if (r == -1) {
			channel_failed(ec, errno);
			break;
		}
		ec->msg(ec, &m, ec->arg);
		msg_discard(&m);
		if (gone)
			break;
	}
	if (gone) {
		if (outer != NULL)
			*outer = true;
		return;
	}
	ec->gone = outer;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	read_messages(arg, READ_TURN);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct evchannel *ec = arg;
	int r;

	(void)fd, (void)what;
	if (ec->failed != 0) {
		channel_failed(ec, ec->failed);
		return;
	}
	if ((r = channel_flush(&ec->ch)) == 1)
		return;
	event_del(ec->on_write);
	if (r == -1)
		channel_failed(ec, errno);
	else if (ec->drained != NULL)
		ec->drained(ec, ec->arg);
}

/* Whoever sent it, log lines included: write it when there is room. */
static void
on_queued(struct channel *c)
{
	struct evchannel *ec = (struct evchannel *)c; /* its first member */

	if (ec->on_write != NULL && !event_pending(ec->on_write, EV_WRITE, NULL))
		event_add(ec->on_write, NULL);
}

int
evchannel_open(struct evchannel *ec, struct event_base *base, int fd, enum role self,
	       enum role peer, size_t queue_max, evchannel_msg_fn *msg, evchannel_end_fn *end,
	       void *arg)
{
	memset(ec, 0, sizeof(*ec));
	channel_init(&ec->ch, fd, self, peer, queue_max);
	ec->ch.waits = on_queued;
	ec->msg = msg;
	ec->end = end;
	ec->arg = arg;
	ec->on_read = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ec);
	ec->on_write = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, ec);
	if (ec->on_read == NULL || ec->on_write == NULL || event_add(ec->on_read, NULL) == -1) {
		evchannel_close(ec);
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

int
evchannel_send(struct evchannel *ec, enum msg_type type, const void *body, size_t len,
	       const int *fds, size_t nfds)
{
	int r;

	if (ec->end == NULL) {
		errno = EPIPE;
		return -1;
	}
	r = channel_send(&ec->ch, type, body, len, fds, nfds);
	if (r == -1 && errno != EMFILE && ec->failed == 0) {
		ec->failed = errno;
		event_active(ec->on_write, EV_WRITE, 1);
	}
	return r;
}

int
evchannel_put(struct evchannel *ec, enum msg_type type, const void *body, size_t len)
{
	return evchannel_send(ec, type, body, len, NULL, 0);
}

void
evchannel_read_dry(struct evchannel *ec)
{
	read_messages(ec, -1);
}

void
evchannel_pause(struct evchannel *ec)
{
	ec->paused = true;
	event_del(ec->on_read);
}

void
evchannel_resume(struct evchannel *ec)
{
	ec->paused = false;
	if (ec->end != NULL)
		event_add(ec->on_read, NULL);
}

bool
evchannel_is_open(const struct evchannel *ec)
{
	return ec->end != NULL;
}

void
evchannel_close(struct evchannel *ec)
{
	if (ec->gone != NULL)
		*ec->gone = true;
	if (ec->on_read != NULL)
		event_free(ec->on_read);
	if (ec->on_write != NULL)
		event_free(ec->on_write);
	if (ec->ch.last != NULL)
		channel_close(&ec->ch);
	memset(ec, 0, sizeof(*ec));
	ec->ch.fd = -1;
}
