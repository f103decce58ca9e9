/*
 * Which account a client means: the rules of a server for the names that its
 * clients send (username_domain, username_fold).  Applied once, before anything
 * else looks at a name, so that failures, back end, lock and log know one name.
 */
#ifndef POP3D_AUTH_USERNAME_H
#define POP3D_AUTH_USERNAME_H

#include <stdbool.h>

#include "common/msg.h"

/*
 * Make the account's name of what came, in place: first the domain, then the
 * letters.  0, or -1: the name has a domain that is not this server's; its
 * letters are folded all the same.  pop3d.conf(5).
 */
int username_apply(const struct msg_auth_server *server, char name[MSG_NAME_SIZE]);

/* No control characters: names go into paths and log lines. */
bool username_is_clean(const char *name);

#endif
