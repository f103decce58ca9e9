/* common/failures.c, common/source.c */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/failures.h"
#include "common/source.h"
#include "daemon/dispatch/pace.h"
#include "tests/unit/unit.h"

static struct failure_key
key_of(const char *name)
{
	struct failure_key key = {{0}};

	memcpy(key.octets, name, strlen(name));
	return key;
}

static uint32_t
count(struct failures *f, const char *name, uint64_t now)
{
	struct failure_key key = key_of(name);

	return failures_count(f, FAILURE_USER, &key, now, NULL);
}

static bool
known(struct failures *f, const char *name, uint64_t now)
{
	struct failure_key key = key_of(name);
	bool known;

	failures_count(f, FAILURE_USER, &key, now, &known);
	return known;
}

static void
add_known(struct failures *f, const char *name, uint64_t now, bool known)
{
	struct failure_key key = key_of(name);

	failures_add(f, FAILURE_USER, &key, now, known);
}

static void
add(struct failures *f, const char *name, uint64_t now)
{
	add_known(f, name, now, false);
}

static void
clear(struct failures *f, const char *name)
{
	struct failure_key key = key_of(name);

	failures_clear(f, FAILURE_USER, &key);
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
	clear(f, "alice");
	clear(f, "nobody");
	CU_ASSERT_EQUAL(count(f, "alice", 1002), 0);
	CU_ASSERT_EQUAL(count(f, "bob", 1002), 1);
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

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	failures_set_window(f, 300);
	CU_ASSERT_FALSE(known(f, "alice", 1));
	add_known(f, "alice", 1, true);
	CU_ASSERT_TRUE(known(f, "alice", 1));
	add_known(f, "alice", 2, false);
	CU_ASSERT_FALSE(known(f, "alice", 2));
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
	CU_ASSERT_EQUAL(count(f, "a", 6), 2);
	CU_ASSERT_EQUAL(count(f, "b", 6), 0);
	CU_ASSERT_EQUAL(count(f, "c", 6), 1);
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add(f, key, 7);
	}
	CU_ASSERT_EQUAL(count(f, "k99999", 8), 1);
	CU_ASSERT_EQUAL(count(f, "a", 8), 0);
	failures_free(f);
}

/* Pass what has changed to the other; how many messages that took. */
static unsigned
pass_on(struct failures *from, struct failures *to)
{
	static struct msg_failures m;
	unsigned messages = 0;

	for (; failures_take(from, &m) > 0; messages++)
		for (uint32_t i = 0; i < m.count; i++)
			failures_put(to, &m.rows[i]);
	return messages;
}

/* From a helper to master and from there to the next helper. */
static void
test_passed_on(void)
{
	struct failures *f = failures_new(1000), *kept = failures_new(1000),
			*next = failures_new(2);
	char key[16];

	failures_set_window(f, 300);
	failures_set_window(next, 300);
	for (int i = 0; i < 450; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add_known(f, key, 7, true);
		add_known(f, key, 8, true);
	}
	CU_ASSERT_EQUAL(pass_on(f, kept), 3);
	CU_ASSERT_EQUAL(pass_on(f, kept), 0);
	CU_ASSERT_EQUAL(pass_on(kept, next), 0);
	clear(f, "k449");
	CU_ASSERT_EQUAL(pass_on(f, kept), 1);
	failures_mark(kept);
	CU_ASSERT_EQUAL(pass_on(kept, next), 3);
	CU_ASSERT_EQUAL(count(next, "k449", 8), 0);
	/* where there is less room the most recent ones stay */
	CU_ASSERT_EQUAL(count(next, "k448", 8), 2);
	CU_ASSERT_TRUE(known(next, "k448", 8));
	CU_ASSERT_EQUAL(count(next, "k447", 8), 2);
	CU_ASSERT_EQUAL(count(next, "k446", 8), 0);
	CU_ASSERT_EQUAL(count(next, "k448", 306), 2);
	CU_ASSERT_EQUAL(count(next, "k448", 307), 0);
	failures_free(f);
	failures_free(kept);
	failures_free(next);
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
	CU_ASSERT_TRUE(same(source_of(AF_INET, "127.9.9.9"), source_of(AF_INET6, "::1")));
}

/* Few failures slow nobody, and none slow for longer than the setting says. */
static void
test_pace(void)
{
	CU_ASSERT_EQUAL(pace_delay(0, 5000), 0);
	CU_ASSERT_EQUAL(pace_delay(10, 5000), 0);
	CU_ASSERT_EQUAL(pace_delay(11, 5000), 250);
	CU_ASSERT_EQUAL(pace_delay(30, 5000), 5000);
	CU_ASSERT_EQUAL(pace_delay(UINT32_MAX, 5000), 5000);
	CU_ASSERT_EQUAL(pace_delay(UINT32_MAX, 0), 0);
}

static const struct unit_test tests[] = {
    {"failures are counted by key", test_counts}, {"a count ends with its window", test_window},
    {"a key may be known to exist", test_known},  {"the table is capped", test_cap},
    {"counts are passed on", test_passed_on},	  {"addresses and their sources", test_sources},
    {"CON-11 an account is slowed", test_pace},	  {NULL, NULL},
};

int
main(void)
{
	return unit_run("failures", tests);
}
