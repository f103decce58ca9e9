#include "config.h"

#include <sha2.h>
#include <string.h>

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

uint64_t
maildir_seconds(const char *name)
{
	uint64_t value = 0;

	if (!is_digit(*name))
		return UINT64_MAX;
	for (; is_digit(*name); name++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*name - '0'), &value))
			return UINT64_MAX;
	return value;
}

/* The end of the run of digits at `at`; *significant is its first digit that is not 0. */
static size_t
digits_end(const char *s, size_t at, size_t len, size_t *significant)
{
	while (at < len && s[at] == '0')
		at++;
	*significant = at;
	while (at < len && is_digit(s[at]))
		at++;
	return at;
}

/* Octet by octet, the shorter one first. */
static int
octets_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

int
maildir_base_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t i = 0, j = 0, i0, j0;
	int order;

	while (i < a_len && j < b_len) {
		if (!is_digit(a[i]) || !is_digit(b[j])) {
			if (a[i] != b[j])
				return (unsigned char)a[i] < (unsigned char)b[j] ? -1 : 1;
			i++;
			j++;
			continue;
		}
		i = digits_end(a, i, a_len, &i0);
		j = digits_end(b, j, b_len, &j0);
		if (i - i0 != j - j0)
			return i - i0 < j - j0 ? -1 : 1;
		order = memcmp(a + i0, b + j0, i - i0);
		if (order != 0)
			return order;
	}
	if (i < a_len || j < b_len)
		return i < a_len ? 1 : -1;
	return octets_compare(a, a_len, b, b_len);
}

static void
put_hex(char out[STORE_UID_SIZE], const uint8_t digest[SHA256_DIGEST_LENGTH])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		*out++ = hex[digest[i] >> 4];
		*out++ = hex[digest[i] & 15];
	}
	*out = '\0';
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
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	if (is_uid(base, len)) {
		memcpy(out, base, len);
		out[len] = '\0';
		return;
	}
	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)base, len);
	SHA256Final(digest, &ctx);
	put_hex(out, digest);
}

void
maildir_twin_uid(const char *base, size_t len, uint64_t inode, char out[STORE_UID_SIZE])
{
	uint8_t digest[SHA256_DIGEST_LENGTH], tail[9] = {0}; /* NUL and the inode */
	SHA2_CTX ctx;

	for (size_t i = 0; i < 8; i++)
		tail[i + 1] = (uint8_t)(inode >> (8 * i));
	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)base, len);
	SHA256Update(&ctx, tail, sizeof(tail));
	SHA256Final(digest, &ctx);
	put_hex(out, digest);
}
