/*
 * What gate and dispatcher, the two processes of the auth helper, have in common:
 * a channel to master and one to each other, and the settings that master tells.
 * When either channel ends so does the process, and master starts both anew: so
 * neither knows what the other does not.
 */
#ifndef POP3D_AUTH_HELPER_H
#define POP3D_AUTH_HELPER_H

#include <event2/event.h>

#include "common/channel_event.h"
#include "common/inbox.h"
#include "daemon/auth/settings.h"

extern struct helper {
	struct event_base *base;
	struct evchannel master, other;
	struct told told;
} helper;

/* Which of the two this process is. */
struct helper_role {
	enum role self, other;
	const struct inbox *from_master;
	evchannel_msg_fn *from_other;
	const char *title;
};

/* Once: loop, limits, and the channel to master on CHANNEL_FD.  0 or -1. */
int helper_open(const struct helper_role *r);

/* Send to master. */
void helper_put(enum msg_type type, const void *body, size_t len);

/* End at once, the children with it. */
_Noreturn void helper_exit(int status);

/* The end of either channel, as evchannel_end_fn; EBADMSG: it broke a rule. */
_Noreturn void helper_end(struct evchannel *ec, int error, void *arg);

/* A state of `told`, for an inbox. */
int helper_state(const void *who, const struct msg *m);

/* Rows of the inbox that both have (inbox_fn). */
int helper_pinged(void *who, struct msg *m);	/* MSG_PING */
int helper_connected(void *who, struct msg *m); /* MSG_CHECK_CHANNEL */
int helper_conf(void *who, struct msg *m);	/* MSG_AUTH_CONF */
int helper_server(void *who, struct msg *m);	/* MSG_AUTH_SERVER */

#endif
