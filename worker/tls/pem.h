/*
 * Files of certificates and private keys in PEM, and what is wrong with one.
 */
#ifndef POP3D_TLS_PEM_H
#define POP3D_TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "worker/tls/scheme.h"

/*
 * Load all that libcrypto would look for later, when no file can be opened any
 * more.  0, or -1 and why in `why` (of cap octets).
 */
int pem_begin(char *why, size_t cap);

/* Is `path` a regular file, or none at all?  Else false, and why: the setting `what` names it. */
bool pem_is_file(const char *what, const char *path, char *why, size_t cap);

/* Why an operation of OpenSSL on the file failed: OpenSSL's reason, or the system's if it was one.
 */
void pem_explain(char *why, size_t cap, const char *what, const char *path);

/* The first certificate of the file (X509_free), or NULL and why. */
X509 *pem_certificate(const char *path, char *why, size_t cap);

/* All certificates of the file, in its order, down to one that cannot be read (sk_X509_pop_free);
 * NULL: it cannot be read at all. */
STACK_OF(X509) * pem_certificates(const char *path);

/* The private key of the file (EVP_PKEY_free), or NULL and why; one with a passphrase is not
 * usable. */
EVP_PKEY *pem_private_key(const char *path, char *why, size_t cap);

/* The name of a certificate's key between worker and key process: the SHA-256 of the public key
 * (SHA-256).  0 or -1. */
int pem_key_id(const X509 *certificate, uint8_t id[static 32]);

/* What kind of key it is; KEY_KIND_COUNT: one that no scheme signs with. */
enum key_kind pem_key_kind(const EVP_PKEY *key);

/* A pem_password_cb(3): nobody is there to type a passphrase. */
int pem_no_passphrase(char *buf, int size, int writing, void *arg);

#endif
