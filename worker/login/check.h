/*
 * "pop3d-login check CIPHERS CERTIFICATE ...": loads certificates as a worker does at
 * its start; see common/check.h.
 */
#ifndef POP3D_LOGIN_CHECK_H
#define POP3D_LOGIN_CHECK_H

/*
 * CIPHERS is the setting tls_ciphers, empty for the default; the arguments are
 * terminated by NULL.  For each good one a line on standard output says how long
 * the certificate is valid.  An exit status.
 */
int worker_check(char *const args[]);

/* "pop3d-login check-served HOST [CERTIFICATE EXPIRES] ...": see common/check.h.  HOST is empty if
 * names are not to be compared.  An exit status. */
int worker_check_served(char *const args[]);

/* "pop3d-login names CERTIFICATE ...": see common/check.h.  An exit status: one could not be read,
 * which is said on standard error. */
int worker_names(char *const args[]);

#endif
