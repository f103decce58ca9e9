/*
 * A channel: one end of a SOCK_SEQPACKET pair between two processes, with a
 * bounded queue of messages that the other side has no room for yet.
 * Knows nothing of event loops; channel_event.h adds libevent.
 */
#ifndef POP3D_CHANNEL_H
#define POP3D_CHANNEL_H

#include "common/msg.h"

enum { CHANNEL_FD = 3 }; /* where every role finds its channel after exec */

struct channel_item; /* a message that waits */

struct channel {
	int fd; /* -1: closed */
	enum role self, peer;
	size_t queued, queue_max; /* messages waiting, and how many may */
	struct channel_item *first, **last;
	void (*waits)(struct channel *c); /* a message was queued; NULL: nobody minds */
};

/* Make a connected pair, non-blocking and close-on-exec.  0, or -1 with errno. */
int channel_pair(int fd[2]);

/* Take ownership of fd as `self`'s end of the channel to `peer`. */
void channel_init(struct channel *c, int fd, enum role self, enum role peer, size_t queue_max);

/* Close and forget what waits (wiped: it may hold secrets).  Idempotent. */
void channel_close(struct channel *c);

/*
 * Send one message: at once, or queued behind those that wait.  Descriptors
 * are borrowed; a queued message keeps duplicates.
 * 0; -1 with errno ENOBUFS (queue full), EPIPE (peer gone), EMFILE.
 */
int channel_send(struct channel *c, enum msg_type type, const void *body, size_t len,
		 const int *fds, size_t nfds);

/* The same without descriptors; `len` of 0 goes with a NULL body. */
int channel_put(struct channel *c, enum msg_type type, const void *body, size_t len);

/* Write what waits.  0: nothing waits any more; 1: some still does; -1: EPIPE. */
int channel_flush(struct channel *c);

/*
 * Receive one message that obeys the rules of msg.h.
 * 1: *m is filled; 0: none waits; -1 with errno EPIPE (peer closed), EBADMSG
 * (a rule was broken) or EPROTO (the peer is of another build): give the peer up.
 * Descriptors in *m are the caller's.
 */
int channel_recv(struct channel *c, struct msg *m);

/* Why a channel ended, for the log: `error` is the errno that the calls above gave, or ETIMEDOUT of
 * a peer that does not answer.  EBADMSG alone says that the peer broke a rule. */
const char *channel_end_text(int error);

/* Wait up to `ms` milliseconds (-1: for ever) for a message.  As channel_recv;
 * 0 also on time-out or when a signal came. */
int channel_wait(struct channel *c, struct msg *m, int ms);

/* Close the descriptors of a message that nobody wants and wipe it. */
void msg_discard(struct msg *m);

/* Take the i-th descriptor out of the message; the caller owns it. -1: none. */
int msg_take_fd(struct msg *m, size_t i);

#endif
