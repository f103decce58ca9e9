/*
 * What a process hears on a channel: a table of messages, each with the states
 * of its receiver in which it may come.  The loop over it is written once.
 */
#ifndef POP3D_INBOX_H
#define POP3D_INBOX_H

#include "common/msg.h"

enum { INBOX_ALWAYS = ~0 }; /* in every state */

/* What a handler may return: a race explains that the message comes too late. */
enum { INBOX_LATE = 1 };

/* `who` is the receiver's.  0; INBOX_LATE; or -1: the message breaks a rule. */
typedef int inbox_fn(void *who, struct msg *m);

struct inbox_row {
	enum msg_type type;
	int states; /* in which it is handled, a set of bits */
	int late;   /* in which a race explains it: counted and dropped */
	inbox_fn *handle;
};

struct inbox {
	const struct inbox_row *rows;
	size_t count;
	/* The receiver's state towards this message, one bit. */
	int (*state)(const void *who, const struct msg *m);
};

/* Handle a message.  0; -1: the peer has broken a rule and is to be given up. */
int inbox_take(const struct inbox *inbox, void *who, struct msg *m);

/* How many messages of this type came too late since the process began. */
uint64_t inbox_late(enum msg_type type);

#endif
