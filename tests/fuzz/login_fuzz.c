/*
 * libFuzzer: what a worker is sent, in pieces, each with an octet for who sends it
 * and one for its length: octets of one of its clients, or a message of master, of
 * the helper or of the key process, whose type the first octet of the piece names.
 * An odd first octet of all: the worker serves already and has clients, with the
 * ids 1 (in clear) and 2 (with TLS).  Whatever comes, what it says is lawful.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/count.h"
#include "common/title.h"
#include "tests/fuzz/lawful.h"
#include "tests/fuzz/quiet.h"
#include "worker/login/channels.h"
#include "worker/login/conn.h"
#include "worker/login/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
			  "MIIBfjCCASWgAwIBAgIUByJY1IWzXdhkmJLXxBICJguxPvcwCgYIKoZIzj0EAwIw\n"
			  "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODIxMDAzOFoYDzIxMjYxMTA0\n"
			  "MjEwMDM4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
			  "PQMBBwNCAAT0Si/40IAYSqZBYHZh4E5u3ctggrKRKb+3SYCILHGchVvxnWmVMI1R\n"
			  "O19MSoCgLmAajkNPYj53R+hDnaflrUDVo1MwUTAdBgNVHQ4EFgQUTyyOnhHiiIpO\n"
			  "QufIp35z538htjowHwYDVR0jBBgwFoAUTyyOnhHiiIpOQufIp35z538htjowDwYD\n"
			  "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAWDBFFYWJwPjeWmhCpUUqA\n"
			  "sKGRz8t+6OrS2K5/eMA3dwIgcXNd+PImFEMYENW00kDQiODpBdGRq5QH7atNOxmn\n"
			  "jO4=\n"
			  "-----END CERTIFICATE-----\n";

enum { PEERS = 3, CLIENTS = 2, QUEUE = 4096 };

static struct worker *w;
static struct channel peers[PEERS]; /* our ends: as master, helper, key process */
static int clients[CLIENTS];	    /* our ends; -1: none */
static SSL_CTX *tls;
static const enum role roles[PEERS] = {ROLE_MASTER, ROLE_DISPATCH, ROLE_KEY};

/* ---- what main.c does otherwise ---- */

void
title_set(const char *what, const char *fmt, ...)
{
	(void)what, (void)fmt;
}

void
title_detail(enum ps_titles detail)
{
	(void)detail;
}

static void
make_tls(void)
{
	static struct msg_login_server server = {.any_name = 1};
	char path[] = "/tmp/pop3d-fuzz-XXXXXX", why[MSG_TEXT_MAX];
	int fd = mkstemp(path);

	(void)snprintf(server.certificate, sizeof(server.certificate), "%s", path);
	if (fd == -1 || write(fd, pem, strlen(pem)) != (ssize_t)strlen(pem) ||
	    tls_init(why, sizeof(why)) == -1 ||
	    (tls = tls_context_new(&server, why, sizeof(why))) == NULL)
		abort();
	(void)close(fd);
	(void)unlink(path);
}

int
worker_confine(struct worker *worker, struct msg_ready *ready, char *why, size_t cap)
{
	(void)ready, (void)why, (void)cap;
	for (size_t i = 0; i < worker->nservers; i++)
		for (struct worker_server *s = worker->servers[i]; s != NULL; s = s->next) {
			SSL_CTX_up_ref(tls);
			s->tls = tls;
		}
	return 0;
}

static void
free_all(void)
{
	for (struct conn *c; (c = RB_MIN(conn_tree, &w->conns)) != NULL;) {
		conn_end(c, CONN_END_ERROR);
		conn_settle(c);
	}
	channels_close(w);
	for (size_t i = 0; i < w->nservers; i++)
		while (w->servers[i] != NULL) {
			struct worker_server *s = w->servers[i];

			w->servers[i] = s->next;
			SSL_CTX_free(s->tls);
			free(s);
		}
	free(w->servers);
	event_base_free(w->base);
	free(w);
	for (size_t i = 0; i < PEERS; i++)
		channel_close(&peers[i]);
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i] != -1)
			(void)close(clients[i]);
}

/* ---- what it is told ---- */

/* Which of our ends a descriptor's other end becomes. */
static void
keep_end(enum msg_type type, int fd)
{
	size_t peer = type == MSG_AUTH_CHANNEL ? 1 : type == MSG_KEY_CHANNEL ? 2 : 0;

	if (peer > 0) {
		channel_close(&peers[peer]);
		channel_init(&peers[peer], fd, roles[peer], ROLE_LOGIN, QUEUE);
		return;
	}
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i] == -1) {
			clients[i] = fd;
			return;
		}
	(void)close(fd);
}

static void
say(size_t peer, const struct msg *m)
{
	bool is_channel = m->type == MSG_AUTH_CHANNEL || m->type == MSG_KEY_CHANNEL;
	int pair[2] = {-1, -1};

	if (peers[peer].fd == -1)
		return;
	if (m->nfds > 0 &&
	    (is_channel ? channel_pair(pair) : socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) == -1)
		abort();
	(void)channel_send(&peers[peer], m->type, m->u.octets, m->len, pair, m->nfds);
	if (m->nfds > 0) {
		(void)close(pair[0]);
		keep_end(m->type, pair[1]);
	}
}

static void
run(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void
tell(enum msg_type type, uint64_t id, bool with_tls)
{
	static struct msg m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	(void)lawful_form(&m, ROLE_MASTER, ROLE_LOGIN);
	if (type == MSG_LOGIN_CONF) {
		m.u.login_conf = (struct msg_login_conf){.max_connections = 8,
							 .login_timeout = 60,
							 .password_timeout = 60,
							 .login_limit = 60,
							 .handshake_timeout = 60,
							 .decision_timeout = 60,
							 .trace = TRACE_LINES};
	} else if (type == MSG_CONN_NEW) {
		m.u.conn = (struct msg_conn){.id = id,
					     .stls = 1,
					     .clear_ok = 1,
					     .stamp = "<1@localhost>",
					     .tls = with_tls ? CONN_TLS_IMPLICIT : CONN_TLS_NONE};
	}
	say(0, &m);
	run();
}

static void
begin(bool serving)
{
	int pair[2];

	if ((w = calloc(1, sizeof(*w))) == NULL || (w->base = event_base_new()) == NULL ||
	    channel_pair(pair) == -1)
		abort();
	for (size_t i = 0; i < PEERS; i++)
		channel_init(&peers[i], -1, roles[i], ROLE_LOGIN, QUEUE);
	channel_init(&peers[0], pair[0], ROLE_MASTER, ROLE_LOGIN, QUEUE);
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i] = -1;
	if (channels_open(w, pair[1]) == -1)
		abort();
	if (!serving)
		return;
	tell(MSG_LOGIN_CONF, 0, false);
	tell(MSG_LOGIN_SERVER, 0, false);
	tell(MSG_LOGIN_START, 0, false);
	tell(MSG_AUTH_CHANNEL, 0, false);
	tell(MSG_KEY_CHANNEL, 0, false);
	tell(MSG_CONN_NEW, 1, false);
	tell(MSG_CONN_NEW, 2, true);
}

/* ---- what it says ---- */

static void
hear(void)
{
	static struct msg m;
	static char octets[65536];

	for (size_t i = 0; i < PEERS; i++) {
		int r = 0;

		while (peers[i].fd != -1 && (r = channel_recv(&peers[i], &m)) == 1)
			msg_discard(&m);
		if (r == -1 && errno != EPIPE && errno != ECONNRESET)
			abort();
		if (r == -1)
			channel_close(&peers[i]);
	}
	for (size_t i = 0; i < CLIENTS; i++)
		while (clients[i] != -1 &&
		       recv(clients[i], octets, sizeof(octets), MSG_DONTWAIT) > 0)
			;
}

static void
take(unsigned who, const uint8_t *piece, size_t len)
{
	static struct msg m;

	if (who < CLIENTS) {
		if (clients[who] == -1)
			return;
		if (len == 0)
			(void)shutdown(clients[who], SHUT_WR);
		else
			(void)send(clients[who], piece, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else if (lawful_make(&m, roles[who - CLIENTS], ROLE_LOGIN, piece, len))
		say(who - CLIENTS, &m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	quiet();
	if (tls == NULL)
		make_tls();
	if (size == 0)
		return 0;
	begin(data[0] % 2 == 1);
	data++;
	size--;
	while (size >= 2 && peers[0].fd != -1) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		take(data[0] % (CLIENTS + PEERS), data + 2, len);
		run();
		hear();
		data += 2 + len;
		size -= 2 + len;
	}
	free_all();
	return 0;
}
