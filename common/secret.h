/*
 * The one type for passwords, on their whole way: fixed room that is wiped on
 * every path.  It is no string of another type, so that none is printed or
 * copied like one.
 */
#ifndef POP3D_SECRET_H
#define POP3D_SECRET_H

#include <stdbool.h>
#include <stddef.h>

enum { SECRET_SIZE = 256 }; /* up to 255 octets and a NUL */

struct secret {
	char octets[SECRET_SIZE]; /* without NUL among them; the rest of the room is NULs */
};

/* Copy len octets in.  0, or -1 with errno EINVAL (NUL inside) or E2BIG, and it is empty. */
int secret_set(struct secret *s, const char *octets, size_t len);

void secret_wipe(struct secret *s);

static inline bool
secret_is_empty(const struct secret *s)
{
	return s->octets[0] == '\0';
}

/* Compare, in a time that tells nothing of either. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* Compare in time that depends on `len` only: digests of secrets. */
bool secret_digest_equal(const char *a, const char *b, size_t len);

#endif
