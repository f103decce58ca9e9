#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/count.h"
#include "common/source.h"
#include "daemon/roles/child.h"
#include "daemon/ports/limits.h"
#include "tests/unit/unit.h"

static struct msg_addr
addr(const char *text)
{
	struct msg_addr a;

	memset(&a, 0, sizeof(a));
	a.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	CU_ASSERT_EQUAL(inet_pton(a.family, text, a.octets), 1);
	return a;
}

/* Lists of networks; "": none. */
static struct conf_networks
networks(const char *one, uint8_t bits)
{
	struct conf_networks list = {.n = 1};

	if (one[0] != '\0')
		list.network[0] = (struct network){addr(one), bits};
	return list;
}

static const char *
barred(const struct conf_server *s, const char *text)
{
	struct msg_addr a = addr(text);
	const char *by = limits_barred(s, &a);

	return by != NULL ? by : "";
}

static void
test_barred(void)
{
	struct conf_server s = {.allow = networks("", 0), .deny = networks("", 0)};

	CU_ASSERT_STRING_EQUAL(barred(&s, "192.0.2.1"), "");
	s.deny = networks("192.0.2.0", 25);
	CU_ASSERT_STRING_EQUAL(barred(&s, "192.0.2.1"), "deny");
	CU_ASSERT_STRING_EQUAL(barred(&s, "::ffff:192.0.2.1"), "deny");
	CU_ASSERT_STRING_EQUAL(barred(&s, "192.0.2.129"), "");
	CU_ASSERT_STRING_EQUAL(barred(&s, "2001:db8::1"), "");
	s.allow = networks("192.0.2.0", 24);
	CU_ASSERT_STRING_EQUAL(barred(&s, "192.0.2.1"), "deny"); /* over allow */
	CU_ASSERT_STRING_EQUAL(barred(&s, "192.0.2.129"), "");
	CU_ASSERT_STRING_EQUAL(barred(&s, "192.0.3.1"), "allow");
	CU_ASSERT_STRING_EQUAL(barred(&s, "2001:db8::1"), "allow");
}

static struct limits *limits;

/* One more from there; which limit is reached. */
static int
enter(const char *text, uint32_t address, uint32_t network, uint32_t site)
{
	const uint32_t most[LIMIT_COUNT] = {address, network, site};
	struct msg_addr a = addr(text);

	return limits_enter(limits, &a, most, false);
}

static void
leave(const char *text)
{
	struct msg_addr a = addr(text);

	limits_leave(limits, &a, false);
}

static void
test_most_per_address(void)
{
	limits = limits_new();
	CU_ASSERT_EQUAL(enter("192.0.2.1", 2, 9, 9), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("192.0.2.1", 2, 9, 9), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("192.0.2.1", 2, 9, 9), LIMIT_ADDRESS);
	CU_ASSERT_EQUAL(enter("::ffff:192.0.2.1", 2, 9, 9), LIMIT_ADDRESS);
	CU_ASSERT_EQUAL(enter("192.0.2.2", 2, 9, 9), LIMIT_COUNT);
	leave("192.0.2.1");
	CU_ASSERT_EQUAL(enter("192.0.2.1", 2, 9, 9), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("192.0.2.1", 2, 9, 9), LIMIT_ADDRESS);
	CU_ASSERT_EQUAL(limits_count(limits), 3);
	limits_free(limits);
}

static void
test_nested(void)
{
	limits = limits_new();
	CU_ASSERT_EQUAL(enter("192.0.2.1", 2, 2, 1), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("192.0.2.254", 2, 2, 1), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("192.0.2.7", 2, 2, 1), LIMIT_NETWORK);
	CU_ASSERT_EQUAL(enter("192.0.3.7", 2, 2, 1), LIMIT_COUNT); /* IPv4 has no sites */
	/* a /64, a /56, a /48 */
	CU_ASSERT_EQUAL(enter("2001:db8:1:200::1", 1, 2, 3), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("2001:db8:1:200:ffff::9", 1, 2, 3), LIMIT_ADDRESS);
	CU_ASSERT_EQUAL(enter("2001:db8:1:2ff::1", 1, 2, 3), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("2001:db8:1:201::1", 1, 2, 3), LIMIT_NETWORK);
	CU_ASSERT_EQUAL(enter("2001:db8:1:300::1", 1, 2, 3), LIMIT_COUNT);
	CU_ASSERT_EQUAL(enter("2001:db8:1:400::1", 1, 2, 3), LIMIT_SITE);
	CU_ASSERT_EQUAL(enter("2001:db8:2:400::1", 1, 2, 3), LIMIT_COUNT);
	limits_free(limits);
}

/* Who was refused at one limit counts at none. */
static void
test_refused_counts_nowhere(void)
{
	limits = limits_new();
	CU_ASSERT_EQUAL(enter("2001:db8:1:200::1", 9, 9, 1), LIMIT_COUNT);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(enter("2001:db8:1:201::1", 9, 9, 1), LIMIT_SITE);
	CU_ASSERT_EQUAL(limits_count(limits), 1);
	CU_ASSERT_EQUAL(enter("2001:db8:1:201::1", 1, 2, 9), LIMIT_COUNT);
	leave("2001:db8:1:200::1");
	leave("2001:db8:1:201::1");
	CU_ASSERT_EQUAL(limits_count(limits), 0);
	CU_ASSERT_EQUAL(enter("2001:db8:1:2::1", 1, 1, 1), LIMIT_COUNT);
	limits_free(limits);
}

static void
test_loopback_is_one_source(void)
{
	static const char *const others[] = {"127.0.0.2", "127.255.1.1", "::1", "::ffff:127.9.9.9"};

	limits = limits_new();
	CU_ASSERT_EQUAL(enter("127.0.0.1", 1, 9, 9), LIMIT_COUNT);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		CU_ASSERT_EQUAL(enter(others[i], 1, 9, 9), LIMIT_ADDRESS);
	leave("::1");
	CU_ASSERT_EQUAL(enter("127.0.0.2", 1, 9, 9), LIMIT_COUNT);
	limits_free(limits);
}

/* Many sources, that come and go in any order: each has its own count, and none is left over. */
static void
test_many_sources(void)
{
	enum { SOURCES = 1000, STEP = 37 };
	char text[INET_ADDRSTRLEN];

	limits = limits_new();
	for (unsigned i = 0; i < 2 * SOURCES; i++) {
		unsigned n = i * STEP % SOURCES;

		snprintf(text, sizeof(text), "10.0.%u.%u", n >> 8, n & 0xff);
		CU_ASSERT_EQUAL(enter(text, 2, 2 * SOURCES, 1), LIMIT_COUNT);
	}
	CU_ASSERT_EQUAL(enter(text, 2, 2 * SOURCES, 1), LIMIT_ADDRESS);
	leave("192.0.2.1"); /* who never came takes nothing away */
	CU_ASSERT_EQUAL(limits_count(limits), 2 * SOURCES);
	for (unsigned n = 0; n < SOURCES; n++) {
		snprintf(text, sizeof(text), "10.0.%u.%u", n >> 8, n & 0xff);
		leave(text);
		CU_ASSERT_EQUAL(enter(text, 2, 2 * SOURCES, 1), LIMIT_COUNT);
		CU_ASSERT_EQUAL(enter(text, 2, 2 * SOURCES, 1), LIMIT_ADDRESS);
		leave(text);
		leave(text);
	}
	CU_ASSERT_EQUAL(limits_count(limits), 0);
	limits_free(limits);
}

static struct network
network(const char *text, uint8_t bits)
{
	return (struct network){.address = addr(text), .bits = bits};
}

static void
test_trusted(void)
{
	static const struct {
		const char *text;
		bool trusted;
	} table[] = {{"192.0.2.1", true},	 {"192.0.3.1", false},	   {"198.51.100.7", true},
		     {"198.51.100.8", false},	 {"2001:db8:ff::1", true}, {"2001:db9::1", false},
		     {"::ffff:192.0.2.1", true}, {"127.0.0.1", false},	   {"::1", false}};
	const uint32_t one[LIMIT_COUNT] = {1, 1, 1};
	struct conf_networks trusted = {4,
					{{.bits = 0},
					 network("192.0.2.0", 24),
					 network("198.51.100.7", 32),
					 network("2001:db8::", 32)}};
	struct msg_addr a = addr("192.0.2.1");

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct msg_addr peer = addr(table[i].text);

		CU_ASSERT_EQUAL(limits_within(&trusted, &peer), table[i].trusted);
	}
	limits = limits_new();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(limits_enter(limits, &a, one, true), LIMIT_COUNT);
	CU_ASSERT_EQUAL(limits_count(limits), 3);
	CU_ASSERT_EQUAL(enter("192.0.2.2", 1, 1, 1), LIMIT_COUNT); /* they fill nobody's network */
	for (int i = 0; i < 3; i++)
		limits_leave(limits, &a, true);
	CU_ASSERT_EQUAL(limits_count(limits), 1);
	limits_free(limits);
}

static void
test_loopback(void)
{
	static const struct {
		const char *text;
		bool loopback;
	} table[] = {{"127.0.0.1", true},  {"127.255.1.2", true},
		     {"128.0.0.1", false}, {"::1", true},
		     {"::2", false},	   {"::ffff:127.0.0.1", true},
		     {"::", false},	   {"::ffff:192.0.2.1", false}};

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct msg_addr a = addr(table[i].text);

		CU_ASSERT_EQUAL(source_is_loopback(&a), table[i].loopback);
	}
}

static void
test_backoff(void)
{
	struct backoff b = {0, 0};
	uint64_t now = 1000;
	uint32_t last = 0;

	backoff_lost(&b, now);
	CU_ASSERT_EQUAL(b.due, now); /* the first loss is mended at once */
	for (int i = 0; i < 20; i++) {
		now = b.due + 1;
		backoff_lost(&b, now);
		CU_ASSERT(b.delay > 0 && b.delay >= last && b.delay <= 30000);
		CU_ASSERT_EQUAL(b.due, now + b.delay);
		last = b.delay;
	}
	CU_ASSERT_EQUAL(last, 30000);
	now = b.due + 120000;
	backoff_lost(&b, now); /* it ran well: forgotten */
	CU_ASSERT_EQUAL(b.due, now);
}

/* Two that are lost together ask for one delay, not for none. */
static void
test_backoff_of_several(void)
{
	struct backoff b = {0, 0};
	uint64_t now = 1000, due;

	backoff_lost(&b, now);
	backoff_lost(&b, now + 1);
	due = b.due;
	CU_ASSERT_EQUAL(due, now + 1 + 100);
	backoff_lost(&b, now + 2);
	backoff_lost(&b, now + 99);
	CU_ASSERT_EQUAL(b.due, due);
	CU_ASSERT_EQUAL(b.delay, 100);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"CON-11 most connections of an address", test_most_per_address},
	    {"CON-11 networks and sites", test_nested},
	    {"CON-11 who is refused counts nowhere", test_refused_counts_nowhere},
	    {"CON-11 loopback is one source", test_loopback_is_one_source},
	    {"CON-11 trusted networks", test_trusted},
	    {"CON-13 networks that are served", test_barred},
	    {"many sources come and go", test_many_sources},
	    {"USR-03 what is loopback", test_loopback},
	    {"back-off of a role that keeps dying", test_backoff},
	    {"back-off of several that die together", test_backoff_of_several},
	    {NULL, NULL},
	};

	return unit_run("limits", tests);
}
