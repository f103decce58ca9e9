#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "worker/store/natural.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
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
natural_compare(const char *a, size_t a_len, const char *b, size_t b_len)
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
