/*
 * APOP (RFC 1939 section 7).
 */
#ifndef POP3D_AUTH_APOP_H
#define POP3D_AUTH_APOP_H

#include <stdbool.h>

#include "common/secret.h"

/*
 * Is `digest` the MD5 of the greeting's timestamp (with its angle brackets) and
 * the secret, in 32 lower-case hexadecimal digits?  An empty secret matches
 * nothing.  Takes the same time whatever differs (RFC 1939 section 7).
 */
bool apop_matches(const char *timestamp, const char *secret, const struct secret *digest);

#endif
