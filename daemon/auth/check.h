/*
 * "pop3d-auth check SPEC ...": looks at what `auth` settings name; see common/check.h.
 */
#ifndef POP3D_AUTH_CHECK_H
#define POP3D_AUTH_CHECK_H

/*
 * Say on standard error what is wrong with each of the settings (terminated by NULL).
 * An exit status: 0 if a server can serve with all of them, 1 if not.  A fault in a
 * user file, even that it cannot be read, is said and is none that keeps a server
 * from starting.
 */
int check_main(char *const specs[]);

/*
 * "pop3d-auth check-user SPEC USER": say on standard error what keeps that user out, as far as it
 * can be known without a password.  An exit status: 0 if nothing does, 1 if something does.
 */
int check_user_main(char *const words[]);

#endif
