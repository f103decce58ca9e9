#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/ports/refused.h"
#include "daemon/totals.h"
#include "tests/unit/unit.h"

static struct {
	unsigned lines;
	char text[65536];
} out;

static void
put(int prio, conn_id id, const char *text)
{
	size_t n = strlen(out.text);

	CU_ASSERT_EQUAL(prio, LOG_INFO);
	CU_ASSERT_EQUAL(id, 0);
	out.lines++;
	(void)snprintf(out.text + n, sizeof(out.text) - n, "%s\n", text);
}

static bool
yes(void)
{
	return true;
}

static int
none(void)
{
	return -1;
}

static struct refused *
begin(void)
{
	static const struct log_sink sink = {put, yes, none, yes};

	memset(&out, 0, sizeof(out));
	log_to(&sink);
	return refused_new();
}

static void
add(struct refused *r, uint64_t now, const char *server, const char *address, uint16_t port,
    const char *reason)
{
	struct msg_addr a = {.family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET,
			     .port = port};

	CU_ASSERT_EQUAL(inet_pton(a.family, address, a.octets), 1);
	refused_add(r, now, server, &a, reason);
}

/* A hundred thousand in five seconds from one address: two lines. */
static void
test_flood_of_one(void)
{
	struct refused *r = begin();
	uint64_t now = 1000;

	for (unsigned i = 0; i < 100000; i++, now += i % 20 == 0)
		add(r, now, "main", "192.0.2.1", (uint16_t)i, "max_connections");
	CU_ASSERT_STRING_EQUAL(
	    out.text, "refused server=main peer=192.0.2.1:0 reason=max_connections count=1\n");
	refused_tick(r, 10999);
	CU_ASSERT_EQUAL(out.lines, 1);
	refused_tick(r, 11000);
	CU_ASSERT_EQUAL(out.lines, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "reason=max_connections count=99999\n"));
	refused_tick(r, 30000);
	CU_ASSERT_EQUAL(out.lines, 2);
	add(r, 30000, "main", "192.0.2.1", 5, "max_connections"); /* from the beginning */
	CU_ASSERT_EQUAL(out.lines, 3);
	free(r);
}

/* What differs in server, source or reason is told by itself; a network of IPv6 is one source. */
static void
test_told_apart(void)
{
	struct refused *r = begin();

	add(r, 1, "main", "192.0.2.1", 1, "max_connections");
	add(r, 1, "main", "192.0.2.2", 1, "max_connections");
	add(r, 1, "other", "192.0.2.1", 1, "max_connections");
	add(r, 1, "main", "192.0.2.1", 1, "max_connections_per_address");
	add(r, 1, "main", "2001:db8::1", 1, "max_connections");
	CU_ASSERT_EQUAL(out.lines, 5);
	add(r, 1, "main", "2001:db8::2", 1, "max_connections");
	add(r, 2, "main", "192.0.2.2", 2, "max_connections");
	CU_ASSERT_EQUAL(out.lines, 5);
	refused_tick(r, UINT64_MAX);
	CU_ASSERT_EQUAL(out.lines, 7);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(out.text, "peer=192.0.2.2:2 reason=max_connections count=1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "peer=[2001:db8::2]:1 "));
	free(r);
}

/* From any number of sources: no more lines than there are rows. */
static void
test_flood_of_many(void)
{
	struct refused *r = begin();
	uint64_t counted = totals_sum(TOTAL_REFUSED);
	char address[32];

	for (unsigned i = 0; i < 10000; i++) {
		(void)snprintf(address, sizeof(address), "10.0.%u.%u", i / 256, i % 256);
		add(r, 1 + i / 10, "main", address, 1, "max_connections");
	}
	CU_ASSERT_EQUAL(out.lines, 64);
	refused_tick(r, 20000);
	CU_ASSERT_EQUAL(out.lines, 65);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(out.text, "reason=max_connections count=9936 sources=many\n"));
	add(r, 20001, "main", "10.0.0.1", 1, "max_connections"); /* there is room again */
	CU_ASSERT_EQUAL(out.lines, 66);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_REFUSED) - counted, 10001);
	free(r);
}

int
main(void)
{
	static const struct unit_test tests[] = {{"a flood from one source", test_flood_of_one},
						 {"told apart", test_told_apart},
						 {"a flood from many sources", test_flood_of_many},
						 {NULL, NULL}};

	return unit_run("refused", tests);
}
