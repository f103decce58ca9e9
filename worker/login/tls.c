#include "config.h"

#include "worker/login/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "common/log.h"
#include "worker/login/signer.h"
#include "worker/tls/pem.h"

/* RFC 9325 section 4.2: forward secrecy and AEAD only. */
#define TLS12_CIPHERS                                                                              \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

int
tls_init(char *why, size_t cap)
{
	if (pem_begin(why, cap) == -1 || signer_begin(why, cap) == -1)
		return -1;
	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) == 1)
		return 0;
	snprintf(why, cap, "OpenSSL cannot be used: %s", ERR_reason_error_string(ERR_peek_error()));
	return -1;
}

int64_t
tls_context_expires(const SSL_CTX *ctx)
{
	const X509 *cert = SSL_CTX_get0_certificate(ctx);
	struct tm end;

	return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1 ? timegm(&end) : 0;
}

/* Say early what clients will complain about. */
static void
tls_check_dates(SSL_CTX *ctx, const char *path)
{
	const X509 *cert = SSL_CTX_get0_certificate(ctx);

	if (cert == NULL)
		return;
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		log_error(0, "certificate %s: it has expired", path);
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		log_error(0, "certificate %s: it is not valid yet; is this host's clock right?",
			  path);
}

/* The certificate, and in place of its key what asks the key process. */
static int
tls_load_certificate(SSL_CTX *ctx, const char *path, char *why, size_t cap)
{
	EVP_PKEY *key;
	int ok;

	if (!pem_is_file("certificate", path, why, cap))
		return -1;
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(ctx, pem_no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, path) != 1) {
		pem_explain(why, cap, "certificate", path);
		return -1;
	}
	if ((key = signer_key(SSL_CTX_get0_certificate(ctx))) == NULL) {
		snprintf(why, cap, "certificate %s: its key is not RSA, EC or Ed25519", path);
		return -1;
	}
	ok = SSL_CTX_use_PrivateKey(ctx, key);
	EVP_PKEY_free(key);
	if (ok != 1) {
		pem_explain(why, cap, "certificate", path);
		return -1;
	}
	tls_check_dates(ctx, path);
	return 0;
}

/* RFC 7301 section 3.2: a client that offers protocols must offer ours. */
static int
tls_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		const unsigned char *offered, unsigned offered_len, void *arg)
{
	static const unsigned char pop3[] = {4, 'p', 'o', 'p', '3'};
	(void)ssl, (void)arg;

	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, out_len, pop3, sizeof(pop3), offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

void
tls_context_add(SSL_CTX *last, SSL_CTX *next)
{
	SSL_CTX_set_app_data(last, next);
}

/* An address is no host name (RFC 6066 section 3), but some clients send the one that they connect
 * to. */
static bool
tls_is_address(const char *name)
{
	struct in6_addr address;

	return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* The length of a host name without the dot that ends it in the DNS and in no certificate. */
static size_t
tls_name_length(const char *name)
{
	size_t len = strlen(name);

	return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

/* RFC 6066 section 3: the certificate that has the name which the client asks for.  Every name gets
 * the one certificate, if there is no other; an address gets the first, as no name does. */
static bool
tls_choose_certificate(SSL *ssl, SSL_CTX *first)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name == NULL || SSL_CTX_get_app_data(first) == NULL || tls_is_address(name))
		return true;
	for (SSL_CTX *ctx = first; ctx != NULL; ctx = SSL_CTX_get_app_data(ctx))
		if (X509_check_host(SSL_CTX_get0_certificate(ctx), name, tls_name_length(name), 0,
				    NULL) == 1)
			return SSL_set_SSL_CTX(ssl, ctx) != NULL;
	return false;
}

/* To say that a name is known lets a resumed session keep it for the log. */
static int
tls_accept_name(SSL *ssl, int *alert, void *first)
{
	(void)alert;
	tls_choose_certificate(ssl, first);
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 9325 section 3.7: no other certificate for a name that none has. */
static int
tls_require_name(SSL *ssl, int *alert, void *first)
{
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return tls_choose_certificate(ssl, first) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void
tls_set_behaviour(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
				     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT |
				     SSL_OP_NO_TICKET);
	/* A connection that waits keeps no buffers; one read(2) fetches whole records. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0); /* DESIGN 10: what they would save */
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, tls_select_alpn, NULL);
}

/* Those alone for which the key process signs: exchanges by ECDHE. */
static int
tls_set_ciphers(SSL_CTX *ctx, const char *ciphers)
{
	char list[MSG_SPEC_SIZE + 32];

	snprintf(list, sizeof(list), "%s:!kRSA:!kDHE", ciphers);
	return SSL_CTX_set_cipher_list(ctx, list) == 1 ? 0 : -1;
}

SSL_CTX *
tls_context_new(const struct msg_login_server *server, char *why, size_t cap)
{
	const char *ciphers = server->tls_ciphers[0] != '\0' ? server->tls_ciphers : TLS12_CIPHERS;

	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL) {
		snprintf(why, cap, "no memory for TLS");
		return NULL;
	}
	tls_set_behaviour(ctx);
	SSL_CTX_set_tlsext_servername_callback(
	    ctx, (server->any_name ? tls_accept_name : tls_require_name));
	SSL_CTX_set_tlsext_servername_arg(ctx, ctx);
	if (SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1)
		snprintf(why, cap, "OpenSSL lacks X25519 or P-256");
	else if (tls_set_ciphers(ctx, ciphers) == -1)
		snprintf(why, cap,
			 "tls_ciphers \"%s\": no cipher of this list is known and uses ECDHE",
			 ciphers);
	else if (SSL_CTX_set1_sigalgs_list(ctx, SCHEMES_LIST) != 1)
		snprintf(why, cap, "OpenSSL lacks a signature scheme of TLS");
	else if (tls_load_certificate(ctx, server->certificate, why, cap) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}
