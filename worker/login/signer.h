/*
 * Signatures of handshakes, which the key process makes: to OpenSSL a provider
 * whose keys have a public half alone (provider(7)).  A handshake that needs a
 * signature stops (SSL_MODE_ASYNC) and says what is to be signed; it goes on when
 * the answer has come.
 */
#ifndef POP3D_LOGIN_SIGNER_H
#define POP3D_LOGIN_SIGNER_H

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/msg.h"

/* A signature that a handshake waits for. */
struct signing {
	struct msg_sign_ask ask; /* all but its id */
	struct msg_signed got;	 /* the answer; its length is 0 if there is none */
	bool answered;
};

/* Make the provider known to OpenSSL.  0, or -1 and why in `why` (of cap octets). */
int signer_begin(char *why, size_t cap);

/* What OpenSSL takes for the private key of this certificate (EVP_PKEY_free); NULL: no scheme of
 * ours signs with such a key. */
EVP_PKEY *signer_key(X509 *certificate);

/* From here on a handshake that needs a signature puts it at *place and stops; the next call of
 * SSL_do_handshake(3) is the one of that connection.  *place is NULL again when it has gone on. */
void signer_watch(struct signing **place);

/* The answer to a request; NULL: there will be none.  The handshake has to be called then. */
void signer_answer(struct signing *signing, const struct msg_signed *answer);

#endif
