#include "config.h"

#include "worker/login/handshake.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "worker/login/channels.h"

void
handshake_begin(struct conn *c)
{
	SSL_CTX *ctx = worker_tls(c->w, c->row.server);

	if (ctx == NULL || stream_start_tls(&c->stream, ctx) == -1) {
		log_error(c->row.id, "TLS cannot be started: %s",
			  ctx == NULL ? "the server has no certificate" : strerror(errno));
		conn_end(c, CONN_END_ERROR);
		return;
	}
	conn_enter(c, CONN_HANDSHAKE);
}

/* All that was learnt in clear text is void (RFC 2595 section 4); failures still count. */
static void
handshake_done(struct conn *c)
{
	bool implicit = c->row.tls == CONN_TLS_IMPLICIT;

	conn_forget_login(c);
	c->user_chosen = false;
	line_reset(&c->line);
	c->greeted = false;
	conn_enter(c, CONN_COMMAND);
	if (implicit)
		conn_greet(c);
	else
		c->row.tls = CONN_TLS_STLS;
}

/* Who only looks whether the port is open is no news. */
static void
handshake_log(const struct conn *c, const char *why)
{
	log_line(stream_heard(&c->stream) ? LOG_INFO : LOG_DEBUG, c->row.id,
		 "TLS handshake failed: %s", why);
}

/* There is no way back to clear text.  An alert of ours should arrive, so end gently. */
static void
handshake_result(struct conn *c, int rc)
{
	if (rc > 0) {
		handshake_done(c);
		return;
	}
	if (rc == -1 && errno == EAGAIN)
		return;
	if (rc == -1 && errno == EPROTO) {
		handshake_log(c, stream_fault());
		conn_finish(c, CONN_END_TLS);
		return;
	}
	handshake_log(c, rc == 0 ? "the client closed the connection" : strerror(errno));
	conn_end(c, CONN_END_TLS);
}

void
handshake_signed(struct conn *c, const struct msg_signed *answer)
{
	if (answer == NULL || answer->len == 0)
		log_error(c->row.id, "the key process gives no signature");
	handshake_result(c, stream_signed(&c->stream, answer));
}

void
handshake_step(struct conn *c)
{
	int rc = stream_handshake(&c->stream);

	if (c->stream.signing == NULL) {
		handshake_result(c, rc);
		return;
	}
	c->stream.signing->ask.id = c->row.id;
	if (channels_ask_signature(c->w, &c->stream.signing->ask) == -1)
		handshake_signed(c, NULL);
}

bool
handshake_wanted(const struct conn *c)
{
	return c->stream.signing == NULL;
}

void
handshake_expired(struct conn *c)
{
	handshake_log(c, "it took too long");
	conn_end(c, CONN_END_TLS);
}

void
handshake_go(struct conn *c)
{
	conn_enter(c, CONN_STLS_GO);
	conn_say(c, REPLY_BEGIN_TLS);
}
