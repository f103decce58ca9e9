/*
 * TLS settings of the servers: certificates, versions, ciphers, ALPN
 * (RFC 9325, CONFORMANCE TLS).  Contexts are made as root, before confinement.
 */
#ifndef POP3D_LOGIN_TLS_H
#define POP3D_LOGIN_TLS_H

#include <openssl/ssl.h>

#include "common/msg.h"

/*
 * Load all that OpenSSL would look for later, when no file can be opened any
 * more.  0, or -1 and why in `why`.
 */
int tls_init(char *why, size_t cap);

/*
 * Load and check a server's certificate.  NULL and in `why` a text that names the
 * file.  The caller frees the context (SSL_CTX_free).
 */
SSL_CTX *tls_context_new(const struct msg_login_server *server, char *why, size_t cap);

/*
 * Put `next` behind the last context of a server that has several.  The first
 * one is used for connections; it passes a client that asks for a name on to the
 * one whose certificate has that name.  They live as long as each other.
 */
void tls_context_add(SSL_CTX *last, SSL_CTX *next);

/* When the certificate expires, as of time(2). */
int64_t tls_context_expires(const SSL_CTX *ctx);

#endif
