/*
 * A client's connection as octets, with or without TLS; the one place that
 * reads and writes its socket.  Never blocks, whatever the socket's flags say.
 */
#ifndef POP3D_LOGIN_STREAM_H
#define POP3D_LOGIN_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "common/msg.h"
#include "worker/login/signer.h"

struct stream {
	int fd;
	SSL *ssl;	 /* NULL: no TLS */
	bool want_write; /* the last step that did not get on waits for room to write */
	bool dry;	 /* reading found nothing whole, so only the kernel can bring more */
	bool broken;	 /* TLS failed: nothing more may be sent */
	struct signing *signing; /* the handshake waits for it; NULL: for the client */
	size_t budget;		 /* octets that the call under way may still read from the kernel */
	unsigned empty;		 /* records since the client's last data that hold none of it */
};

/*
 * Octets, 0 for the end of the stream, or -1 with errno: EAGAIN (see
 * want_write), EPROTO (TLS broken), else as recv(2) and send(2).
 */
ssize_t stream_peek(struct stream *s, void *buf, size_t len);
ssize_t stream_read(struct stream *s, void *buf, size_t len);
ssize_t stream_write(struct stream *s, const void *buf, size_t len);

/* Is there something to read that the kernel will not tell of? */
bool stream_pending(const struct stream *s);

/* Begin TLS as the server with this context.  0, or -1 with errno ENOMEM. */
int stream_start_tls(struct stream *s, SSL_CTX *ctx);
/* Go on with the handshake.  1: done; 0: the client went away; -1 with errno as above; EAGAIN also
 * if `signing` says what it waits for. */
int stream_handshake(struct stream *s);
/* Go on with one that waits for a signature.  NULL: there is none. */
int stream_signed(struct stream *s, const struct msg_signed *answer);
/* Did the client send anything at all for the handshake? */
bool stream_heard(const struct stream *s);
/* What was agreed on. */
void stream_facts(const struct stream *s, struct msg_tls_facts *facts);
/* The version of TLS, once its handshake is finished. */
enum conn_version stream_version(const struct stream *s);
/* The oldest TLS error of this thread in words; "" if there is none. */
const char *stream_fault(void);

/* Say that nothing more comes: close_notify and FIN.  0, or -1 with errno EAGAIN: call again. */
int stream_finish(struct stream *s);

/* The same socket without TLS, for reading and throwing away what still arrives. */
ssize_t stream_drain(struct stream *s, void *buf, size_t len);

/* Close; with `hang_up` the connection ends although another process holds the socket.  TLS that
 * was not finished ends with close_notify, if there is room for it. */
void stream_close(struct stream *s, bool hang_up);

#endif
