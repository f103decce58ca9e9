#include "config.h"

#include "worker/login/base64.h"

#include <stdint.h>

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value of a character, or -1.  The locale has no say. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* One group of four characters whose last `pads` are '='.  Octets written, or -1. */
static int
base64_decode_group(unsigned char *dst, const char *src, unsigned pads)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < 4; i++) {
		int value = i < 4 - pads ? base64_value(src[i]) : 0;
		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	unsigned octets = 3 - pads;
	if (pads > 0 && (bits & ((1u << (8 * pads)) - 1)) != 0)
		return -1;
	for (unsigned i = 0; i < octets; i++)
		dst[i] = (unsigned char)(bits >> (16 - 8 * i));
	return (int)octets;
}

int
base64_decode(unsigned char *dst, const char *src, size_t len, size_t *out)
{
	size_t written = 0;
	if (len % 4 != 0)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		unsigned pads = 0;
		if (i + 4 == len)
			pads = src[i + 3] != '=' ? 0 : src[i + 2] != '=' ? 1 : 2;
		int n = base64_decode_group(dst + written, src + i, pads);
		if (n < 0)
			return -1;
		written += (size_t)n;
	}
	*out = written;
	return 0;
}

size_t
base64_encode(char *dst, const unsigned char *src, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i += 3) {
		size_t octets = len - i < 3 ? len - i : 3;
		uint32_t bits = 0;
		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < octets ? src[i + j] : 0u);
		for (size_t j = 0; j < 4; j++)
			dst[n++] = j <= octets ? alphabet[bits >> (18 - 6 * j) & 63] : '=';
	}
	dst[n] = '\0';
	return n;
}
