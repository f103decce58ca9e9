/*
 * Putting command and SASL lines together from what arrives, however it is cut
 * (CONFORMANCE LIN).  Knows nothing of sockets.
 */
#ifndef POP3D_LOGIN_LINE_H
#define POP3D_LOGIN_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* A line under way.  Zeroed: none.  Most lines arrive whole and need no room of their own. */
struct line {
	char *octets; /* what came in earlier rounds */
	size_t len, cap;
	size_t total;	/* octets of the line so far, also those thrown away */
	size_t give_up; /* overlong: from so many on no line end is waited for; else 0 */
};

/* A whole line without its line end.  Valid until line_reset, and may be written to. */
struct line_text {
	char *octets;
	size_t len;
};

enum line_result {
	LINE_MORE,     /* no line end yet */
	LINE_READY,    /* *text is a line */
	LINE_TOO_LONG, /* a line that exceeds the limit ended and was thrown away */
	LINE_ENDLESS,  /* far too long, still without an end: hang up */
	LINE_RESULT_COUNT
};

/* How many octets to look at next; more when a SASL response is due or under way. */
size_t line_window(const struct line *l, bool sasl);

/* Of the octets looked at, how many belong to the line under way: through the first LF, or all. */
size_t line_share(const char *octets, size_t len);

/*
 * Add `len` (at least 1) octets, cut by line_share.  `sasl`: the limit of SASL
 * responses counts; it does so as well for a line that begins with "AUTH ".
 */
enum line_result line_feed(struct line *l, bool sasl, char *octets, size_t len,
			   struct line_text *text);

/* What is known of the line under way (LINE_MORE); NULL and 0 if it is being thrown away. */
struct line_text line_partial(const struct line *l);

/* Wipe and forget; ready for the next line. */
void line_reset(struct line *l);

enum line_protocol { LINE_POP3, LINE_HTTP, LINE_TLS };

/* The protocol that the first octets of a connection belong to; LINE_POP3: as far as they tell. */
enum line_protocol line_protocol(const char *octets, size_t len);

#endif
