#include "config.h"

#include <errno.h>
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

/* A message while it is sorted.  All members are of one type, since the numbers take their place.
 */
struct key {
	uint32_t prefix[2]; /* of the digest; then the number is the first of them */
	uint32_t index;
};

static int
key_compare(const void *a, const void *b, void *arg)
{
	const struct key *x = a, *y = b;

	(void)arg;
	for (size_t i = 0; i < 2; i++)
		if (x->prefix[i] != y->prefix[i])
			return x->prefix[i] > y->prefix[i] ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

/* 0 or -1 with errno. */
static int
keys_fill(struct key *keys, const struct digests *d)
{
	const uint8_t *digest;

	for (size_t i = 0; i < d->count; i++) {
		if ((digest = d->get(d->arg, i)) == NULL)
			return -1;
		memcpy(keys[i].prefix, digest, sizeof(keys[i].prefix));
		keys[i].index = (uint32_t)i;
	}
	return 0;
}

/* Of sorted ones: write each one's number over its prefix. */
static void
keys_number(struct key *keys, size_t count)
{
	uint32_t before[2] = {0}, n = 0;

	for (size_t k = 0; k < count; k++) {
		n = memcmp(keys[k].prefix, before, sizeof(before)) == 0 ? n + 1 : 1;
		memcpy(before, keys[k].prefix, sizeof(before));
		keys[k].prefix[0] = n;
	}
}

/* Bring them back into the order of the messages: each swap brings one home. */
static void
keys_restore(struct key *keys, size_t count)
{
	struct key kept;
	uint32_t home;

	for (size_t i = 0; i < count; i++)
		while ((home = keys[i].index) != i) {
			kept = keys[home];
			keys[home] = keys[i];
			keys[i] = kept;
		}
}

uint32_t *
digest_number(const struct digests *d)
{
	struct key *keys;
	uint32_t *numbers, *shorter;

	errno = ENOMEM;
	if (d->count >= UINT32_MAX || (keys = calloc(d->count + 1, sizeof(*keys))) == NULL)
		return NULL;
	if (keys_fill(keys, d) == -1) {
		free(keys);
		return NULL;
	}
	sort(keys, d->count, sizeof(*keys), key_compare, NULL);
	keys_number(keys, d->count);
	keys_restore(keys, d->count);
	numbers = (uint32_t *)keys;
	for (size_t i = 0; i < d->count; i++)
		numbers[i] = keys[i].prefix[0];
	shorter = reallocarray(numbers, d->count + 1, sizeof(*numbers));
	return shorter != NULL ? shorter : numbers;
}
