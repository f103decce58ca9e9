#include "config.h"

#include "worker/login/input.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/replies.h"
#include "worker/login/commands.h"
#include "worker/login/channels.h"

enum { INPUT_TURN = 16 /* lines before other connections get their turn */ };

bool
input_wanted(const struct conn *c)
{
	return (c->state == CONN_COMMAND || c->state == CONN_SASL) && !channels_congested(c->w);
}

/* The client closed its end, or the connection broke.  What it asked before is still answered. */
static void
input_over(struct conn *c, bool broken)
{
	if (c->state == CONN_SASL)
		c->failures++; /* given up in the middle of an attempt */
	if (!broken && (c->stream.ssl != NULL || conn_has_output(c)))
		conn_finish(c, CONN_END_CLIENT);
	else
		conn_end(c, CONN_END_CLIENT);
}

static void
input_ready(struct conn *c, struct line_text text)
{
	command_run(c, text);
}

static void
input_too_long(struct conn *c, struct line_text text)
{
	(void)text;
	command_reply(c, REPLY_TOO_LONG);
}

static void
input_endless(struct conn *c, struct line_text text)
{
	(void)text;
	command_reply(c, REPLY_TOO_LONG);
	conn_finish(c, CONN_END_ABUSE);
}

/* True if the connection's first octets are of another protocol: it ends with a reply, since a
 * command gets one (RFC 1939 section 3).  A client of TLS cannot show it: the greeting was the
 * first thing that it did not understand. */
static bool
input_foreign(struct conn *c, struct line_text begin)
{
	static const enum reply replies[] = {
	    [LINE_POP3] = REPLY_NONE, [LINE_HTTP] = REPLY_NO_HTTP, [LINE_TLS] = REPLY_NO_HELLO};
	enum line_protocol protocol = line_protocol(begin.octets, begin.len);

	if (protocol == LINE_POP3)
		return false;
	conn_say(c, replies[protocol]);
	conn_finish(c, CONN_END_ABUSE);
	return true;
}

/* Octets of the line under way; at its end it is handled. */
static void
input_take(struct conn *c, char *octets, size_t len)
{
	static void (*const handlers[LINE_RESULT_COUNT])(struct conn *, struct line_text) = {
	    [LINE_READY] = input_ready,
	    [LINE_TOO_LONG] = input_too_long,
	    [LINE_ENDLESS] = input_endless,
	};
	struct line_text text = {octets, len};

	/* before a part that is too long is thrown away */
	if (!c->greeted && c->line.total == 0 && input_foreign(c, text))
		return;
	enum line_result result = line_feed(&c->line, c->state == CONN_SASL, octets, len, &text);
	if (result == LINE_MORE)
		text = line_partial(&c->line);
	if (!c->greeted && input_foreign(c, text))
		return;
	if (result == LINE_MORE)
		return;
	c->greeted = true;
	/* Lines that lead nowhere do not keep a connection for ever. */
	if (clock_ms() - c->since > (uint64_t)c->w->conf.login_limit * 1000) {
		conn_end(c, CONN_END_TIMEOUT);
		return;
	}
	conn_set_timer(c, TIMER_LOGIN);
	handlers[result](c, text);
	line_reset(&c->line);
}

/* Look, take what belongs to one line.  True if there may be more right now. */
static bool
input_round(struct conn *c)
{
	char *octets = c->w->scratch;
	size_t window = line_window(&c->line, c->state == CONN_SASL);
	ssize_t seen = stream_peek(&c->stream, octets, window);

	if (seen <= 0) {
		if (seen == 0 || (errno != EAGAIN && errno != EINTR))
			input_over(c, seen != 0);
		return false;
	}
	size_t share = line_share(octets, (size_t)seen);
	ssize_t got = stream_read(&c->stream, octets, share);
	if (got == (ssize_t)share)
		input_take(c, octets, share);
	else
		input_over(c, true);
	explicit_bzero(octets, (size_t)seen);
	return share < (size_t)seen || (size_t)seen == window || stream_pending(&c->stream);
}

void
input_readable(struct conn *c)
{
	for (int turn = 0; turn < INPUT_TURN && input_wanted(c); turn++)
		if (!input_round(c))
			break;
}
