/*
 * Octets from elsewhere on a terminal or in a log: printable ASCII as it is,
 * each other octet as \xNN.
 */
#ifndef POP3D_ESCAPE_H
#define POP3D_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { ESCAPE_SIZE = 4 }; /* octets of \xNN */

/* Printable ASCII, the space among it? */
static inline bool
escape_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Write \xNN, without a NUL.  Returns ESCAPE_SIZE. */
size_t escape_octet(char *dst, unsigned char c);

/* Copy text into the cap octets of dst, with a NUL; what does not fit is cut at a whole escape and
 * "..." stands there.  Backslashes are copied as they are. */
void escape_text(char *dst, size_t cap, const char *src);

/* Print an octet so that the reader can tell what it was: a backslash is doubled. */
void escape_print(FILE *out, unsigned char c);

#endif
