/*
 * The private keys, and the one thing that is done with them.
 */
#ifndef POP3D_KEY_KEYS_H
#define POP3D_KEY_KEYS_H

#include <stddef.h>

#include "common/msg.h"

/* Load the key of a certificate; that of the same public key may be there already.  0, or -1 and in
 * `why` (of cap octets) what is wrong with a file, which it names. */
int keys_load(const struct msg_key_pair *pair, char *why, size_t cap);

/*
 * Sign what the request stands for, and nothing else: one of the two texts of
 * signed_text.h, with a key that is there, by a scheme of scheme.h that fits the
 * key and the version of TLS.  Octets of the signature; 0: refused.
 */
size_t keys_sign(const struct msg_sign_ask *ask, uint8_t signature[static MSG_SIGNATURE_MAX]);

/* Wipe and free all. */
void keys_free(void);

#endif
