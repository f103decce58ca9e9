/*
 * Where an account's mail is: the template of a server's `storage` setting
 * with the account's values put in.  Pure functions.
 *
 *   %u user   %d domain (behind the last @)   %n user without domain
 *   %h home directory   %% a percent sign
 *
 * BACKEND_TEMPLATE_LETTERS (common/backends.h) are these letters.
 */
#ifndef POP3D_AUTH_TEMPLATE_H
#define POP3D_AUTH_TEMPLATE_H

#include <stddef.h>

/*
 * Put user and home into the template; dst of `cap` octets gets the absolute
 * path.  0, or -1 with errno EINVAL (unknown letter; a value for %u %d %n that
 * is empty, "." or ".." or holds a slash; result not absolute) or ENAMETOOLONG.
 */
int template_expand(const char *template, const char *user, const char *home, char *dst,
		    size_t cap);

#endif
