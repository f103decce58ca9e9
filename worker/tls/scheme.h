/*
 * The signature schemes of TLS that the server signs with (RFC 8446 section
 * 4.2.3, RFC 8422 section 5.1.3).  Worker and key process share this table.
 */
#ifndef POP3D_TLS_SCHEME_H
#define POP3D_TLS_SCHEME_H

#include <stdbool.h>
#include <stdint.h>

enum key_kind { KEY_RSA, KEY_EC, KEY_ED25519, KEY_KIND_COUNT };

struct scheme {
	uint32_t code; /* SignatureScheme */
	enum key_kind kind;
	const char *digest; /* as OpenSSL names it; NULL: the scheme has its own */
	bool pss;	    /* RSASSA-PSS; else, with RSA, PKCS #1 v1.5 */
	bool only_tls12;
};

/* As OpenSSL calls that kind of key. */
const char *key_kind_name(enum key_kind kind);

/* The scheme of that code; NULL: it is none of ours. */
const struct scheme *scheme_find(uint32_t code);

/* How a key of this kind signs with this digest (NULL: without one), named as OpenSSL does; `pss`
 * counts with RSA.  NULL: not at all. */
const struct scheme *scheme_for(enum key_kind kind, const char *digest, bool pss);

/* The schemes as SSL_CTX_set1_sigalgs_list(3) takes them. */
#define SCHEMES_LIST                                                                               \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"                                          \
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"                             \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"

#endif
