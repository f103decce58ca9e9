/*
 * The one type for passwords: fixed room, length kept, wiped on every path.
 */
#ifndef POP3D_SECRET_H
#define POP3D_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
	size_t len;
	char octets[256]; /* terminated; may not hold NUL */
};

/* Copy len octets in.  0, or -1 with errno EINVAL (NUL inside) or E2BIG. */
int secret_set(struct secret *s, const char *octets, size_t len);
void secret_wipe(struct secret *s);
/* Compare in time that depends on `len` only. */
bool secret_equal(const char *a, const char *b, size_t len);

#endif
