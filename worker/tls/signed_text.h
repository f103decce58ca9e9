/*
 * What a server signs in a handshake, and the request that stands for it.  There
 * are two texts:
 *
 *   TLS 1.3  64 blanks, "TLS 1.3, server CertificateVerify", 0, transcript hash
 *            (RFC 8446 section 4.4.3)
 *   TLS 1.2  both randoms, ServerECDHParams: 3, named curve, length, point
 *            (RFC 8422 section 5.4)
 *
 * Neither can be read as the other, nor as a text that anybody else signs.
 */
#ifndef POP3D_TLS_SIGNED_TEXT_H
#define POP3D_TLS_SIGNED_TEXT_H

#include <stddef.h>

#include "common/msg.h"

enum { SIGNED_TEXT_MAX = 160 };

/* Take the text apart: form, group, randoms and share of *ask.  0; -1: it is neither of the two. */
int signed_text_parse(const uint8_t *text, size_t len, struct msg_sign_ask *ask);

/* Put it together.  Octets of it; 0: the request stands for no such text. */
size_t signed_text_build(const struct msg_sign_ask *ask, uint8_t text[SIGNED_TEXT_MAX]);

#endif
