#include "config.h"

#include <sha2.h>
#include <string.h>

#include "daemon/auth/digest.h"

void
digest_make(uint8_t digest[MSG_DIGEST_SIZE], const uint8_t key[MSG_DIGEST_SIZE],
	    const struct iovec *parts, size_t count)
{
	SHA2_CTX sha;

	SHA256Init(&sha);
	SHA256Update(&sha, key, MSG_DIGEST_SIZE);
	for (size_t i = 0; i < count; i++) {
		uint64_t len = parts[i].iov_len;

		SHA256Update(&sha, (const uint8_t *)&len, sizeof(len));
		SHA256Update(&sha, parts[i].iov_base, parts[i].iov_len);
	}
	SHA256Final(digest, &sha);
	explicit_bzero(&sha, sizeof(sha));
}
