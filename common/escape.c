#include "config.h"

#include <string.h>

#include "common/escape.h"

size_t
escape_octet(char *dst, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	dst[0] = '\\';
	dst[1] = 'x';
	dst[2] = hex[c >> 4];
	dst[3] = hex[c & 15];
	return ESCAPE_SIZE;
}

void
escape_text(char *dst, size_t cap, const char *src)
{
	static const char cut[] = "...";
	size_t n = 0;

	for (; *src != '\0'; src++) {
		unsigned char c = (unsigned char)*src;

		if (n + ESCAPE_SIZE + sizeof(cut) > cap) {
			memcpy(dst + n, cut, sizeof(cut) - 1);
			n += sizeof(cut) - 1;
			break;
		}
		if (escape_is_plain(c))
			dst[n++] = *src;
		else
			n += escape_octet(dst + n, c);
	}
	dst[n] = '\0';
}

void
escape_print(FILE *out, unsigned char c)
{
	char octets[ESCAPE_SIZE];

	if (c == '\\')
		fputs("\\\\", out);
	else if (escape_is_plain(c))
		putc(c, out);
	else
		fwrite(octets, 1, escape_octet(octets, c), out);
}
