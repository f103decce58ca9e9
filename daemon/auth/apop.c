#include "config.h"

#include <md5.h>
#include <stdint.h>
#include <string.h>

#include "common/secret.h"
#include "daemon/auth/apop.h"

enum { DIGEST_LEN = 2 * MD5_DIGEST_LENGTH };

bool
apop_matches(const char *timestamp, const char *secret, const struct secret *digest)
{
	char right[DIGEST_LEN + 1], given[DIGEST_LEN + 1] = "";
	size_t len = strlen(digest->octets);
	MD5_CTX md;
	bool same;

	memcpy(given, digest->octets, len < DIGEST_LEN ? len : DIGEST_LEN);
	MD5Init(&md);
	MD5Update(&md, (const uint8_t *)timestamp, strlen(timestamp));
	MD5Update(&md, (const uint8_t *)secret, strlen(secret));
	MD5End(&md, right); /* lower case */
	same = secret_digest_equal(right, given, DIGEST_LEN);
	explicit_bzero(right, sizeof(right));
	return same && len == DIGEST_LEN && secret[0] != '\0';
}
