#include "config.h"

#include "worker/login/header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "worker/login/channels.h"
#include "worker/login/proxy.h"

void
header_begin(struct conn *c)
{
	c->proxy = calloc(1, sizeof(*c->proxy));
	if (c->proxy == NULL)
		conn_end(c, CONN_END_ERROR);
	else
		conn_enter(c, CONN_PROXY);
}

static void
header_done(struct conn *c, const struct proxy_facts *facts)
{
	const struct msg_proxied said = {.id = c->row.id,
					 .announced = facts->announced,
					 .tls = facts->tls,
					 .peer = facts->peer,
					 .facts = facts->facts};

	free(c->proxy);
	c->proxy = NULL;
	conn_enter(c, CONN_PROXY_WAIT);
	channels_tell_proxied(c->w, &said);
}

/* What follows the header is the client's, maybe of TLS, and stays in the socket. */
void
header_readable(struct conn *c)
{
	char octets[PROXY_KEPT_MAX];
	ssize_t n = recv(c->stream.fd, octets, sizeof(octets), MSG_PEEK | MSG_DONTWAIT);
	enum proxy_result result;
	struct proxy_facts facts;
	size_t used;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_end(c, CONN_END_CLIENT);
		return;
	}
	result = proxy_take(c->proxy, octets, (size_t)n, &used, &facts);
	if (result == PROXY_BAD ||
	    recv(c->stream.fd, octets, used, MSG_DONTWAIT) != (ssize_t)used) {
		log_line(LOG_INFO, c->row.id, "this is no PROXY header");
		conn_end(c, CONN_END_ABUSE);
	} else if (result == PROXY_WHOLE)
		header_done(c, &facts);
}

void
header_expired(struct conn *c)
{
	log_line(LOG_INFO, c->row.id, "no PROXY header came");
	conn_end(c, CONN_END_TIMEOUT);
}

void
header_go(struct conn *c, const struct msg_conn *row)
{
	bool barred = row->proxy == CONN_PROXY_BARRED;

	c->row = *row;
	if (!barred && row->proxy != CONN_PROXY_FULL) {
		conn_begin(c);
		return;
	}
	if (row->tls == CONN_TLS_NONE)
		conn_say(c, barred ? REPLY_BARRED : REPLY_FULL);
	conn_finish(c, barred ? CONN_END_BARRED : CONN_END_CROWDED);
}
