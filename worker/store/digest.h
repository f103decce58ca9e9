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

/* The digests of messages, in their order. */
struct digests {
	size_t count;
	/* The i-th one, good until the next call; NULL with errno.  They are asked for one after
	 * the other from 0 on, perhaps several times. */
	const uint8_t *(*get)(void *arg, size_t i);
	void *arg;
};

/*
 * Number the messages that have equal digests 1, 2, 3 … in their order.  The numbers, one a
 * message, to be freed by free(3); NULL with errno.  It takes 12 octets a message, of which 4 stay.
 *
 * Digests that agree in 64 bits count as equal: messages that somebody has made so share one row of
 * numbers.  Their unique-ids differ as before, by the digest, and duplicates.h keeps them as it
 * does those of messages that are the same, since it counts the places by this function too.
 */
uint32_t *digest_number(const struct digests *d);

#endif
