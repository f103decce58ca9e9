/*
 * libFuzzer: any octets as a stored message, cut at the octet that the first
 * two name: the size told is that of what is sent (RFC 1939 section 11), the
 * same for every cut, and TOP sends a beginning of it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "worker/store/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
convert(struct wire *w, const char *in, size_t len, size_t cut, char *out)
{
	size_t n = wire_convert(w, in, cut, out);

	n += wire_convert(w, in + cut, len - cut, out + n);
	return n + wire_finish(w, out + n);
}

/* Octets without the dots that were added. */
static uint64_t
unstuffed(const char *out, size_t len)
{
	uint64_t n = len;

	for (size_t i = 0; i < len; i++)
		if (out[i] == '.' &&
		    (i == 0 || (i > 1 && out[i - 1] == '\n' && out[i - 2] == '\r')))
			n--;
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire w;
	const char *in = (const char *)data + 2;
	size_t len = size - 2, cut, whole, part;
	char *a, *b;

	if (size < 2)
		return 0;
	cut = len > 0 ? (data[0] * 256u + data[1]) % (len + 1) : 0;
	a = malloc(WIRE_ROOM(len) + WIRE_FINISH_ROOM);
	b = malloc(WIRE_ROOM(len) + WIRE_FINISH_ROOM);
	if (a == NULL || b == NULL)
		abort();
	wire_begin(&w);
	whole = convert(&w, in, len, len, a);
	if (w.octets != unstuffed(a, whole))
		abort();
	wire_begin(&w);
	if (convert(&w, in, len, cut, b) != whole || memcmp(a, b, whole) != 0)
		abort();
	wire_begin(&w);
	wire_count(&w, in, cut);
	wire_count(&w, in + cut, len - cut);
	if (wire_count_total(&w) != unstuffed(a, whole))
		abort();
	wire_begin_top(&w, data[0] % 4);
	part = convert(&w, in, len, cut, b);
	if (part > whole || memcmp(a, b, part) != 0)
		abort();
	free(a);
	free(b);
	return 0;
}
