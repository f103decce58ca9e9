/*
 * What master tells gate and dispatcher: limits, and the servers with their
 * back ends.
 */
#ifndef POP3D_AUTH_SETTINGS_H
#define POP3D_AUTH_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/msg.h"

struct settings {
	struct msg_auth_conf conf;
	struct msg_auth_server *servers;
	size_t nservers;
};

/* Begin anew: no servers. */
void settings_begin(struct settings *s, const struct msg_auth_conf *conf);

/* 0, or -1 with errno ENOMEM. */
int settings_add(struct settings *s, const struct msg_auth_server *server);

/* The server with this index, or NULL. */
const struct msg_auth_server *settings_server(const struct settings *s, uint32_t server);

void settings_free(struct settings *s);

/* Those in force, and those that master is telling. */
struct told {
	struct settings now, next;
	bool telling; /* MSG_AUTH_CONF has begun `next` */
	bool started; /* `now` is in force */
};

/* States of a receiver (inbox.h). */
enum {
	TOLD_NEW = 1,	/* knows no settings */
	TOLD_FIRST = 2, /* is being told its first ones */
	TOLD_READY = 4, /* decides logins */
	TOLD_AGAIN = 8, /* decides logins, and is being told new settings */
	TOLD_DECIDES = TOLD_READY | TOLD_AGAIN
};
int told_state(const struct told *t);

/* MSG_AUTH_CONF: servers follow. */
void told_begin(struct told *t, const struct msg_auth_conf *conf);

/* What was told is in force.  The former settings, to be freed when nobody uses them any more. */
struct settings told_take(struct told *t);

/* What was told cannot be served: the former settings stay. */
void told_drop(struct told *t);

#endif
