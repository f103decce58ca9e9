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

#endif
