/*
 * pop3d -t has the programs of roles look at their part of the configuration:
 * "PROGRAM check ARGUMENT ...", run as the caller of pop3d -t.  A program says on
 * standard error what is wrong, serves nobody, and ends with status 0 if a server
 * can be started with that, 1 if not.
 */
#ifndef POP3D_CHECK_H
#define POP3D_CHECK_H

/* The word behind the program's name. */
#define CHECK_WORD "check"

/*
 * pop3ctl(8) doctor asks pop3d-login about certificates that are served: "PROGRAM check-served HOST
 * [CERTIFICATE EXPIRES] ...": is the file still the one that expires then (as clock_utc() says it),
 * has it this host's name, and does it expire soon?
 */
#define CHECK_SERVED_WORD "check-served"

/* It asks pop3d-auth about a user: "PROGRAM check-user AUTH USER": what keeps him out, as far as it
 * can be known without a password? */
#define CHECK_USER_WORD "check-user"

/*
 * pop3ctl(8) autoconfig asks it for the DNS names of certificates: "PROGRAM names CERTIFICATE ...",
 * each name a line; those only that are printable ASCII without blanks.
 */
#define CHECK_NAMES_WORD "names"

#endif
