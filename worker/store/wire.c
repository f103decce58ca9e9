#include "config.h"

#include <string.h>

#include "worker/store/wire.h"

void
wire_begin(struct wire *w)
{
	*w = (struct wire){0};
}

void
wire_begin_top(struct wire *w, uint64_t lines)
{
	*w = (struct wire){.top = true, .lines_left = lines};
}

/* What a line end means to TOP.  A line of one CR, stored as CRLF, is blank. */
static void
wire_end_top_line(struct wire *w)
{
	if (w->body)
		w->lines_left--;
	else
		w->body = w->line_len == (w->cr ? 1 : 0);
	w->done = w->body && w->lines_left == 0;
}

size_t
wire_convert(struct wire *w, const char *in, size_t len, char *out)
{
	const char *end = in + len, *lf;
	char *o = out;
	uint64_t dots = 0;
	size_t n;

	while (in < end && !w->done) {
		lf = memchr(in, '\n', (size_t)(end - in));
		n = (size_t)((lf != NULL ? lf : end) - in);
		if (n > 0) {
			if (w->line_len == 0 && *in == '.') {
				*o++ = '.';
				dots++;
			}
			memcpy(o, in, n);
			o += n;
			in += n;
			w->line_len += n;
			w->cr = in[-1] == '\r';
		}
		if (lf == NULL)
			break;
		if (!w->cr)
			*o++ = '\r';
		*o++ = '\n';
		in++;
		if (w->top)
			wire_end_top_line(w);
		w->line_len = 0;
		w->cr = false;
	}
	w->octets += (uint64_t)(o - out) - dots;
	return (size_t)(o - out);
}

size_t
wire_finish(struct wire *w, char out[WIRE_FINISH_ROOM])
{
	if (w->line_len == 0)
		return 0;
	out[0] = '\r';
	out[1] = '\n';
	w->line_len = 0;
	w->cr = false;
	w->octets += 2;
	return 2;
}

void
wire_count(struct wire *w, const char *in, size_t len)
{
	const char *p = in, *end = in + len, *lf;
	uint64_t added = 0;

	if (len == 0)
		return;
	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf == in ? !w->cr : lf[-1] != '\r')
			added++;
		p = lf + 1;
	}
	w->octets += len + added;
	w->line_len = end[-1] != '\n';
	w->cr = end[-1] == '\r';
}

uint64_t
wire_count_total(const struct wire *w)
{
	return w->octets + (w->line_len != 0 ? 2 : 0);
}
