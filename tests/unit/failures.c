/* daemon/auth/failures.c, daemon/auth/source.c */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "daemon/auth/failures.h"
#include "common/source.h"
#include "tests/unit/unit.h"

static uint32_t
count(struct failures *f, const char *key, uint64_t now)
{
	return failures_count(f, key, strlen(key), now, NULL);
}

static void
add(struct failures *f, const char *key, uint64_t now)
{
	failures_add(f, key, strlen(key), now, false);
}

static void
test_counts(void)
{
	struct failures *f = failures_new(10);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	failures_set_window(f, 300);
	CU_ASSERT_EQUAL(count(f, "alice", 1000), 0);
	add(f, "alice", 1000);
	add(f, "alice", 1001);
	add(f, "bob", 1001);
	CU_ASSERT_EQUAL(count(f, "alice", 1002), 2);
	CU_ASSERT_EQUAL(count(f, "bob", 1002), 1);
	CU_ASSERT_EQUAL(count(f, "alic", 1002), 0);
	CU_ASSERT_EQUAL(count(f, "alicea", 1002), 0);
	failures_clear(f, "alice", 5);
	failures_clear(f, "nobody", 6);
	CU_ASSERT_EQUAL(count(f, "alice", 1002), 0);
	CU_ASSERT_EQUAL(failures_size(f), 1);
	failures_free(f);
	failures_free(NULL);
}

static void
test_window(void)
{
	struct failures *f = failures_new(10);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	failures_set_window(f, 300);
	add(f, "alice", 1000);
	add(f, "alice", 1299);
	CU_ASSERT_EQUAL(count(f, "alice", 1299), 2);
	/* counted from the first failure on, not from the last */
	CU_ASSERT_EQUAL(count(f, "alice", 1300), 0);
	add(f, "alice", 1300);
	CU_ASSERT_EQUAL(count(f, "alice", 1300), 1);
	/* a new window holds for what stands */
	failures_set_window(f, 10);
	CU_ASSERT_EQUAL(count(f, "alice", 1309), 1);
	CU_ASSERT_EQUAL(count(f, "alice", 1310), 0);
	failures_free(f);
}

static void
test_known(void)
{
	struct failures *f = failures_new(10);
	bool known = true;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	failures_set_window(f, 300);
	failures_count(f, "alice", 5, 1, &known);
	CU_ASSERT_FALSE(known);
	failures_add(f, "alice", 5, 1, true);
	failures_count(f, "alice", 5, 1, &known);
	CU_ASSERT_TRUE(known);
	failures_add(f, "alice", 5, 2, false);
	failures_count(f, "alice", 5, 2, &known);
	CU_ASSERT_FALSE(known);
	failures_free(f);
}

/* Full: the key that failed longest ago makes room, whoever came first. */
static void
test_cap(void)
{
	struct failures *f = failures_new(3);
	char key[16];

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	failures_set_window(f, 1000000);
	add(f, "a", 1);
	add(f, "b", 2);
	add(f, "c", 3);
	add(f, "a", 4);
	add(f, "d", 5);
	CU_ASSERT_EQUAL(failures_size(f), 3);
	CU_ASSERT_EQUAL(count(f, "a", 6), 2);
	CU_ASSERT_EQUAL(count(f, "b", 6), 0);
	CU_ASSERT_EQUAL(count(f, "c", 6), 1);
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add(f, key, 7);
	}
	CU_ASSERT_EQUAL(failures_size(f), 3);
	CU_ASSERT_EQUAL(count(f, "k99999", 8), 1);
	CU_ASSERT_EQUAL(count(f, "a", 8), 0);
	failures_free(f);
}

static struct source
source_of(int family, const char *text)
{
	struct msg_addr a = {.family = (uint16_t)family, .port = 1};
	struct source s;

	CU_ASSERT_EQUAL(inet_pton(family, text, a.octets), 1);
	source_set(&s, &a);
	return s;
}

static bool
same(struct source a, struct source b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static void
test_sources(void)
{
	CU_ASSERT_TRUE(same(source_of(AF_INET, "192.0.2.1"), source_of(AF_INET, "192.0.2.1")));
	CU_ASSERT_FALSE(same(source_of(AF_INET, "192.0.2.1"), source_of(AF_INET, "192.0.2.2")));
	CU_ASSERT_TRUE(
	    same(source_of(AF_INET6, "2001:db8::1"), source_of(AF_INET6, "2001:db8::ffff:1:2:3")));
	CU_ASSERT_FALSE(
	    same(source_of(AF_INET6, "2001:db8::1"), source_of(AF_INET6, "2001:db8:0:1::1")));
	CU_ASSERT_TRUE(
	    same(source_of(AF_INET6, "::ffff:192.0.2.1"), source_of(AF_INET, "192.0.2.1")));
	CU_ASSERT_FALSE(same(source_of(AF_INET6, "::ffff:192.0.2.1"), source_of(AF_INET6, "::1")));
}

static const struct unit_test tests[] = {
    {"failures are counted by key", test_counts},  {"a count ends with its window", test_window},
    {"a key may be known to exist", test_known},   {"the table is capped", test_cap},
    {"addresses and their sources", test_sources}, {NULL, NULL},
};

int
main(void)
{
	return unit_run("failures", tests);
}
