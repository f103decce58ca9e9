#include "config.h"

#include "worker/login/signer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "common/count.h"
#include "worker/tls/pem.h"
#include "worker/tls/signed_text.h"

#define PROVIDER_NAME "pop3d"
#define PROVIDER_HERE "provider=" PROVIDER_NAME
/* The parameter that names a key to the key process. */
#define PARAM_ID "pop3d-key-id"

/* A key: the public half, as the default provider has it. */
struct half {
	enum key_kind kind;
	EVP_PKEY *public;
	uint8_t id[MSG_KEY_ID_SIZE];
};

/* Where the handshake that is being called puts what it wants signed. */
static struct signing **here;

void
signer_watch(struct signing **place)
{
	here = place;
}

void
signer_answer(struct signing *signing, const struct msg_signed *answer)
{
	if (answer != NULL)
		signing->got = *answer;
	signing->answered = true;
}

/* ---- keys: provider-keymgmt(7) ---- */

static void *
half_new(enum key_kind kind)
{
	struct half *h = calloc(1, sizeof(*h));

	if (h != NULL)
		h->kind = kind;
	return h;
}

static void *
half_new_rsa(void *provider)
{
	(void)provider;
	return half_new(KEY_RSA);
}

static void *
half_new_ec(void *provider)
{
	(void)provider;
	return half_new(KEY_EC);
}

static void *
half_new_ed25519(void *provider)
{
	(void)provider;
	return half_new(KEY_ED25519);
}

static void
half_free(void *key)
{
	struct half *h = key;

	EVP_PKEY_free(h->public);
	free(h);
}

/* The private half counts as there: it is at the key process. */
static int
half_has(const void *key, int selection)
{
	const struct half *h = key;

	(void)selection;
	return h->public != NULL;
}

static int
half_match(const void *one, const void *other, int selection)
{
	const struct half *a = one, *b = other;

	(void)selection;
	return a->public != NULL && b->public != NULL && EVP_PKEY_eq(a->public, b->public) == 1;
}

static int
half_import(void *key, int selection, const OSSL_PARAM params[])
{
	struct half *h = key;
	const OSSL_PARAM *id = OSSL_PARAM_locate_const(params, PARAM_ID);
	EVP_PKEY_CTX *ctx;
	int ok;

	(void)selection;
	if (id != NULL && id->data_size == sizeof(h->id))
		memcpy(h->id, id->data, sizeof(h->id));
	ctx = EVP_PKEY_CTX_new_from_name(NULL, key_kind_name(h->kind), "provider=default");
	ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	     EVP_PKEY_fromdata(ctx, &h->public, EVP_PKEY_PUBLIC_KEY,
			       (OSSL_PARAM *)(uintptr_t)params) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* What asks for the private half has to go away empty: OpenSSL then uses the key where it is. */
static int
half_export(void *key, int selection, OSSL_CALLBACK *take, void *arg)
{
	struct half *h = key;
	OSSL_PARAM *params = NULL;
	int ok;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	ok = EVP_PKEY_todata(h->public, EVP_PKEY_PUBLIC_KEY, &params) == 1 && take(params, arg);
	OSSL_PARAM_free(params);
	return ok;
}

static const OSSL_PARAM *
half_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(PARAM_ID, NULL, 0),
					   OSSL_PARAM_END};

	(void)selection;
	return types;
}

static int
half_get(void *key, OSSL_PARAM params[])
{
	struct half *h = key;

	return EVP_PKEY_get_params(h->public, params);
}

static const OSSL_PARAM *
half_gettable(void *provider)
{
	static const OSSL_PARAM some[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
					  OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
					  OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
					  OSSL_PARAM_END};

	(void)provider;
	return some;
}

/* The name of the signature goes with the key's but for EC, where OpenSSL has another. */
static const char *
half_operation_ec(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

#define FN(id, function)                                                                           \
	{                                                                                          \
		OSSL_FUNC_##id, (void (*)(void))(function)                                         \
	}
#define HALF(make)                                                                                 \
	FN(KEYMGMT_NEW, make), FN(KEYMGMT_FREE, half_free), FN(KEYMGMT_HAS, half_has),             \
	    FN(KEYMGMT_MATCH, half_match), FN(KEYMGMT_IMPORT, half_import),                        \
	    FN(KEYMGMT_IMPORT_TYPES, half_types), FN(KEYMGMT_EXPORT, half_export),                 \
	    FN(KEYMGMT_EXPORT_TYPES, half_types), FN(KEYMGMT_GET_PARAMS, half_get),                \
	    FN(KEYMGMT_GETTABLE_PARAMS, half_gettable)

static const OSSL_DISPATCH half_rsa[] = {HALF(half_new_rsa), {0, NULL}};
static const OSSL_DISPATCH half_ed25519[] = {HALF(half_new_ed25519), {0, NULL}};
static const OSSL_DISPATCH half_ec[] = {
    HALF(half_new_ec), FN(KEYMGMT_QUERY_OPERATION_NAME, half_operation_ec), {0, NULL}};

/* ---- signatures: provider-signature(7) ---- */

struct pen {
	const struct half *key; /* the caller keeps it */
	char digest[32];	/* empty: none */
	bool pss;
};

static void *
pen_new(void *provider, const char *query)
{
	(void)provider, (void)query;
	return calloc(1, sizeof(struct pen));
}

static void
pen_free(void *ctx)
{
	free(ctx);
}

/* Of the parameters the kind of padding alone matters; a salt is as long as the digest. */
static int
pen_set(void *ctx, const OSSL_PARAM params[])
{
	struct pen *p = ctx;
	const OSSL_PARAM *pad = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	int mode = 0;

	if (pad == NULL)
		return 1;
	if (pad->data_type == OSSL_PARAM_UTF8_STRING)
		p->pss = strcmp(pad->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	else if (OSSL_PARAM_get_int(pad, &mode) == 1)
		p->pss = mode == RSA_PKCS1_PSS_PADDING;
	else
		return 0;
	return 1;
}

static const OSSL_PARAM *
pen_settable(void *ctx, void *provider)
{
	static const OSSL_PARAM some[] = {
	    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END};

	(void)ctx, (void)provider;
	return some;
}

/* Whether key and digest go together; padding comes later. */
static int
pen_begin(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct pen *p = ctx;

	p->key = key;
	p->digest[0] = '\0';
	if (digest != NULL)
		(void)snprintf(p->digest, sizeof(p->digest), "%s", digest);
	return (params == NULL || pen_set(p, params)) &&
	       scheme_for(p->key->kind, digest, true) != NULL;
}

/* Fill in the request.  0; -1: it is nothing that the key process would sign. */
static int
pen_ask(const struct pen *p, const unsigned char *text, size_t len, struct msg_sign_ask *ask)
{
	const struct scheme *s =
	    scheme_for(p->key->kind, p->digest[0] != '\0' ? p->digest : NULL, p->pss);

	if (s == NULL || signed_text_parse(text, len, ask) == -1)
		return -1;
	ask->scheme = s->code;
	memcpy(ask->key, p->key->id, sizeof(ask->key));
	return 0;
}

static int
pen_sign(void *ctx, unsigned char *signature, size_t *len, size_t cap, const unsigned char *text,
	 size_t text_len)
{
	const struct pen *p = ctx;
	struct signing **place = here, signing = {0};

	if (signature == NULL) {
		*len = (size_t)EVP_PKEY_get_size(p->key->public);
		return 1;
	}
	if (ASYNC_get_current_job() == NULL || place == NULL ||
	    pen_ask(p, text, text_len, &signing.ask) == -1)
		return 0;
	*place = &signing;
	while (!signing.answered)
		if (ASYNC_pause_job() != 1)
			break;
	*place = NULL;
	if (signing.got.len == 0 || signing.got.len > cap)
		return 0;
	memcpy(signature, signing.got.signature, signing.got.len);
	*len = signing.got.len;
	return 1;
}

static const OSSL_DISPATCH pen[] = {FN(SIGNATURE_NEWCTX, pen_new),
				    FN(SIGNATURE_FREECTX, pen_free),
				    FN(SIGNATURE_SET_CTX_PARAMS, pen_set),
				    FN(SIGNATURE_SETTABLE_CTX_PARAMS, pen_settable),
				    FN(SIGNATURE_DIGEST_SIGN_INIT, pen_begin),
				    FN(SIGNATURE_DIGEST_SIGN, pen_sign),
				    {0, NULL}};

/* ---- the provider ---- */

static const OSSL_ALGORITHM keys[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_HERE, half_rsa, NULL},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROVIDER_HERE, half_ec, NULL},
    {"ED25519:1.3.101.112", PROVIDER_HERE, half_ed25519, NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM signatures[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_HERE, pen, NULL},
    {"ECDSA", PROVIDER_HERE, pen, NULL},
    {"ED25519:1.3.101.112", PROVIDER_HERE, pen, NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT	? keys
	       : operation == OSSL_OP_SIGNATURE ? signatures
						: NULL;
}

static const OSSL_DISPATCH provider[] = {FN(PROVIDER_QUERY_OPERATION, provider_query), {0, NULL}};

static int
provider_begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
	       void **context)
{
	(void)in;
	*out = provider;
	*context = (void *)(uintptr_t)handle;
	return 1;
}

int
signer_begin(char *why, size_t cap)
{
	/* All that names no provider stays with OpenSSL's own. */
	if (OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, provider_begin) == 1 &&
	    OSSL_PROVIDER_load(NULL, "default") != NULL &&
	    OSSL_PROVIDER_load(NULL, PROVIDER_NAME) != NULL &&
	    EVP_set_default_properties(NULL, "?provider=default") == 1)
		return 0;
	snprintf(why, cap, "OpenSSL takes no provider: %s",
		 ERR_reason_error_string(ERR_peek_error()));
	return -1;
}

EVP_PKEY *
signer_key(X509 *certificate)
{
	EVP_PKEY *public = X509_get0_pubkey(certificate), *key = NULL;
	enum key_kind kind = public != NULL ? pem_key_kind(public) : KEY_KIND_COUNT;
	uint8_t id[MSG_KEY_ID_SIZE];
	OSSL_PARAM named[] = {OSSL_PARAM_construct_octet_string(PARAM_ID, id, sizeof(id)),
			      OSSL_PARAM_construct_end()};
	OSSL_PARAM *params = NULL, *all = NULL;
	EVP_PKEY_CTX *ctx = NULL;

	if (kind == KEY_KIND_COUNT || pem_key_id(certificate, id) == -1 ||
	    EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return NULL;
	all = OSSL_PARAM_merge(params, named);
	ctx = EVP_PKEY_CTX_new_from_name(NULL, key_kind_name(kind), PROVIDER_HERE);
	if (all == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, all) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(all);
	OSSL_PARAM_free(params);
	return key;
}
