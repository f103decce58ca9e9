/*
 * Unique-ids made of SHA-256 digests, and numbers for messages that are octet
 * for octet the same.  Pure functions.
 */
#ifndef POP3D_STORE_DIGEST_H
#define POP3D_STORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "worker/store/store.h"

/* The digest as 64 lower-case hexadecimal digits and NUL. */
void digest_hex(const uint8_t digest[STORE_DIGEST], char out[STORE_UID_SIZE]);

/* The unique-id of the n-th message (from 1) with this digest: the digits; for the second and later
 * ones with "-2", "-3" … behind them, or, where that is longer than 70 octets, the digits of the
 * digest of that. */
void digest_uid(const uint8_t digest[STORE_DIGEST], uint32_t n, char out[STORE_UID_SIZE]);

/* Number the messages that have equal digests 1, 2, 3 … in their order.  0 or -1 with errno. */
int digest_number(const uint8_t (*digests)[STORE_DIGEST], size_t count, uint32_t *numbers);

#endif
