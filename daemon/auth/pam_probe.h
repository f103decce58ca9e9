/*
 * Asking those modules of a PAM service about a user that look at him alone and change nothing:
 * pam_nologin(8), pam_shells(8) and the like.  For pop3ctl doctor, as root.
 */
#ifndef POP3D_AUTH_PAM_PROBE_H
#define POP3D_AUTH_PAM_PROBE_H

#include "daemon/auth/pam_stack.h"

/*
 * Log which lines of the phase ("auth", "account") of the service refuse the user, if they keep him
 * out whatever the other modules say.  A client of this host is assumed.  0; -1: he is kept out.
 */
int pam_probe(struct pam_stack *s, const char *service, const char *phase, const char *user);

#endif
