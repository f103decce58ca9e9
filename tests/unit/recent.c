/* daemon/log/recent.c */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "common/log.h"
#include "daemon/log/foreign.h"
#include "daemon/log/recent.h"
#include "tests/unit/unit.h"

static size_t put_count;

static void
sink_put(int prio, conn_id id, const char *text)
{
	(void)prio, (void)id, (void)text;
	put_count++;
}

static bool
sink_never(void)
{
	return false;
}

static int
sink_nowhere(void)
{
	return -1;
}

/* A log daemon that has gone. */
static const struct log_sink gone = {sink_put, sink_never, sink_nowhere, sink_never};

static void
begin(void)
{
	put_count = 0;
	recent_clear();
	recent_open();
	log_to(&gone);
	log_set_level(LOG_INFO);
}

static void
end(void)
{
	log_also(NULL);
	recent_clear();
	log_to_stderr();
	CU_ASSERT_PTR_NULL(recent_line(0));
}

static void
test_what_is_kept(void)
{
	time_t before = time(NULL);
	const struct recent *r;

	begin();
	CU_ASSERT_PTR_NULL(recent_line(0));
	log_error(0, "disk\tfull\n\xff");
	log_warn(0xab, "odd");
	log_info(0, "fine");
	log_debug(0, "not wanted");
	CU_ASSERT_EQUAL(put_count, 3);
	r = recent_line(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(r->text, "odd conn=ab");
	CU_ASSERT_EQUAL(r->prio, LOG_WARNING);
	CU_ASSERT_EQUAL(r->role, ROLE_MASTER);
	CU_ASSERT_EQUAL(r->count, 1);
	CU_ASSERT_TRUE(r->time >= before && r->time <= time(NULL));
	r = recent_line(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(r->text, "disk\\x09full\\x0a\\xff");
	CU_ASSERT_EQUAL(r->prio, LOG_ERR);
	CU_ASSERT_PTR_NULL(recent_line(2));
	end();
}

static void
test_roles(void)
{
	static const struct {
		const char *line;
		enum role role;
		const char *text;
	} rows[] = {
	    {"role=session pid=7 mbox: damaged", ROLE_SESSION, "pid=7 mbox: damaged"},
	    {"role=auth-child pid=7 gone", ROLE_AUTH_CHILD, "pid=7 gone"},
	    {"role=auth pid=7 gone", ROLE_AUTH, "pid=7 gone"},
	    {"role=nobody pid=7", ROLE_MASTER, "role=nobody pid=7"},
	    {"role=session", ROLE_MASTER, "role=session"},
	    {"a role=session b", ROLE_MASTER, "a role=session b"},
	    {"", ROLE_MASTER, ""},
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		log_put(LOG_ERR, 0, rows[i].line);
		CU_ASSERT_EQUAL(recent_line(0)->role, rows[i].role);
		CU_ASSERT_STRING_EQUAL(recent_line(0)->text, rows[i].text);
	}
	end();
}

/* What another process writes cannot name another role. */
static void
test_foreign(void)
{
	struct msg_log line = {.prio = LOG_EMERG};

	begin();
	(void)snprintf(line.text, sizeof(line.text), "role=master pid=1 all is lost");
	log_foreign(ROLE_SESSION, 12, &line);
	CU_ASSERT_EQUAL(recent_line(0)->role, ROLE_SESSION);
	CU_ASSERT_EQUAL(recent_line(0)->prio, LOG_ERR);
	CU_ASSERT_STRING_EQUAL(recent_line(0)->text,
			       "pid=12 role\\x3dmaster pid\\x3d1 all is lost");
	end();
}

static void
test_equal_lines(void)
{
	begin();
	for (int i = 0; i < 3; i++)
		log_error(0, "again");
	CU_ASSERT_EQUAL(recent_line(0)->count, 3);
	CU_ASSERT_PTR_NULL(recent_line(1));
	log_warn(0, "again"); /* of another priority */
	log_put(LOG_WARNING, 0, "role=key again");
	log_error(0, "again");
	CU_ASSERT_EQUAL(recent_line(0)->count, 1);
	CU_ASSERT_EQUAL(recent_line(3)->count, 3);
	CU_ASSERT_PTR_NULL(recent_line(4));
	end();
}

static void
test_full(void)
{
	char text[32];

	begin();
	for (int i = 0; i < RECENT_MAX + 10; i++)
		log_error(0, "line %d", i);
	for (int back = 0; back < RECENT_MAX; back++) {
		(void)snprintf(text, sizeof(text), "line %d", RECENT_MAX + 9 - back);
		CU_ASSERT_STRING_EQUAL(recent_line((size_t)back)->text, text);
	}
	CU_ASSERT_PTR_NULL(recent_line(RECENT_MAX));
	end();
}

static const struct unit_test tests[] = {
    {"what is kept", test_what_is_kept},
    {"whose line it is", test_roles},
    {"lines of other processes", test_foreign},
    {"equal lines in a row", test_equal_lines},
    {"the oldest go", test_full},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("recent", tests);
}
