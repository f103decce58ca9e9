/*
 * What master told the helper: limits, and the servers with their back ends.
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

/* Can they be served?  0, or -1 and why (of cap octets). */
int settings_check(const struct settings *s, char *why, size_t cap);

/* The server with this index, or NULL. */
const struct msg_auth_server *settings_server(const struct settings *s, uint32_t server);

/* What a server's `storage` says for an account: name of the store back end and
 * the mailbox; "dir:BASE" without any % is "dir:BASE/%u".  0, or -1 with errno as template_expand.
 */
int settings_mailbox(const struct msg_auth_server *server, const struct msg_account *account,
		     char storage[MSG_WORD_SIZE], char mailbox[MSG_PATH_SIZE]);

void settings_free(struct settings *s);

#endif
