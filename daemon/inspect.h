/*
 * pop3d -t beyond the configuration itself: what its settings name, and what a
 * start would need of the host.
 */
#ifndef POP3D_INSPECT_H
#define POP3D_INSPECT_H

#include "daemon/conf/conf.h"

/*
 * Have pop3d-auth look at what each server's `auth` names and, as root, look at
 * the rest as well: the accounts of login_user, auth_user and control_group, the
 * ports, and, by pop3d-login, certificates and keys.  All that is wrong is said on
 * standard error, a fault of a user file with file and line.  A port that is taken
 * is a warning, and none at all while a pop3d with this runtime_dir runs.
 * Waits for the programs.  0: a server can be started, -1: not.
 */
int inspect(const struct conf *conf);

#endif
