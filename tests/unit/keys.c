/* worker/key/keys, worker/tls: what the key process signs, and that it signs nothing else. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/unit/unit.h"
#include "worker/key/keys.h"
#include "worker/tls/pem.h"
#include "worker/tls/signed_text.h"

static char dir[] = "/tmp/pop3d-keys-XXXXXX";
static uint8_t signature[MSG_SIGNATURE_MAX];

/* A key of each kind, and its certificate's. */
static struct {
	EVP_PKEY *key;
	uint8_t id[MSG_KEY_ID_SIZE];
} made[KEY_KIND_COUNT];

static X509 *
certify(EVP_PKEY *key)
{
	X509 *x = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256());
	return x;
}

/* Write certificate and key into one file and load it. */
static int
load(EVP_PKEY *certified, EVP_PKEY *key, uint8_t *id)
{
	struct msg_key_pair pair = {.certificate_key = ""};
	char why[256] = "";
	X509 *x = certify(certified);
	FILE *f;
	int rc;

	snprintf(pair.certificate, sizeof(pair.certificate), "%s/pair.pem", dir);
	f = fopen(pair.certificate, "w");
	PEM_write_X509(f, x);
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	rc = keys_load(&pair, why, sizeof(why));
	CU_ASSERT_EQUAL(rc == 0, why[0] == '\0');
	if (id != NULL)
		CU_ASSERT_EQUAL(pem_key_id(x, id), 0);
	X509_free(x);
	unlink(pair.certificate);
	return rc;
}

static void
test_load(void)
{
	made[KEY_RSA].key = EVP_RSA_gen(2048);
	made[KEY_EC].key = EVP_EC_gen("P-256");
	made[KEY_ED25519].key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < KEY_KIND_COUNT; i++)
		CU_ASSERT_EQUAL_FATAL(load(made[i].key, made[i].key, made[i].id), 0);
}

/* A lawful request. */
static struct msg_sign_ask
request(enum key_kind kind, uint32_t scheme, enum sign_form form)
{
	struct msg_sign_ask ask = {.scheme = scheme, .form = form, .len = 32};

	memcpy(ask.key, made[kind].id, sizeof(ask.key));
	memset(ask.client_random, 'c', sizeof(ask.client_random));
	memset(ask.server_random, 's', sizeof(ask.server_random));
	memset(ask.share, 'x', ask.len);
	if (form == SIGN_TLS12)
		ask.group = 29;
	return ask;
}

/* Is it the signature of that text by that scheme? */
static bool
verifies(EVP_PKEY *key, const struct scheme *s, size_t len, const uint8_t *text, size_t text_len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	bool ok = EVP_DigestVerifyInit_ex(md, &ctx, s->digest, NULL, NULL, key, NULL) == 1;

	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestVerify(md, signature, len, text, text_len) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

static const uint32_t codes[] = {0x0403, 0x0503, 0x0603, 0x0804, 0x0805,
				 0x0806, 0x0401, 0x0501, 0x0601, 0x0807};

static void
test_signs(void)
{
	uint8_t text[SIGNED_TEXT_MAX];

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		for (enum sign_form form = 0; form < SIGN_FORM_COUNT; form++) {
			const struct scheme *s = scheme_find(codes[i]);
			struct msg_sign_ask ask = request(s->kind, codes[i], form);
			size_t n = keys_sign(&ask, signature);

			if (s->only_tls12 && form == SIGN_TLS13)
				CU_ASSERT_EQUAL(n, 0)
			else
				CU_ASSERT_TRUE(verifies(made[s->kind].key, s, n, text,
							signed_text_build(&ask, text)));
		}
}

/* What is changed in a lawful request. */
static struct msg_sign_ask asked;

static void
refused(void)
{
	CU_ASSERT_EQUAL(keys_sign(&asked, signature), 0);
}

static void
test_no_other_scheme(void)
{
	static const uint32_t others[] = {0,	  0x0201, 0x0203, 0x0303, 0x0301, 0x0808,
					  0x0809, 0x080a, 0x080b, 0x0402, 0xfe01, 0x10403};

	for (enum key_kind kind = 0; kind < KEY_KIND_COUNT; kind++) {
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
			asked = request(kind, others[i], SIGN_TLS12);
			refused();
		}
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			asked = request(kind, codes[i], SIGN_TLS12);
			if (scheme_find(codes[i])->kind != kind)
				refused();
		}
	}
}

static void
test_no_other_key(void)
{
	asked = request(KEY_EC, 0x0403, SIGN_TLS13);
	asked.key[31] ^= 1;
	refused();
}

static void
test_no_other_hash(void)
{
	for (uint32_t len = 0; len <= MSG_SHARE_MAX + 1; len++) {
		asked = request(KEY_EC, 0x0403, SIGN_TLS13);
		asked.len = len;
		CU_ASSERT_EQUAL(keys_sign(&asked, signature) > 0, len == 32 || len == 48);
	}
	asked = request(KEY_EC, 0x0403, SIGN_TLS13);
	asked.form = SIGN_FORM_COUNT;
	refused();
}

static void
test_no_other_parameters(void)
{
	static const uint32_t groups[] = {0,  1,  22,  23,     24,	25,
					  29, 30, 256, 0x11ec, 0x1001d, 65281};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (uint32_t len = 0; len <= MSG_SHARE_MAX + 1; len++) {
			asked = request(KEY_RSA, 0x0401, SIGN_TLS12);
			asked.group = groups[i];
			asked.len = len;
			memset(asked.share, 4, sizeof(asked.share));
			if ((groups[i] == 29 && len == 32) || (groups[i] == 23 && len == 65))
				CU_ASSERT_NOT_EQUAL(signed_text_build(&asked, signature), 0)
			else
				refused();
		}
	asked = request(KEY_RSA, 0x0401, SIGN_TLS12);
	asked.group = 23; /* a compressed point */
	asked.len = 65;
	asked.share[0] = 2;
	refused();
}

static void
test_texts_of_both_forms(void)
{
	struct msg_sign_ask ask, again;
	uint8_t text[SIGNED_TEXT_MAX + 1];
	size_t len;

	for (enum sign_form form = 0; form < SIGN_FORM_COUNT; form++) {
		ask = request(KEY_EC, 0x0403, form);
		memset(&again, 0, sizeof(again));
		len = signed_text_build(&ask, text);
		CU_ASSERT_EQUAL_FATAL(signed_text_parse(text, len, &again), 0);
		CU_ASSERT_EQUAL(again.form, form);
		CU_ASSERT_EQUAL(again.len, ask.len);
		CU_ASSERT_EQUAL(memcmp(again.share, ask.share, ask.len), 0);
		for (size_t cut = 0; cut < len; cut++) /* 32 octets of 48 would be a hash, too */
			CU_ASSERT_EQUAL(signed_text_parse(text, cut, &again), -1);
		text[len] = 0;
		CU_ASSERT_EQUAL(signed_text_parse(text, len + 1, &again), -1);
	}
}

static void
test_no_other_text(void)
{
	struct msg_sign_ask ask = request(KEY_EC, 0x0403, SIGN_TLS13), again;
	uint8_t text[SIGNED_TEXT_MAX];
	size_t len = signed_text_build(&ask, text);

	/* each octet before the hash has one value */
	for (size_t i = 0; i < len - ask.len; i++) {
		text[i] ^= 1;
		CU_ASSERT_EQUAL(signed_text_parse(text, len, &again), -1);
		text[i] ^= 1;
	}
	memcpy(text + 73, "client", 6); /* a client's CertificateVerify */
	CU_ASSERT_EQUAL(signed_text_parse(text, len, &again), -1);

	ask = request(KEY_EC, 0x0403, SIGN_TLS12);
	len = signed_text_build(&ask, text);
	for (size_t i = 64; i < 68; i++) {
		text[i] ^= 1;
		CU_ASSERT_EQUAL(signed_text_parse(text, len, &again), -1);
		text[i] ^= 1;
	}
	CU_ASSERT_EQUAL(signed_text_parse((const uint8_t *)"mail", 4, &again), -1);
	CU_ASSERT_EQUAL(signed_text_parse(text, 0, &again), -1);
}

static void
test_pairs_that_are_refused(void)
{
	EVP_PKEY *pss, *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");

	CU_ASSERT_EQUAL(load(made[KEY_EC].key, made[KEY_RSA].key, NULL), -1);
	pss = EVP_EC_gen("P-256");
	CU_ASSERT_EQUAL(load(made[KEY_EC].key, pss, NULL), -1);
	CU_ASSERT_EQUAL(load(ed448, ed448, NULL), -1);
	EVP_PKEY_free(pss);
	EVP_PKEY_free(ed448);
}

static const struct unit_test tests[] = {
    {"TLS-17 a key of each kind is loaded", test_load},
    {"TLS-19 each scheme signs both texts", test_signs},
    {"SYS-09 no other scheme", test_no_other_scheme},
    {"SYS-09 no other key", test_no_other_key},
    {"SYS-09 no other transcript hash", test_no_other_hash},
    {"SYS-09 no other parameters of an exchange", test_no_other_parameters},
    {"SYS-09 a text and its request", test_texts_of_both_forms},
    {"SYS-09 no other text", test_no_other_text},
    {"TLS-17 pairs that are refused", test_pairs_that_are_refused},
    {NULL, NULL},
};

int
main(void)
{
	int status;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	umask(077);
	status = unit_run("keys", tests);
	keys_free();
	for (size_t i = 0; i < KEY_KIND_COUNT; i++)
		EVP_PKEY_free(made[i].key);
	rmdir(dir);
	return status;
}
