#include "config.h"

#include "worker/login/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

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

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TLV_SSL = 0x20, V2_CLIENT_SSL = 0x01 };

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

/* Is there a type-length-value that says that the client uses TLS? */
static bool
v2_says_tls(const uint8_t *at, const uint8_t *end)
{
	while (end - at >= 3) {
		size_t len = big_endian(at + 1);

		if ((size_t)(end - at) - 3 < len)
			return false;
		if (at[0] == V2_TLV_SSL && len >= 5)
			return (at[3] & V2_CLIENT_SSL) != 0;
		at += 3 + len;
	}
	return false;
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
	facts->tls = v2_says_tls(at + families[i].need, p->octets + kept);
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
