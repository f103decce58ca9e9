#include "config.h"

#include "worker/tls/signed_text.h"

#include <string.h>

#include "common/count.h"

enum {
	BLANKS = 64,
	NAMED_CURVE = 3, /* ECCurveType */
	PARAMS_HEAD = 4, /* type, curve, length of the point */
	HASH_SHA256 = 32,
	HASH_SHA384 = 48
};

/* With the octet 0 behind it. */
static const char context[] = "TLS 1.3, server CertificateVerify";

/* The curves of which the server makes keys (tls.c), and how long a point of each is. */
static const struct {
	uint32_t group;
	uint32_t len;
	uint8_t first; /* octet of each point; 0: any (X25519) */
} curves[] = {{29, 32, 0}, {23, 65, 4}};

static bool
is_point(const struct msg_sign_ask *ask)
{
	for (size_t i = 0; i < COUNT_OF(curves); i++)
		if (curves[i].group == ask->group)
			return ask->len == curves[i].len &&
			       (curves[i].first == 0 || ask->share[0] == curves[i].first);
	return false;
}

static bool
is_hash(const struct msg_sign_ask *ask)
{
	return ask->len == HASH_SHA256 || ask->len == HASH_SHA384;
}

static size_t
build_tls13(const struct msg_sign_ask *ask, uint8_t *text)
{
	if (!is_hash(ask))
		return 0;
	memset(text, ' ', BLANKS);
	memcpy(text + BLANKS, context, sizeof(context));
	memcpy(text + BLANKS + sizeof(context), ask->share, ask->len);
	return BLANKS + sizeof(context) + ask->len;
}

static size_t
build_tls12(const struct msg_sign_ask *ask, uint8_t *text)
{
	const uint8_t head[PARAMS_HEAD] = {NAMED_CURVE, (uint8_t)(ask->group >> 8),
					   (uint8_t)ask->group, (uint8_t)ask->len};

	if (!is_point(ask))
		return 0;
	memcpy(text, ask->client_random, MSG_RANDOM_SIZE);
	memcpy(text + MSG_RANDOM_SIZE, ask->server_random, MSG_RANDOM_SIZE);
	memcpy(text + 2 * MSG_RANDOM_SIZE, head, sizeof(head));
	memcpy(text + 2 * MSG_RANDOM_SIZE + sizeof(head), ask->share, ask->len);
	return 2 * MSG_RANDOM_SIZE + sizeof(head) + ask->len;
}

size_t
signed_text_build(const struct msg_sign_ask *ask, uint8_t text[SIGNED_TEXT_MAX])
{
	static size_t (*const build[SIGN_FORM_COUNT])(const struct msg_sign_ask *ask,
						      uint8_t *text) = {
	    [SIGN_TLS13] = build_tls13, [SIGN_TLS12] = build_tls12};

	return ask->form < SIGN_FORM_COUNT ? build[ask->form](ask, text) : 0;
}

static void
take_share(struct msg_sign_ask *ask, const uint8_t *share, size_t len)
{
	ask->len = (uint32_t)len;
	memcpy(ask->share, share, len);
}

/* A request that could stand for the text, by its length. */
static int
guess(const uint8_t *text, size_t len, struct msg_sign_ask *ask)
{
	size_t tls13 = BLANKS + sizeof(context), tls12 = 2 * MSG_RANDOM_SIZE + PARAMS_HEAD;

	if (len > tls13 && memcmp(text + BLANKS, context, sizeof(context)) == 0 &&
	    len - tls13 <= sizeof(ask->share)) {
		ask->form = SIGN_TLS13;
		take_share(ask, text + tls13, len - tls13);
		return 0;
	}
	if (len <= tls12 || len - tls12 > sizeof(ask->share))
		return -1;
	ask->form = SIGN_TLS12;
	memcpy(ask->client_random, text, MSG_RANDOM_SIZE);
	memcpy(ask->server_random, text + MSG_RANDOM_SIZE, MSG_RANDOM_SIZE);
	ask->group = (uint32_t)text[tls12 - 3] << 8 | text[tls12 - 2];
	take_share(ask, text + tls12, len - tls12);
	return 0;
}

/* What the key process would sign for the request has to be this text, octet by octet. */
int
signed_text_parse(const uint8_t *text, size_t len, struct msg_sign_ask *ask)
{
	uint8_t again[SIGNED_TEXT_MAX];

	if (guess(text, len, ask) == -1 || signed_text_build(ask, again) != len ||
	    memcmp(again, text, len) != 0)
		return -1;
	return 0;
}
