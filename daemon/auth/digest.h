/*
 * Keyed digests: what is remembered of names and passwords without
 * keeping them.  The key is master's, random, and ends with master.
 */
#ifndef POP3D_AUTH_DIGEST_H
#define POP3D_AUTH_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/msg.h"

/* SHA-256 of the key and of each part with its length: parts that are divided otherwise differ. */
void digest_make(uint8_t digest[MSG_DIGEST_SIZE], const uint8_t key[MSG_DIGEST_SIZE],
		 const struct iovec *parts, size_t count);

#endif
