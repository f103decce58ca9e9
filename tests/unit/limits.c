#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

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

static void
test_most_per_address(void)
{
	struct limits *l = limits_new();
	struct msg_addr a = addr("192.0.2.1"), b = addr("192.0.2.2");

	a.port = 1000;
	CU_ASSERT_EQUAL(limits_enter(l, &a, 2), 0);
	a.port = 1001;
	CU_ASSERT_EQUAL(limits_enter(l, &a, 2), 0);
	CU_ASSERT_EQUAL(limits_enter(l, &a, 2), -1);
	CU_ASSERT_EQUAL(errno, EUSERS);
	CU_ASSERT_EQUAL(limits_enter(l, &b, 2), 0);
	limits_leave(l, &a);
	CU_ASSERT_EQUAL(limits_enter(l, &a, 2), 0);
	CU_ASSERT_EQUAL(limits_enter(l, &a, 2), -1);
	limits_free(l);
}

static void
test_ipv6_counts_by_network(void)
{
	struct limits *l = limits_new();
	struct msg_addr a = addr("2001:db8:1:2::1"), b = addr("2001:db8:1:2:ffff::9"),
			c = addr("2001:db8:1:3::1");

	CU_ASSERT_EQUAL(limits_enter(l, &a, 1), 0);
	CU_ASSERT_EQUAL(limits_enter(l, &b, 1), -1);
	CU_ASSERT_EQUAL(limits_enter(l, &c, 1), 0);
	/* IPv4 in IPv6 is told apart by all of its octets. */
	a = addr("::ffff:192.0.2.1");
	b = addr("::ffff:192.0.2.2");
	CU_ASSERT_EQUAL(limits_enter(l, &a, 1), 0);
	CU_ASSERT_EQUAL(limits_enter(l, &b, 1), 0);
	limits_free(l);
}

/* Many sources, that come and go in any order: each has its own count, and none is left over. */
static void
test_many_sources(void)
{
	enum { SOURCES = 1000, STEP = 37 };
	struct limits *l = limits_new();
	struct msg_addr a = addr("10.0.0.0"), none = addr("192.0.2.1");

	for (unsigned i = 0; i < 2 * SOURCES; i++) {
		unsigned n = i * STEP % SOURCES;

		a.octets[2] = (uint8_t)(n >> 8);
		a.octets[3] = (uint8_t)n;
		CU_ASSERT_EQUAL(limits_enter(l, &a, 2), 0);
	}
	CU_ASSERT_EQUAL(limits_enter(l, &a, 2), -1);
	limits_leave(l, &none); /* who never came takes nothing away */
	CU_ASSERT_EQUAL(limits_count(l), 2 * SOURCES);
	for (unsigned n = 0; n < SOURCES; n++) {
		a.octets[2] = (uint8_t)(n >> 8);
		a.octets[3] = (uint8_t)n;
		limits_leave(l, &a);
		CU_ASSERT_EQUAL(limits_enter(l, &a, 2), 0);
		CU_ASSERT_EQUAL(limits_enter(l, &a, 2), -1);
		limits_leave(l, &a);
		limits_leave(l, &a);
	}
	CU_ASSERT_EQUAL(limits_count(l), 0);
	CU_ASSERT_EQUAL(limits_enter(l, &a, 0), -1);
	limits_free(l);
}

static void
test_loopback(void)
{
	static const struct {
		const char *text;
		int loopback;
	} table[] = {{"127.0.0.1", 1}, {"127.255.1.2", 1},	{"128.0.0.1", 0},	 {"::1", 1},
		     {"::2", 0},       {"::ffff:127.0.0.1", 1}, {"::ffff:192.0.2.1", 0}, {"::", 0}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct msg_addr a = addr(table[i].text);

		CU_ASSERT_EQUAL(limits_is_loopback(&a), table[i].loopback);
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
	    {"CON-11 IPv6 counts by /64", test_ipv6_counts_by_network},
	    {"many sources come and go", test_many_sources},
	    {"USR-03 what is loopback", test_loopback},
	    {"back-off of a role that keeps dying", test_backoff},
	    {"back-off of several that die together", test_backoff_of_several},
	    {NULL, NULL},
	};

	return unit_run("limits", tests);
}
