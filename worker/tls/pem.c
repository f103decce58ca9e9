#include "config.h"

#include "worker/tls/pem.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

int
pem_begin(char *why, size_t cap)
{
	unsigned char octet;

	if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_CONFIG,
				NULL) == 1 &&
	    RAND_bytes(&octet, 1) == 1)
		return 0;
	snprintf(why, cap, "OpenSSL cannot be used: %s", ERR_reason_error_string(ERR_peek_error()));
	return -1;
}

/* OpenSSL's words for what goes wrong most often help nobody. */
static const struct {
	int lib, reason;
	const char *text;
} reasons[] = {
    {ERR_LIB_PEM, PEM_R_NO_START_LINE, "nothing of this kind is in the file (it must be PEM)"},
    {ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ, "it is locked with a passphrase"},
    {ERR_LIB_CRYPTO, ERR_R_INTERRUPTED_OR_CANCELLED, "it is locked with a passphrase"},
};

void
pem_explain(char *why, size_t cap, const char *what, const char *path)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error))
						     : ERR_reason_error_string(error);

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (ERR_GET_REASON(error) == reasons[i].reason &&
		    (ERR_GET_LIB(error) == reasons[i].lib || reasons[i].lib == ERR_LIB_CRYPTO))
			reason = reasons[i].text;
	snprintf(why, cap, "%s %s: %s", what, path, reason != NULL ? reason : "not usable");
}

/* OpenSSL would wait for ever in open(2) for somebody who writes into a FIFO.  What cannot be
 * looked at is left to it to explain. */
bool
pem_is_file(const char *what, const char *path, char *why, size_t cap)
{
	struct stat st;

	if (stat(path, &st) == -1 || S_ISREG(st.st_mode))
		return true;
	snprintf(why, cap, "%s %s is not a regular file", what, path);
	return false;
}

int
pem_no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/* The file, to be read with PEM_read_bio_…; NULL and why. */
static BIO *
open_file(const char *what, const char *path, char *why, size_t cap)
{
	BIO *file;

	if (!pem_is_file(what, path, why, cap))
		return NULL;
	ERR_clear_error();
	if ((file = BIO_new_file(path, "r")) == NULL)
		pem_explain(why, cap, what, path);
	return file;
}

X509 *
pem_certificate(const char *path, char *why, size_t cap)
{
	BIO *file = open_file("certificate", path, why, cap);
	X509 *certificate;

	if (file == NULL)
		return NULL;
	certificate = PEM_read_bio_X509_AUX(file, NULL, pem_no_passphrase, NULL);
	if (certificate == NULL)
		pem_explain(why, cap, "certificate", path);
	BIO_free(file);
	return certificate;
}

STACK_OF(X509) * pem_certificates(const char *path)
{
	char why[256];
	BIO *file = open_file("certificate", path, why, sizeof(why));
	STACK_OF(X509) *all = file != NULL ? sk_X509_new_null() : NULL;
	X509 *next;

	while (all != NULL &&
	       (next = PEM_read_bio_X509_AUX(file, NULL, pem_no_passphrase, NULL)) != NULL)
		if (sk_X509_push(all, next) == 0) {
			X509_free(next);
			break;
		}
	ERR_clear_error();
	BIO_free(file);
	return all;
}

EVP_PKEY *
pem_private_key(const char *path, char *why, size_t cap)
{
	BIO *file = open_file("certificate_key", path, why, cap);
	EVP_PKEY *key;

	if (file == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(file, NULL, pem_no_passphrase, NULL);
	if (key == NULL)
		pem_explain(why, cap, "certificate_key", path);
	BIO_free(file);
	return key;
}

int
pem_key_id(const X509 *certificate, uint8_t id[static 32])
{
	unsigned len;

	return X509_pubkey_digest(certificate, EVP_sha256(), id, &len) == 1 && len == 32 ? 0 : -1;
}

enum key_kind
pem_key_kind(const EVP_PKEY *key)
{
	enum key_kind kind = 0;

	while (kind < KEY_KIND_COUNT && !EVP_PKEY_is_a(key, key_kind_name(kind)))
		kind++;
	return kind;
}
