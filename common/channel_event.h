/*
 * A channel in a libevent loop: one callback per message, one for its end.
 */
#ifndef POP3D_CHANNEL_EVENT_H
#define POP3D_CHANNEL_EVENT_H

#include <event2/event.h>

#include "common/channel.h"

struct evchannel;

/* m's descriptors are closed after the return unless taken (msg_take_fd). */
typedef void evchannel_msg_fn(struct evchannel *ec, struct msg *m, void *arg);
/* error: EPIPE peer closed, EBADMSG rule broken, EPROTO other build, ENOBUFS queue overrun.  The
 * callee frees the channel (evchannel_close) or arranges for it. Called once. */
typedef void evchannel_end_fn(struct evchannel *ec, int error, void *arg);
typedef void evchannel_drained_fn(struct evchannel *ec, void *arg);

struct evchannel {
	struct channel ch; /* first */
	struct event *on_read, *on_write;
	evchannel_msg_fn *msg;
	evchannel_end_fn *end;
	evchannel_drained_fn *drained; /* may be NULL: the queue became empty */
	void *arg;
	bool paused; /* nothing is read */
	bool *gone;  /* set while callbacks run, so that they may close the channel */
	int failed;  /* errno of a failed send, told to `end` from the loop */
};

/* Take ownership of fd and serve it in `base`.  0, or -1 with errno (fd closed). */
int evchannel_open(struct evchannel *ec, struct event_base *base, int fd, enum role self,
		   enum role peer, size_t queue_max, evchannel_msg_fn *msg, evchannel_end_fn *end,
		   void *arg);

/* Send, as channel_send.  A failure is also told to `end`, later, from the loop. */
int evchannel_send(struct evchannel *ec, enum msg_type type, const void *body, size_t len,
		   const int *fds, size_t nfds);
int evchannel_put(struct evchannel *ec, enum msg_type type, const void *body, size_t len);

/* Handle every message that waits right now ("read the channel dry"). */
void evchannel_read_dry(struct evchannel *ec);

/* Handle no message until evchannel_resume(): the peer waits as soon as its own queue is full. */
void evchannel_pause(struct evchannel *ec);
void evchannel_resume(struct evchannel *ec);

bool evchannel_is_open(const struct evchannel *ec);
/* Close it; no callback comes any more.  Idempotent on a zeroed struct, too. */
void evchannel_close(struct evchannel *ec);

#endif
