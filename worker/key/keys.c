#include "config.h"

#include "worker/key/keys.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "common/log.h"
#include "worker/tls/pem.h"
#include "worker/tls/signed_text.h"

struct key {
	SLIST_ENTRY(key) next;
	uint8_t id[MSG_KEY_ID_SIZE];
	enum key_kind kind;
	EVP_PKEY *private;
};

static SLIST_HEAD(, key) keys = SLIST_HEAD_INITIALIZER(keys);

static const struct key *
find(const uint8_t id[static MSG_KEY_ID_SIZE])
{
	const struct key *k;

	SLIST_FOREACH(k, &keys, next)
	if (memcmp(k->id, id, MSG_KEY_ID_SIZE) == 0)
		return k;
	return NULL;
}

static void
warn_of_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
		log_warn(0, "certificate_key %s: every user of this host can read it", path);
}

/* Say that they do not fit; files often have the server's certificate behind its issuer's. */
static void
tell_mismatch(const EVP_PKEY *key, const char *path, const char *certificate, char *why, size_t cap)
{
	STACK_OF(X509) *all = pem_certificates(certificate);
	int n = sk_X509_num(all), i = 1;

	while (i < n && X509_check_private_key(sk_X509_value(all, i), key) != 1)
		i++;
	if (i < n)
		snprintf(why, cap,
			 "certificate_key %s does not belong to the first certificate of %s but to "
			 "certificate %d there, which must stand first",
			 path, certificate, i + 1);
	else
		snprintf(why, cap, "certificate_key %s does not belong to certificate %s", path,
			 certificate);
	ERR_clear_error();
	sk_X509_pop_free(all, X509_free);
}

/* Fill in a key that was read.  0, or -1 and why. */
static int
take(struct key *k, const X509 *certificate, const char *path, const struct msg_key_pair *pair,
     char *why, size_t cap)
{
	if ((k->private = pem_private_key(path, why, cap)) == NULL)
		return -1;
	if (X509_check_private_key(certificate, k->private) != 1)
		tell_mismatch(k->private, path, pair->certificate, why, cap);
	else if ((k->kind = pem_key_kind(k->private)) == KEY_KIND_COUNT ||
		 EVP_PKEY_get_size(k->private) > MSG_SIGNATURE_MAX)
		snprintf(why, cap, "certificate_key %s: not RSA of up to 8192 bits, EC or Ed25519",
			 path);
	else if (pem_key_id(certificate, k->id) == -1)
		snprintf(why, cap, "OpenSSL lacks SHA-256");
	else
		return 0;
	EVP_PKEY_free(k->private);
	return -1;
}

int
keys_load(const struct msg_key_pair *pair, char *why, size_t cap)
{
	const char *path =
	    pair->certificate_key[0] != '\0' ? pair->certificate_key : pair->certificate;
	X509 *certificate = pem_certificate(pair->certificate, why, cap);
	struct key *k;
	int rc;

	if (certificate == NULL)
		return -1;
	if ((k = calloc(1, sizeof(*k))) == NULL) {
		snprintf(why, cap, "no memory for keys");
		X509_free(certificate);
		return -1;
	}
	rc = take(k, certificate, path, pair, why, cap);
	X509_free(certificate);
	if (rc == -1) {
		free(k);
		return -1;
	}
	warn_of_mode(path);
	SLIST_INSERT_HEAD(&keys, k, next);
	return 0;
}

/* The scheme of the request, if it fits key and version; NULL: it does not. */
static const struct scheme *
scheme_that_fits(const struct msg_sign_ask *ask, const struct key *k)
{
	const struct scheme *s = scheme_find(ask->scheme);

	return s != NULL && k != NULL && s->kind == k->kind &&
		       (!s->only_tls12 || ask->form == SIGN_TLS12)
		   ? s
		   : NULL;
}

static int
set_padding(EVP_PKEY_CTX *ctx, const struct scheme *s)
{
	if (s->kind != KEY_RSA)
		return 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, s->pss ? RSA_PKCS1_PSS_PADDING
							: RSA_PKCS1_PADDING) == 1 &&
	       (!s->pss || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

size_t
keys_sign(const struct msg_sign_ask *ask, uint8_t signature[static MSG_SIGNATURE_MAX])
{
	const struct key *k = find(ask->key);
	const struct scheme *s = scheme_that_fits(ask, k);
	uint8_t text[SIGNED_TEXT_MAX];
	size_t len = s != NULL ? signed_text_build(ask, text) : 0, n = MSG_SIGNATURE_MAX;
	EVP_MD_CTX *md;
	EVP_PKEY_CTX *ctx; /* the other's */

	if (len == 0 || (md = EVP_MD_CTX_new()) == NULL)
		return 0;
	ERR_clear_error();
	if (EVP_DigestSignInit_ex(md, &ctx, s->digest, NULL, NULL, k->private, NULL) != 1 ||
	    !set_padding(ctx, s) || EVP_DigestSign(md, signature, &n, text, len) != 1)
		n = 0;
	EVP_MD_CTX_free(md);
	return n;
}

void
keys_free(void)
{
	struct key *k;

	while ((k = SLIST_FIRST(&keys)) != NULL) {
		SLIST_REMOVE_HEAD(&keys, next);
		EVP_PKEY_free(k->private);
		free(k);
	}
}
