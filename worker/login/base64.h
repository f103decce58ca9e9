/*
 * Base64 as SASL over POP3 needs it (RFC 4648 section 4, RFC 5034 section 4):
 * one alphabet, padding required, nothing skipped.
 */
#ifndef POP3D_LOGIN_BASE64_H
#define POP3D_LOGIN_BASE64_H

#include <stddef.h>

/*
 * Decode `len` characters.  `dst` needs room for len / 4 * 3 octets and may be
 * `src` itself.  0 and *out, the octets written; -1: not strict base64 (also:
 * spare bits of the last character that are not zero).
 */
int base64_decode(unsigned char *dst, const char *src, size_t len, size_t *out);

/* Octets that base64_encode writes for `len` octets, with the final NUL. */
#define BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1)

/* Encode; `dst` needs BASE64_SIZE(len) octets and is terminated.  Returns its length. */
size_t base64_encode(char *dst, const unsigned char *src, size_t len);

#endif
