/*
 * libFuzzer: what a client sends before login, cut in two at the octet that
 * the first one names: the same lines come out as in one piece, and the
 * command parser stays within each.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/pop3.h"
#include "worker/login/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse(const char *line, size_t len)
{
	struct pop3_command c;
	uint64_t n;

	if (pop3_parse(line, len, &c) == -1) {
		if (c.keyword[0] != '\0')
			abort();
		return;
	}
	if (c.rest != NULL && (c.rest < line || c.rest + c.rest_len > line + len))
		abort();
	for (unsigned i = 0; i < c.argc && i < 2; i++) {
		if (c.argv[i] < line || c.argv[i] + c.arg_len[i] > line + len)
			abort();
		(void)pop3_number(c.argv[i], c.arg_len[i], &n);
	}
}

/* Feed octets as they arrive; a digest of the lines that came out. */
static void
feed(struct line *l, const uint8_t *data, size_t size, uint64_t *digest)
{
	char *octets = malloc(size + 1);
	size_t at = 0;

	if (octets == NULL)
		abort();
	memcpy(octets, data, size);
	while (at < size) {
		size_t window = line_window(l, false), left = size - at;
		size_t share = line_share(octets + at, left < window ? left : window);
		struct line_text text = {NULL, 0};
		enum line_result r = line_feed(l, false, octets + at, share, &text);

		at += share;
		if (r == LINE_MORE)
			continue;
		if (r == LINE_READY)
			parse(text.octets, text.len);
		*digest = *digest * 31 + (uint64_t)r + (r == LINE_READY ? text.len : 0);
		line_reset(l);
		if (r == LINE_ENDLESS)
			break;
	}
	free(octets);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line whole, cut;
	uint64_t first = 0, second = 0;
	size_t at;

	if (size < 2 ||
	    size > 4096) /* beyond it a line is endless at some cuts and not at others */
		return 0;
	at = 1 + data[0] % (size - 1);
	memset(&whole, 0, sizeof(whole));
	memset(&cut, 0, sizeof(cut));
	feed(&whole, data + 1, size - 1, &first);
	feed(&cut, data + 1, at - 1, &second);
	feed(&cut, data + at, size - at, &second);
	line_reset(&whole);
	line_reset(&cut);
	if (first != second)
		abort();
	return 0;
}
