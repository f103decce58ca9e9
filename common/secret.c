/* Passwords: see secret.h. */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/secret.h"

int
secret_set(struct secret *s, const char *octets, size_t len)
{
	secret_wipe(s);
	if (len >= sizeof(s->octets)) {
		errno = E2BIG;
		return -1;
	}
	if (len > 0 && memchr(octets, '\0', len) != NULL) {
		errno = EINVAL;
		return -1;
	}
	if (len > 0)
		memcpy(s->octets, octets, len);
	return 0;
}

void
secret_wipe(struct secret *s)
{
	explicit_bzero(s, sizeof(*s));
}

bool
secret_digest_equal(const char *a, const char *b, size_t len)
{
	/* volatile: the compiler may not leave the loop at the first difference */
	volatile uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ = (uint8_t)(differ | ((uint8_t)a[i] ^ (uint8_t)b[i]));
	return differ == 0;
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
	return secret_digest_equal(a->octets, b->octets, sizeof(a->octets));
}
