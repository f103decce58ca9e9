/*
 * Looking at a PAM service's file for what makes every login fail: the library itself says so at a
 * login alone, in the log of another program.
 */
#ifndef POP3D_AUTH_PAM_SERVICE_H
#define POP3D_AUTH_PAM_SERVICE_H

#include <stddef.h>

/*
 * Read the service's file, and what it includes (pam.conf(5)), each in the first of the `n` folders
 * that has it, and log, by file and line: words that are no type or control, files and modules that
 * are not there; and phases without a line.  0; -1: a fault keeps people out.
 */
int pam_service_look(const char *const folders[], size_t n, const char *service);

/* Have its modules look at the user, as far as that changes nothing, and log which refuse him; see
 * pam_probe.h.  0; -1: one keeps him out.  Faults of the file are passed over. */
int pam_service_ask(const char *const folders[], size_t n, const char *service, const char *user);

#endif
