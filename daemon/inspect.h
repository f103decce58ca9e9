/*
 * pop3d -t beyond the configuration itself: what its settings name.
 */
#ifndef POP3D_INSPECT_H
#define POP3D_INSPECT_H

#include "daemon/conf/conf.h"

/*
 * Have pop3d-auth look at what each server's `auth` names: it says on standard
 * error what is wrong, a fault of a user file with file and line.  Waits for it.
 * 0: logins can be served, -1: not, or the program does not run (said).
 */
int inspect_auth(const struct conf *conf);

#endif
