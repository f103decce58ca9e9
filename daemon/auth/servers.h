/*
 * Servers as the gate serves them: their back ends for accounts, and where an
 * account's mail is.
 */
#ifndef POP3D_AUTH_SERVERS_H
#define POP3D_AUTH_SERVERS_H

#include "daemon/auth/settings.h"

/* Can they be served?  0, or -1 and why (of cap octets). */
int servers_check(const struct settings *s, char *why, size_t cap);

/* What a server's `storage` says for an account: name of the store back end and
 * the mailbox; "dir:BASE" without any % is "dir:BASE/%u".  0, or -1 with errno as template_expand.
 */
int servers_mailbox(const struct msg_auth_server *server, const struct msg_account *account,
		    char storage[MSG_WORD_SIZE], char mailbox[MSG_PATH_SIZE]);

#endif
