/*
 * Looking for mail of a user that lies in another place than his mailbox.
 */
#ifndef POP3D_SESSION_ELSEWHERE_H
#define POP3D_SESSION_ELSEWHERE_H

#include "worker/store/store.h"

/*
 * The first other place with an mbox or a Maildir that has a message: in the spools, by the user's
 * name, in his home, or where clients keep folders there.  Its path in `found`; empty: there is
 * none.  As the user, before the session is confined to the mailbox.
 */
void elsewhere_find(const struct store *s, const char *user, char found[MSG_PATH_SIZE]);

#endif
