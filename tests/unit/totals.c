#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/msg.h"
#include "daemon/table/conn.h"
#include "daemon/totals.h"
#include "tests/unit/unit.h"

static const char *more_value = "plain";

static void
more(void *arg, FILE *out, enum total t)
{
	const char *values[] = {more_value, "x"};

	(void)arg;
	totals_sample(out, t, values, 7);
}

/* All that is printed; the caller's. */
static char *
printed(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		abort();
	totals_print(out, more, NULL);
	fclose(out);
	return text;
}

static bool
has(const char *line)
{
	char *text = printed(), whole[300];
	bool found;

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	found = strstr(text, whole) != NULL;
	free(text);
	return found;
}

static void
test_counters(void)
{
	CU_ASSERT(has("pop3d_logins_total{result=\"ok\",mechanism=\"APOP\"} 0"));
	totals_add(TOTAL_LOGINS, LOGIN_OK, MECH_APOP, 2);
	totals_add(TOTAL_LOGINS, LOGIN_OK, MECH_USER, 1);
	totals_add(TOTAL_LOGINS, LOGIN_IN_USE, MECH_USER, 1);
	totals_add(TOTAL_LOGINS, TOTALS_LOGIN_GONE, MECH_PLAIN, 1);
	CU_ASSERT(has("pop3d_logins_total{result=\"ok\",mechanism=\"APOP\"} 2"));
	CU_ASSERT(has("pop3d_logins_total{result=\"in-use\",mechanism=\"USER\"} 1"));
	CU_ASSERT(has("pop3d_logins_total{result=\"gone\",mechanism=\"PLAIN\"} 1"));
	CU_ASSERT_EQUAL(totals_of(TOTAL_LOGINS, LOGIN_OK), 3);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_LOGINS), 5);
}

/* What a process says may be anything. */
static void
test_places_that_are_none(void)
{
	uint64_t before = totals_sum(TOTAL_LOGINS);

	totals_add(TOTAL_LOGINS, 6, MECH_USER, 1);
	totals_add(TOTAL_LOGINS, LOGIN_OK, MECH_COUNT, 1);
	totals_add(TOTAL_LOGINS, UINT32_MAX, UINT32_MAX, 1);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_LOGINS), before);
}

static void
test_names(void)
{
	totals_add_named(TOTAL_REFUSED, "max_connections_per_site");
	totals_add_named(TOTAL_REFUSED, "deny");
	totals_add_named(TOTAL_REFUSED, "deny");
	totals_add_named(TOTAL_REFUSED, "no memory");
	CU_ASSERT(has("pop3d_connections_refused_total{reason=\"max_connections_per_site\"} 1"));
	CU_ASSERT(has("pop3d_connections_refused_total{reason=\"deny\"} 2"));
	CU_ASSERT(has("pop3d_connections_refused_total{reason=\"other\"} 1"));
}

static void
test_histogram(void)
{
	static const uint64_t ms[] = {0, 5, 6, 1000, 60001};

	for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
		totals_time(TOTAL_UPDATE_TIME, ms[i]);
	CU_ASSERT(has("pop3d_update_seconds_bucket{le=\"0.005\"} 2"));
	CU_ASSERT(has("pop3d_update_seconds_bucket{le=\"0.01\"} 3"));
	CU_ASSERT(has("pop3d_update_seconds_bucket{le=\"1\"} 4"));
	CU_ASSERT(has("pop3d_update_seconds_bucket{le=\"60\"} 4"));
	CU_ASSERT(has("pop3d_update_seconds_bucket{le=\"+Inf\"} 5"));
	CU_ASSERT(has("pop3d_update_seconds_sum 61.012"));
	CU_ASSERT(has("pop3d_update_seconds_count 5"));
}

static void
test_gauges(void)
{
	totals_set(TOTAL_CONNECTIONS, CONN_SESSION, 4);
	totals_set(TOTAL_CONNECTIONS, CONN_WAITING, 3);
	CU_ASSERT(has("pop3d_connections{state=\"session\"} 4"));
	CU_ASSERT(has("pop3d_connections{state=\"waiting\"} 3"));
	totals_set(TOTAL_CONNECTIONS, CONN_SESSION + 1, 9);
	CU_ASSERT_EQUAL(totals_sum(TOTAL_CONNECTIONS), 7);
}

/* A path of the configuration may have any octets. */
static void
test_escapes(void)
{
	more_value = "a\"b\\c\nd";
	CU_ASSERT(has("pop3d_certificate_not_after_timestamp_seconds{server=\"a\\\"b\\\\c\\nd\","
		      "certificate=\"x\"} 7"));
	more_value = "plain";
	CU_ASSERT(has("pop3d_server_connections{server=\"plain\"} 7"));
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"counters", test_counters},
	    {"places that are none", test_places_that_are_none},
	    {"names", test_names},
	    {"histogram", test_histogram},
	    {"gauges", test_gauges},
	    {"escapes", test_escapes},
	    {NULL, NULL}};

	return unit_run("totals", tests);
}
