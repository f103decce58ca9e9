#include "config.h"

#include "worker/login/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/count.h"

static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n"; /* section 2.2 */

enum {
	SIGNATURE = sizeof(signature) - 1,
	V1_FIELDS = 6 /* PROXY, family, two addresses, two ports */
};

/* ---- version 1 ---- */

/* 0 to 65535 without a sign or zeros in front. */
static bool
v1_port(const char *text, uint16_t *port)
{
	size_t len = strlen(text);
	unsigned value = 0;

	if (len == 0 || len > 5 || strspn(text, "0123456789") != len || (text[0] == '0' && len > 1))
		return false;
	for (; *text != '\0'; text++)
		value = value * 10 + (unsigned)(*text - '0');
	*port = (uint16_t)value;
	return value <= UINT16_MAX;
}

/* The line's fields, separated by one space each.  How many, at most `room`. */
static int
v1_split(char *line, char *fields[], int room)
{
	int n = 0;

	for (char *at = line; at != NULL && n < room; n++)
		fields[n] = strsep(&at, " ");
	return n;
}

static enum proxy_result
v1_parse(char *line, struct proxy_facts *facts)
{
	char *f[V1_FIELDS + 1] = {NULL};
	int n = v1_split(line, f, V1_FIELDS + 1), family;
	struct msg_addr server; /* has to be one, and is of no use here */

	if (n >= 2 && strcmp(f[1], "UNKNOWN") == 0)
		return PROXY_WHOLE;
	if (n != V1_FIELDS || (strcmp(f[1], "TCP4") != 0 && strcmp(f[1], "TCP6") != 0))
		return PROXY_BAD;
	family = f[1][3] == '4' ? AF_INET : AF_INET6;
	facts->peer.family = (uint16_t)family;
	facts->announced = inet_pton(family, f[2], facts->peer.octets) == 1 &&
			   inet_pton(family, f[3], server.octets) == 1 &&
			   v1_port(f[4], &facts->peer.port) && v1_port(f[5], &server.port);
	return facts->announced ? PROXY_WHOLE : PROXY_BAD;
}

static enum proxy_result
v1_take(struct proxy *p, const uint8_t *octets, size_t n, size_t *used, struct proxy_facts *facts)
{
	const uint8_t *lf = memchr(octets, '\n', n);
	size_t share = lf != NULL ? (size_t)(lf - octets) + 1 : n;

	if (p->len + share > PROXY_V1_MAX)
		return PROXY_BAD;
	memcpy(p->octets + p->len, octets, share);
	p->len += share;
	*used += share;
	if (lf == NULL)
		return p->len < PROXY_V1_MAX ? PROXY_MORE : PROXY_BAD;
	if (p->octets[p->len - 2] != '\r' || memchr(p->octets, '\0', p->len) != NULL)
		return PROXY_BAD;
	p->octets[p->len - 2] = '\0';
	return v1_parse((char *)p->octets, facts);
}

/* ---- version 2 ---- */

enum {
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21,
	V2_TLV_SSL = 0x20,
	V2_SSL_FIXED = 5, /* octets of its value before the list in it */
	V2_CLIENT_SSL = 0x01,
	V2_CLIENT_CERTIFICATE = 0x06 /* on this connection, or in the session that it resumes */
};

/* Families and what they need; those without an `af` tell nothing that is of use here. */
static const struct {
	uint8_t code;
	uint16_t af;
	uint8_t address; /* octets of one; the ports follow the two of them */
	uint16_t need;
} families[] = {{0x00, 0, 0, 0},	  {0x11, AF_INET, 4, 12}, {0x12, 0, 0, 12},
		{0x21, AF_INET6, 16, 36}, {0x22, 0, 0, 36},	  {0x31, 0, 0, 216},
		{0x32, 0, 0, 216}};

static uint16_t
big_endian(const uint8_t *octets)
{
	return (uint16_t)(octets[0] << 8 | octets[1]);
}

/* A type-length-value. */
struct tlv {
	uint8_t type;
	size_t len;
	const uint8_t *value;
};

/* The next one of a list from *at to `end`, behind which are `more` octets that were not kept: of
 * the last one the length is what was.  False: there is none, or it goes beyond the list. */
static bool
tlv_next(const uint8_t **at, const uint8_t *end, size_t more, struct tlv *t)
{
	size_t room;

	if (end - *at < 3)
		return false;
	*t = (struct tlv){(*at)[0], big_endian(*at + 1), *at + 3};
	room = (size_t)(end - t->value);
	if (t->len > room + more)
		return false;
	if (t->len > room)
		t->len = room;
	*at = t->value + t->len;
	return true;
}

/* Names of TLS within V2_TLV_SSL, where they go, and the characters that they may have (NULL: all
 * but NUL). */
static const struct {
	uint8_t type;
	size_t at, size;
	const char *only;
} names[] = {
    {0x21, offsetof(struct msg_balancer_tls, version), MSG_TLS_VERSION_SIZE, MSG_TLS_NAME},
    {0x22, offsetof(struct msg_balancer_tls, client), MSG_NAME_SIZE, NULL},
    {0x23, offsetof(struct msg_balancer_tls, cipher), MSG_WORD_SIZE, MSG_TLS_NAME},
};

/* A name that is cut could be taken for another's: it is whole, or empty. */
static void
v2_take_name(const struct tlv *t, struct msg_balancer_tls *facts)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char *dst = (char *)facts + names[i].at;

		if (names[i].type != t->type || t->len >= names[i].size)
			continue;
		memcpy(dst, t->value, t->len);
		dst[t->len] = '\0';
		if (strlen(dst) != t->len ||
		    (names[i].only != NULL && strspn(dst, names[i].only) != t->len))
			memset(dst, 0, names[i].size);
	}
}

/* What V2_TLV_SSL says (section 2.2.6).  Whose certificate was not verified has no name. */
static void
v2_take_tls(const struct tlv *ssl, struct proxy_facts *facts)
{
	static const uint8_t good[4];
	const uint8_t *at = ssl->value + V2_SSL_FIXED;
	struct tlv t;

	facts->tls = (ssl->value[0] & V2_CLIENT_SSL) != 0;
	while (facts->tls && tlv_next(&at, ssl->value + ssl->len, 0, &t))
		v2_take_name(&t, &facts->facts);
	if ((ssl->value[0] & V2_CLIENT_CERTIFICATE) == 0 || memcmp(ssl->value + 1, good, 4) != 0)
		memset(facts->facts.client, 0, sizeof(facts->facts.client));
}

/* The first type-length-value about TLS, if any. */
static void
v2_find_tls(const uint8_t *at, const uint8_t *end, size_t more, struct proxy_facts *facts)
{
	struct tlv t;

	while (tlv_next(&at, end, more, &t))
		if (t.type == V2_TLV_SSL && t.len >= V2_SSL_FIXED) {
			v2_take_tls(&t, facts);
			return;
		}
}

/* Are both halves defined, and one of them "unspecified"? */
static bool
v2_unspecified(uint8_t family)
{
	uint8_t af = family >> 4, protocol = family & 15;

	return af <= 3 && protocol <= 2 && (af == 0 || protocol == 0);
}

static enum proxy_result
v2_parse(const struct proxy *p, struct proxy_facts *facts)
{
	const uint8_t *at = p->octets + PROXY_FIXED;
	size_t kept = p->whole < PROXY_KEPT_MAX ? p->whole : PROXY_KEPT_MAX, i;

	if (p->octets[12] == V2_LOCAL)
		return PROXY_WHOLE;
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (families[i].code == p->octets[13])
			break;
	if (i == sizeof(families) / sizeof(families[0]))
		return p->octets[12] == V2_PROXY && v2_unspecified(p->octets[13]) ? PROXY_WHOLE
										  : PROXY_BAD;
	if (p->octets[12] != V2_PROXY || p->whole - PROXY_FIXED < families[i].need)
		return PROXY_BAD;
	if (families[i].af == 0)
		return PROXY_WHOLE;
	size_t len = families[i].address;
	facts->announced = true;
	facts->peer.family = families[i].af;
	memcpy(facts->peer.octets, at, len);
	facts->peer.port = big_endian(at + 2 * len);
	v2_find_tls(at + families[i].need, p->octets + kept, p->whole - kept, facts);
	return PROXY_WHOLE;
}

/* Take up to the octet `end` of the header; what does not fit is skipped. */
static void
v2_copy(struct proxy *p, const uint8_t *octets, size_t n, size_t *used, size_t end)
{
	size_t share = n - *used < end - p->len ? n - *used : end - p->len;

	if (p->len < PROXY_KEPT_MAX) {
		size_t room = PROXY_KEPT_MAX - p->len;

		memcpy(p->octets + p->len, octets + *used, share < room ? share : room);
	}
	p->len += share;
	*used += share;
}

static enum proxy_result
v2_take(struct proxy *p, const uint8_t *octets, size_t n, size_t *used, struct proxy_facts *facts)
{
	if (p->whole == 0) {
		v2_copy(p, octets, n, used, PROXY_FIXED);
		if (p->len < PROXY_FIXED)
			return PROXY_MORE;
		p->whole = PROXY_FIXED + (size_t)big_endian(p->octets + 14);
	}
	v2_copy(p, octets, n, used, p->whole);
	return p->len < p->whole ? PROXY_MORE : v2_parse(p, facts);
}

/* ---- both ---- */

enum proxy_result
proxy_take(struct proxy *p, const void *octets, size_t n, size_t *used, struct proxy_facts *facts)
{
	static const uint8_t word[] = "PROXY ";
	const uint8_t *in = octets;

	memset(facts, 0, sizeof(*facts));
	*used = 0;
	while (p->len < SIGNATURE && *used < n) {
		uint8_t octet = in[*used];
		bool two = p->len == 0 ? octet == signature[0] : p->octets[0] == signature[0];

		if (!two && p->len >= sizeof(word) - 1)
			break;
		if (octet != (two ? signature : word)[p->len])
			return PROXY_BAD;
		p->octets[p->len++] = octet;
		(*used)++;
	}
	if (p->len == 0)
		return PROXY_MORE;
	if (p->octets[0] != signature[0])
		return p->len < sizeof(word) - 1 ? PROXY_MORE
						 : v1_take(p, in + *used, n - *used, used, facts);
	return p->len < SIGNATURE ? PROXY_MORE : v2_take(p, in, n, used, facts);
}
