#include "config.h"

#include "worker/login/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
	STREAM_BUDGET = 65536,
	/* Records without data in a row; a handshake has about five, and no client needs new keys
	 * (RFC 8446 section 5.5) more than once in millions of records. */
	STREAM_EMPTY_MAX = 100
};

/* OpenSSL judges a result by the thread's error queue and errno: start clean. */
static void
stream_tls_begin(struct stream *s)
{
	ERR_clear_error();
	errno = 0;
	s->want_write = false;
	s->budget = STREAM_BUDGET;
}

/* Turn the result of an OpenSSL call into the one of stream_peek. */
static ssize_t
stream_tls_result(struct stream *s, int rc)
{
	if (rc > 0 && s->empty <= STREAM_EMPTY_MAX)
		return rc;
	int saved = errno;
	int error = SSL_get_error(s->ssl, rc);
	if (s->empty > STREAM_EMPTY_MAX) {
		s->broken = true;
		errno = EPROTO;
		return -1;
	}
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ||
	    error == SSL_ERROR_WANT_ASYNC) {
		s->want_write = error == SSL_ERROR_WANT_WRITE;
		errno = EAGAIN;
		return -1;
	}
	s->broken = true;
	errno = error == SSL_ERROR_SYSCALL ? (saved != 0 ? saved : ECONNRESET) : EPROTO;
	return -1;
}

static int
stream_int(size_t len)
{
	return len > INT32_MAX ? INT32_MAX : (int)len;
}

/* Take note of what a call that reads has got. */
static ssize_t
stream_got(struct stream *s, ssize_t got)
{
	s->dry = got <= 0;
	if (got > 0)
		s->empty = 0;
	return got;
}

ssize_t
stream_peek(struct stream *s, void *buf, size_t len)
{
	if (s->ssl == NULL)
		return recv(s->fd, buf, len, MSG_PEEK | MSG_DONTWAIT);
	stream_tls_begin(s);
	return stream_got(s, stream_tls_result(s, SSL_peek(s->ssl, buf, stream_int(len))));
}

ssize_t
stream_read(struct stream *s, void *buf, size_t len)
{
	if (s->ssl == NULL)
		return recv(s->fd, buf, len, MSG_DONTWAIT);
	stream_tls_begin(s);
	return stream_got(s, stream_tls_result(s, SSL_read(s->ssl, buf, stream_int(len))));
}

ssize_t
stream_write(struct stream *s, const void *buf, size_t len)
{
	if (s->ssl == NULL)
		return send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	stream_tls_begin(s);
	return stream_tls_result(s, SSL_write(s->ssl, buf, stream_int(len)));
}

bool
stream_pending(const struct stream *s)
{
	return s->ssl != NULL && !s->dry && SSL_has_pending(s->ssl);
}

/* Count records of the client that hold none of its data, such as KeyUpdate: by their type, and in
 * TLS 1.3, where that is encrypted, by the one within. */
static void
stream_count_empty(int sent, int version, int kind, const void *octets, size_t len, SSL *ssl,
		   void *arg)
{
	struct stream *s = arg;
	const uint8_t *type = octets;

	(void)version, (void)ssl;
	if (sent == 0 && (kind == SSL3_RT_HEADER || kind == SSL3_RT_INNER_CONTENT_TYPE) && len > 0)
		s->empty += *type != SSL3_RT_APPLICATION_DATA;
}

/* Records without data (KeyUpdate, RFC 8446 section 4.6.3) would keep one call busy as long as the
 * client sends them: what a call may read is limited, then others get their turn. */
static long
stream_limit_read(BIO *bio, int oper, const char *argp, size_t len, int argi, long argl, int ret,
		  size_t *processed)
{
	struct stream *s = (struct stream *)BIO_get_callback_arg(bio);

	(void)argp, (void)len, (void)argi, (void)argl;
	if (oper == BIO_CB_READ && s->budget == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (oper == (BIO_CB_READ | BIO_CB_RETURN) && ret > 0 && processed != NULL)
		s->budget -= *processed < s->budget ? *processed : s->budget;
	return ret;
}

int
stream_start_tls(struct stream *s, SSL_CTX *ctx)
{
	/* OpenSSL uses read(2) and write(2); this worker keeps the socket to itself from here on.
	 */
	int flags = fcntl(s->fd, F_GETFL);
	if (flags != -1 && (flags & O_NONBLOCK) == 0)
		fcntl(s->fd, F_SETFL, flags | O_NONBLOCK);
	/* SSL_set_fd(3) would try to attach kernel TLS here. */
	BIO *bio = BIO_new(BIO_s_socket());
	s->ssl = SSL_new(ctx);
	if (s->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		SSL_free(s->ssl);
		s->ssl = NULL;
		errno = ENOMEM;
		return -1;
	}
	BIO_set_fd(bio, s->fd, BIO_NOCLOSE);
	BIO_set_callback_arg(bio, (char *)s);
	BIO_set_callback_ex(bio, stream_limit_read);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_msg_callback(s->ssl, stream_count_empty);
	SSL_set_msg_callback_arg(s->ssl, s);
	SSL_set_accept_state(s->ssl);
	SSL_set_mode(s->ssl, SSL_MODE_ASYNC); /* until the handshake is over */
	return 0;
}

int
stream_handshake(struct stream *s)
{
	stream_tls_begin(s);
	signer_watch(&s->signing);
	int rc = (int)stream_tls_result(s, SSL_do_handshake(s->ssl));
	s->dry = rc <= 0;
	if (rc > 0)
		SSL_clear_mode(s->ssl, SSL_MODE_ASYNC);
	return rc;
}

int
stream_signed(struct stream *s, const struct msg_signed *answer)
{
	signer_answer(s->signing, answer);
	return stream_handshake(s);
}

bool
stream_heard(const struct stream *s)
{
	return s->ssl != NULL && BIO_number_read(SSL_get_rbio(s->ssl)) > 0;
}

static void
stream_copy(char *dst, size_t cap, const char *src)
{
	size_t len = src != NULL ? strlen(src) : 0;
	if (len >= cap)
		len = cap - 1;
	if (len > 0)
		memcpy(dst, src, len);
	dst[len] = '\0';
}

void
stream_facts(const struct stream *s, struct msg_tls_facts *facts)
{
	memset(facts, 0, sizeof(*facts));
	if (s->ssl == NULL)
		return;
	stream_copy(facts->version, sizeof(facts->version), SSL_get_version(s->ssl));
	stream_copy(facts->cipher, sizeof(facts->cipher), SSL_get_cipher_name(s->ssl));
	stream_copy(facts->sni, sizeof(facts->sni),
		    SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name));
}

enum conn_version
stream_version(const struct stream *s)
{
	if (s->ssl == NULL || !SSL_is_init_finished(s->ssl))
		return CONN_VERSION_NONE;
	return SSL_version(s->ssl) == TLS1_3_VERSION ? CONN_VERSION_TLS_1_3 : CONN_VERSION_TLS_1_2;
}

const char *
stream_fault(void)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	/* The callback that fails is the one that chooses the certificate. */
	if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_CALLBACK_FAILED)
		return "no certificate has the name that the client asks for (see "
		       "tls_unknown_name)";
	return reason != NULL ? reason : "";
}

/* Send close_notify (RFC 8446 section 6.1), if TLS is up.  0, or -1: there is no room for it now.
 */
static int
stream_say_end(struct stream *s)
{
	if (s->ssl == NULL || s->broken || !SSL_is_init_finished(s->ssl))
		return 0;
	stream_tls_begin(s);
	int rc = SSL_shutdown(s->ssl);
	return rc < 0 && stream_tls_result(s, rc) == -1 && errno == EAGAIN && s->want_write ? -1
											    : 0;
}

int
stream_finish(struct stream *s)
{
	if (stream_say_end(s) == -1)
		return -1;
	s->want_write = false;
	s->dry = true; /* what OpenSSL still holds has no reader any more */
	shutdown(s->fd, SHUT_WR);
	return 0;
}

ssize_t
stream_drain(struct stream *s, void *buf, size_t len)
{
	return recv(s->fd, buf, len, MSG_DONTWAIT);
}

void
stream_close(struct stream *s, bool hang_up)
{
	if (s->signing != NULL) /* the stopped handshake holds memory until it is over */
		(void)stream_signed(s, NULL);
	/* once, without waiting; a second SSL_shutdown(3) would read */
	if (s->ssl != NULL && (SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN) == 0)
		(void)stream_say_end(s);
	SSL_free(s->ssl);
	s->ssl = NULL;
	if (s->fd == -1)
		return;
	if (hang_up)
		shutdown(s->fd, SHUT_RDWR);
	close(s->fd);
	s->fd = -1;
}
