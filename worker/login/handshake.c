#include "config.h"

#include "worker/login/handshake.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

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
void
handshake_step(struct conn *c)
{
	int rc = stream_handshake(&c->stream);

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
