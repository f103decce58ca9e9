/*
 * The timestamp of a greeting that announces APOP (RFC 1939 section 7).  Knows
 * nothing of connections.
 */
#ifndef POP3D_LOGIN_TIMESTAMP_H
#define POP3D_LOGIN_TIMESTAMP_H

#include <stddef.h>

#include "common/pop3.h"

enum { TIMESTAMP_MAX = 200 /* octets, NUL included */ };

/*
 * "<RANDOM.TIME.PID@HOST>", the form of a message id: 128 random bits, seconds
 * and process in hexadecimal.  HOST is "localhost" if the name does not fit in.
 * malloc'ed, the caller's; NULL without memory or randomness.
 */
char *timestamp_new(const char *host);

/* The greeting (with its CRLF) with the timestamp at its end.  Its length. */
size_t timestamp_greet(char text[POP3_RESPONSE_MAX + 1], const char *greeting, size_t len,
		       const char *timestamp);

#endif
