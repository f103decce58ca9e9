/*
 * "pop3d-key check CERTIFICATE KEY ...": loads keys as the key process does at its
 * start; see common/check.h.
 */
#ifndef POP3D_KEY_CHECK_H
#define POP3D_KEY_CHECK_H

/* KEY is empty if it is in the certificate's file; the arguments are terminated by NULL.  An exit
 * status. */
int key_check(char *const args[]);

#endif
