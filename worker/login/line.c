#include "config.h"

#include "worker/login/line.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/count.h"
#include "common/pop3.h"

enum {
	LINE_WINDOW = 512, /* so little is read ahead that nothing ever needs handing over */
	LINE_WINDOW_SASL = 4096,
	LINE_ROOM = 512,				   /* first allocation */
	LINE_SASL_MAX = POP3_SASL_LINE_MAX + POP3_LINE_MAX /* AUTH, its mechanism, CRLF */
};

static bool
line_begins_auth(const char *octets, size_t len)
{
	return len >= 5 && strncasecmp(octets, "AUTH ", 5) == 0;
}

/* The same for a line under way and the octets that come next: its word may be cut in two. */
static bool
line_will_begin_auth(const struct line *l, const char *octets, size_t len)
{
	char begin[5];
	size_t have = l->len < sizeof(begin) ? l->len : sizeof(begin);
	size_t more = len < sizeof(begin) - have ? len : sizeof(begin) - have;

	if (have > 0)
		memcpy(begin, l->octets, have);
	memcpy(begin + have, octets, more);
	return line_begins_auth(begin, have + more);
}

size_t
line_window(const struct line *l, bool sasl)
{
	return sasl || line_begins_auth(l->octets, l->len) ? LINE_WINDOW_SASL : LINE_WINDOW;
}

size_t
line_share(const char *octets, size_t len)
{
	const char *end = memchr(octets, '\n', len);
	return end != NULL ? (size_t)(end - octets) + 1 : len;
}

static void
line_drop(struct line *l)
{
	if (l->octets != NULL)
		explicit_bzero(l->octets, l->cap);
	free(l->octets);
	l->octets = NULL;
	l->len = l->cap = 0;
}

void
line_reset(struct line *l)
{
	line_drop(l);
	l->total = l->give_up = 0;
}

/* realloc(3) would leave a copy of a password behind. */
static int
line_append(struct line *l, const char *octets, size_t len)
{
	if (l->len + len > l->cap) {
		size_t cap = l->cap > 0 ? l->cap : LINE_ROOM;
		while (cap < l->len + len)
			cap *= 2;
		char *grown = malloc(cap);
		if (grown == NULL)
			return -1;
		size_t kept = l->len;
		if (kept > 0)
			memcpy(grown, l->octets, kept);
		line_drop(l);
		l->octets = grown;
		l->len = kept;
		l->cap = cap;
	}
	memcpy(l->octets + l->len, octets, len);
	l->len += len;
	return 0;
}

static enum line_result
line_discard(struct line *l, bool ended)
{
	if (ended) {
		line_reset(l);
		return LINE_TOO_LONG;
	}
	return l->total > l->give_up ? LINE_ENDLESS : LINE_MORE;
}

/* Without its LF, and a CR before that. */
static struct line_text
line_strip(char *octets, size_t len)
{
	len--;
	if (len > 0 && octets[len - 1] == '\r')
		len--;
	return (struct line_text){octets, len};
}

enum line_result
line_feed(struct line *l, bool sasl, char *octets, size_t len, struct line_text *text)
{
	bool ended = octets[len - 1] == '\n';
	l->total += len;
	if (l->give_up == 0) {
		bool wide = sasl || line_will_begin_auth(l, octets, len);
		size_t limit = wide ? LINE_SASL_MAX : POP3_LINE_MAX;
		if (l->total <= limit && l->len == 0 && ended) {
			*text = line_strip(octets, len);
			return LINE_READY;
		}
		if (l->total > limit || line_append(l, octets, len) == -1) {
			l->give_up = wide ? LINE_SASL_MAX + POP3_JUNK_MAX : POP3_JUNK_MAX;
			line_drop(l);
		}
	}
	if (l->give_up > 0)
		return line_discard(l, ended);
	if (!ended)
		return LINE_MORE;
	*text = line_strip(l->octets, l->len);
	return LINE_READY;
}

struct line_text
line_partial(const struct line *l)
{
	return (struct line_text){l->octets, l->len};
}

enum line_protocol
line_protocol(const char *octets, size_t len)
{
	static const struct {
		const char *begin;
		enum line_protocol protocol;
	} foreign[] = {
	    {"GET ", LINE_HTTP},       {"POST ", LINE_HTTP},	{"HEAD ", LINE_HTTP},
	    {"PUT ", LINE_HTTP},       {"DELETE ", LINE_HTTP},	{"PATCH ", LINE_HTTP},
	    {"OPTIONS ", LINE_HTTP},   {"CONNECT ", LINE_HTTP}, {"TRACE ", LINE_HTTP},
	    {"PRI * HTTP", LINE_HTTP}, {"\x16\x03", LINE_TLS},
	};

	for (size_t i = 0; i < COUNT_OF(foreign); i++) {
		size_t n = strlen(foreign[i].begin);

		if (len >= n && memcmp(octets, foreign[i].begin, n) == 0)
			return foreign[i].protocol;
	}
	return LINE_POP3;
}
