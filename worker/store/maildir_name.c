#include "config.h"

#include <sha2.h>
#include <string.h>

#include "worker/store/digest.h"
#include "worker/store/maildir_name.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

size_t
maildir_base_len(const char *name)
{
	return strcspn(name, ":");
}

bool
maildir_name_counts(const char *name)
{
	return name[0] != '.' && name[0] != '\0';
}

/* The number with which a text begins; UINT64_MAX for none, and for one that does not fit. */
static uint64_t
number_of(const char *text)
{
	uint64_t value = 0;

	if (!is_digit(*text))
		return UINT64_MAX;
	for (; is_digit(*text); text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return UINT64_MAX;
	return value;
}

uint64_t
maildir_seconds(const char *name)
{
	return number_of(name);
}

static uint64_t
claim_of(const char *name, const char *mark)
{
	const char *claim = strstr(name, mark);

	return claim != NULL && claim < name + maildir_base_len(name)
		   ? number_of(claim + strlen(mark))
		   : STORE_NO_SIZE;
}

uint64_t
maildir_claimed_size(const char *name)
{
	return claim_of(name, ",W=");
}

uint64_t
maildir_claimed_stored(const char *name)
{
	return claim_of(name, ",S=");
}

static bool
is_uid(const char *base, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (base[i] < 0x21 || base[i] > 0x7e)
			return false;
	return len > 0 && len < STORE_UID_SIZE;
}

void
maildir_uid(const char *base, size_t len, char out[STORE_UID_SIZE])
{
	if (!is_uid(base, len)) {
		maildir_digest_uid(base, len, out);
		return;
	}
	memcpy(out, base, len);
	out[len] = '\0';
}

void
maildir_digest_uid(const char *base, size_t len, char out[STORE_UID_SIZE])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)base, len);
	SHA256Final(digest, &ctx);
	digest_hex(digest, out);
}

void
maildir_duplicate_uid(const char *base, size_t len, uint64_t inode, char out[STORE_UID_SIZE])
{
	uint8_t digest[SHA256_DIGEST_LENGTH], tail[9] = {0}; /* NUL and the inode */
	SHA2_CTX ctx;

	for (size_t i = 0; i < 8; i++)
		tail[i + 1] = (uint8_t)(inode >> (8 * i));
	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)base, len);
	SHA256Update(&ctx, tail, sizeof(tail));
	SHA256Final(digest, &ctx);
	digest_hex(digest, out);
}
