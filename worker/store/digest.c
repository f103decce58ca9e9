#include "config.h"

#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/digest.h"
#include "worker/store/sort.h"

enum { HEX_LEN = 2 * STORE_DIGEST, NUMBER_MAX = 99999 /* that fits behind the digits */ };

void
digest_hex(const uint8_t digest[STORE_DIGEST], char out[STORE_UID_SIZE])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < STORE_DIGEST; i++) {
		*out++ = hex[digest[i] >> 4];
		*out++ = hex[digest[i] & 15];
	}
	*out = '\0';
}

void
digest_uid(const uint8_t digest[STORE_DIGEST], uint32_t n, char out[STORE_UID_SIZE])
{
	char name[HEX_LEN + 16];
	uint8_t other[STORE_DIGEST];
	SHA2_CTX sha;
	int len;

	digest_hex(digest, out);
	if (n > NUMBER_MAX) {
		len = snprintf(name, sizeof(name), "%.*s-%" PRIu32, HEX_LEN, out, n);
		SHA256Init(&sha);
		SHA256Update(&sha, (const uint8_t *)name, (size_t)len);
		SHA256Final(other, &sha);
		digest_hex(other, out);
	} else if (n > 1) {
		(void)snprintf(out + HEX_LEN, STORE_UID_SIZE - HEX_LEN, "-%" PRIu32, n);
	}
}

static int
index_compare(const void *a, const void *b, void *arg)
{
	const uint8_t(*digests)[STORE_DIGEST] = arg;
	size_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int order = memcmp(digests[i], digests[j], STORE_DIGEST);

	return order != 0 ? order : (i > j) - (i < j);
}

int
digest_number(const uint8_t (*digests)[STORE_DIGEST], size_t count, uint32_t *numbers)
{
	uint32_t *order = count < UINT32_MAX ? calloc(count + 1, sizeof(*order)) : NULL;

	if (order == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	sort(order, count, sizeof(*order), index_compare, (void *)(uintptr_t)digests);
	for (size_t k = 0; k < count; k++) {
		bool same =
		    k > 0 && memcmp(digests[order[k - 1]], digests[order[k]], STORE_DIGEST) == 0;

		numbers[order[k]] = same ? numbers[order[k - 1]] + 1 : 1;
	}
	free(order);
	return 0;
}
