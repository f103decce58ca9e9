/* worker/login/proxy.c */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/login/proxy.h"

#define V2	"\r\n\r\n\0\r\nQUIT\n"
#define V2_IPV4 "\xc0\0\2\1\xc0\0\2\2\x10\x92\3\xe3"
#define V2_TEXT 12 /* octets of the signature */

/* Take `n` octets in shares of `share`; *left: those behind the header. */
static enum proxy_result
take(const void *octets, size_t n, size_t share, struct proxy_facts *facts, size_t *left)
{
	static struct proxy p;
	const char *at = octets;
	enum proxy_result result = PROXY_MORE;
	size_t used = 0, some;

	memset(&p, 0, sizeof(p));
	while (result == PROXY_MORE && n > 0) {
		some = share < n ? share : n;
		result = proxy_take(&p, at, some, &used, facts);
		CU_ASSERT_TRUE(used <= some);
		CU_ASSERT_TRUE(result != PROXY_MORE || used == some);
		at += used;
		n -= used;
	}
	*left = n;
	return result;
}

static void
expect_peer(const struct proxy_facts *f, const char *peer, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "";

	CU_ASSERT_TRUE(f->announced);
	if (f->announced)
		(void)inet_ntop(f->peer.family, f->peer.octets, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, peer);
	CU_ASSERT_EQUAL(f->peer.port, port);
}

static void
test_v1(void)
{
	static const struct {
		const char *text, *peer;
	} good[] = {
	    {"PROXY TCP4 192.0.2.1 192.0.2.2 4242 995\r\n", "192.0.2.1"},
	    {"PROXY TCP6 2001:db8::1 ::1 4242 0\r\n", "2001:db8::1"},
	    {"PROXY TCP4 255.255.255.255 255.255.255.255 4242 65535\r\n", "255.255.255.255"},
	};
	static const size_t shares[] = {1, 7, 1000};
	char text[200];
	struct proxy_facts facts;
	size_t left;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		for (size_t k = 0; k < 3; k++) {
			int n = snprintf(text, sizeof(text), "%sUSER ann\r\n", good[i].text);

			CU_ASSERT_EQUAL(take(text, (size_t)n, shares[k], &facts, &left),
					PROXY_WHOLE);
			CU_ASSERT_EQUAL(left, strlen("USER ann\r\n"));
			expect_peer(&facts, good[i].peer, 4242);
		}
}

static void
test_v1_unknown(void)
{
	static const char *const texts[] = {
	    "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f...f:ffff whatever else 65535 65535\r\n"};
	struct proxy_facts facts;
	size_t left;

	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(take(texts[i], strlen(texts[i]), 3, &facts, &left), PROXY_WHOLE);
		CU_ASSERT_FALSE(facts.announced);
		CU_ASSERT_EQUAL(left, 0);
	}
}

static void
test_v1_bad(void)
{
	static const char *const texts[] = {
	    "USER ann\r\n",
	    "PROXY\r\n",
	    "PROXX TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
	    "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
	    "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
	    "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
	    "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
	    "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	    "PROXY UNKNOWN "
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
	};
	struct proxy_facts facts;
	size_t left;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CU_ASSERT_EQUAL(take(texts[i], strlen(texts[i]), 1, &facts, &left), PROXY_BAD);
		CU_ASSERT_EQUAL(take(texts[i], strlen(texts[i]), 1000, &facts, &left), PROXY_BAD);
	}
}

/* A header of version 2.  Its octets in all. */
static size_t
v2(char *dst, uint8_t command, uint8_t family, uint16_t len, const char *body, size_t n)
{
	memcpy(dst, V2, V2_TEXT);
	dst[12] = (char)command;
	dst[13] = (char)family;
	dst[14] = (char)(len >> 8);
	dst[15] = (char)len;
	memcpy(dst + PROXY_FIXED, body, n);
	return PROXY_FIXED + n;
}

static void
test_v2(void)
{
	static const char tls[] = V2_IPV4 "\x20\0\5\1\0\0\0\0",
			  clear[] = V2_IPV4 "\x20\0\5\0\0\0\0\0";
	static const struct {
		const char *body;
		size_t len;
		bool tls;
	} good[] = {
	    {V2_IPV4, 12, false}, {tls, sizeof(tls) - 1, true}, {clear, sizeof(clear) - 1, false}};
	char text[200];
	struct proxy_facts facts;
	size_t left, n;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		for (size_t share = 1; share < 100; share += 13) {
			n = v2(text, 0x21, 0x11, (uint16_t)good[i].len, good[i].body, good[i].len);
			memcpy(text + n, "\x16\3\1", 3);
			CU_ASSERT_EQUAL(take(text, n + 3, share, &facts, &left), PROXY_WHOLE);
			CU_ASSERT_EQUAL(left, 3);
			expect_peer(&facts, "192.0.2.1", 4242);
			CU_ASSERT_EQUAL(facts.tls, good[i].tls);
		}
}

/* LOCAL, and families that tell no address of the Internet. */
static void
test_v2_not_announced(void)
{
	static const struct {
		uint8_t command, family;
		uint16_t len;
	} good[] = {{0x20, 0x00, 0},  {0x20, 0x11, 12}, {0x20, 0x11, 3},   {0x21, 0x00, 0},
		    {0x21, 0x00, 9},  {0x21, 0x12, 12}, {0x21, 0x31, 216}, {0x20, 0x4f, 12},
		    {0x21, 0x10, 12}, {0x21, 0x02, 0}};
	static const char zeros[216];
	char text[300];
	struct proxy_facts facts;
	size_t left, n;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		n = v2(text, good[i].command, good[i].family, good[i].len, zeros, good[i].len);
		CU_ASSERT_EQUAL(take(text, n, 5, &facts, &left), PROXY_WHOLE);
		CU_ASSERT_FALSE(facts.announced);
		CU_ASSERT_EQUAL(left, 0);
	}
}

static void
test_v2_bad(void)
{
	static const struct {
		uint8_t command, family;
		uint16_t len;
	} bad[] = {{0x11, 0x11, 12}, {0x22, 0x11, 12}, {0x21, 0x13, 12},  {0x21, 0x41, 12},
		   {0x21, 0x11, 11}, {0x21, 0x21, 35}, {0x21, 0x31, 215}, {0x21, 0x03, 12}};
	static const char zeros[216];
	char text[300];
	struct proxy_facts facts;
	size_t left, n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		n = v2(text, bad[i].command, bad[i].family, bad[i].len, zeros, bad[i].len);
		CU_ASSERT_EQUAL(take(text, n, 1000, &facts, &left), PROXY_BAD);
	}
}

/* A type-length-value about TLS with one name in it.  Its octets. */
static size_t
tls_tlv(char *dst, uint8_t flags, uint8_t verify, uint8_t type, const char *name, size_t len)
{
	size_t n = 5 + 3 + len;

	dst[0] = 0x20;
	dst[1] = (char)(n >> 8);
	dst[2] = (char)n;
	memcpy(dst + 3, (const char[]){(char)flags, 0, 0, 0, (char)verify}, 5);
	dst[8] = (char)type;
	dst[9] = (char)(len >> 8);
	dst[10] = (char)len;
	memcpy(dst + 11, name, len);
	return 3 + n;
}

/* The facts of a header with one name about TLS, of `len` octets.  Is TLS said? */
static bool
take_name(struct msg_balancer_tls *out, uint8_t flags, uint8_t verify, uint8_t type,
	  const char *name, size_t len)
{
	static char body[UINT16_MAX], text[PROXY_FIXED + UINT16_MAX];
	struct proxy_facts facts;
	size_t left, n;

	memcpy(body, V2_IPV4, 12);
	n = 12 + tls_tlv(body + 12, flags, verify, type, name, len);
	n = v2(text, 0x21, 0x11, (uint16_t)n, body, n);
	CU_ASSERT_EQUAL(take(text, n, 4096, &facts, &left), PROXY_WHOLE);
	CU_ASSERT_EQUAL(left, 0);
	*out = facts.facts;
	return facts.tls;
}

static void
test_v2_names(void)
{
	struct msg_balancer_tls f;

	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x21, "TLSv1.3", 7));
	CU_ASSERT_STRING_EQUAL(f.version, "TLSv1.3");
	CU_ASSERT_STRING_EQUAL(f.cipher, "");
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x23, "TLS_AES_128_GCM_SHA256", 22));
	CU_ASSERT_STRING_EQUAL(f.cipher, "TLS_AES_128_GCM_SHA256");
	CU_ASSERT_TRUE(take_name(&f, 3, 0, 0x22, "ann\n\x1b\xff", 6));
	CU_ASSERT_STRING_EQUAL(f.client, "ann\n\x1b\xff");
	CU_ASSERT_TRUE(take_name(&f, 5, 0, 0x22, "ann", 3));
	CU_ASSERT_STRING_EQUAL(f.client, "ann");
	/* another type of name */
	CU_ASSERT_TRUE(take_name(&f, 7, 0, 0x25, "RSA2048", 7));
	CU_ASSERT_STRING_EQUAL(f.version, "");
}

/* Names that are not verified, are not those of TLS, or do not fit. */
static void
test_v2_no_names(void)
{
	static char longest[60000];
	struct msg_balancer_tls f;

	CU_ASSERT_TRUE(take_name(&f, 3, 1, 0x22, "ann", 3));
	CU_ASSERT_STRING_EQUAL(f.client, "");
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x22, "ann", 3));
	CU_ASSERT_STRING_EQUAL(f.client, "");
	CU_ASSERT_FALSE(take_name(&f, 2, 0, 0x21, "TLSv1.3", 7));
	CU_ASSERT_STRING_EQUAL(f.version, "");
	CU_ASSERT_TRUE(take_name(&f, 3, 0, 0x22, "ann\0root", 8));
	CU_ASSERT_STRING_EQUAL(f.client, "");
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x21, "TLSv1.3\n", 8));
	CU_ASSERT_STRING_EQUAL(f.version, "");
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x23, "\x1b[2J", 4));
	CU_ASSERT_STRING_EQUAL(f.cipher, "");
	memset(longest, 'x', sizeof(longest));
	for (size_t len = MSG_NAME_SIZE - 1; len < sizeof(longest); len = 2 * len + 2) {
		CU_ASSERT_TRUE(take_name(&f, 3, 0, 0x22, longest, len));
		CU_ASSERT_EQUAL(strlen(f.client), len < MSG_NAME_SIZE ? len : 0);
	}
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x21, longest, 15));
	CU_ASSERT_EQUAL(strlen(f.version), 15);
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x21, longest, 16));
	CU_ASSERT_EQUAL(strlen(f.version), 0);
	CU_ASSERT_TRUE(take_name(&f, 1, 0, 0x23, longest, MSG_WORD_SIZE));
	CU_ASSERT_EQUAL(strlen(f.cipher), 0);
}

/* A list that goes beyond the header, or a name that goes beyond its list, says nothing. */
static void
test_v2_names_beyond(void)
{
	char body[100] = V2_IPV4, text[200];
	size_t n = 12 + tls_tlv(body + 12, 3, 0, 0x21, "TLSv1.3", 7), left;
	struct proxy_facts facts;

	body[14]++; /* one octet more than there is */
	CU_ASSERT_EQUAL(take(text, v2(text, 0x21, 0x11, (uint16_t)n, body, n), 9, &facts, &left),
			PROXY_WHOLE);
	CU_ASSERT_FALSE(facts.tls);
	CU_ASSERT_STRING_EQUAL(facts.facts.version, "");
	body[14]--;
	body[22]++;
	CU_ASSERT_EQUAL(take(text, v2(text, 0x21, 0x11, (uint16_t)n, body, n), 9, &facts, &left),
			PROXY_WHOLE);
	CU_ASSERT_TRUE(facts.tls);
	CU_ASSERT_STRING_EQUAL(facts.facts.version, "");
}

/* What is behind the octets that are kept is skipped, not taken for the client's. */
static void
test_v2_long(void)
{
	static char text[PROXY_FIXED + UINT16_MAX + 1];
	struct proxy_facts facts;
	size_t left;

	(void)v2(text, 0x21, 0x11, UINT16_MAX, V2_IPV4, 12);
	CU_ASSERT_EQUAL(take(text, sizeof(text), 4096, &facts, &left), PROXY_WHOLE);
	expect_peer(&facts, "192.0.2.1", 4242);
	CU_ASSERT_EQUAL(left, 1);
}

static const struct unit_test tests[] = {
    {"version 1", test_v1},
    {"version 1, unknown", test_v1_unknown},
    {"version 1, faults", test_v1_bad},
    {"version 2", test_v2},
    {"version 2 without addresses", test_v2_not_announced},
    {"version 2, faults", test_v2_bad},
    {"version 2, names of TLS", test_v2_names},
    {"version 2, names that are not taken", test_v2_no_names},
    {"version 2, names beyond their list", test_v2_names_beyond},
    {"version 2, as long as can be", test_v2_long},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("proxy", tests);
}
