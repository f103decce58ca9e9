/*
 * Looking at a PAM service's file for what makes every login fail: the library itself says so at a
 * login alone, in the log of another program.
 */
#ifndef POP3D_AUTH_PAM_SERVICE_H
#define POP3D_AUTH_PAM_SERVICE_H

/*
 * Read the service's file in `folder`, and what it includes (pam.conf(5)), and log, by file and
 * line: words that are no type or control, files and modules that are not there; and phases without
 * a line.  0; -1: a fault keeps people out.
 */
int pam_service_look(const char *folder, const char *service);

#endif
