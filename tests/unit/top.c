/* daemon/ctl/top_table.c, top_layout.c, top_head.c */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/top_head.h"
#include "daemon/ctl/top_layout.h"
#include "daemon/ctl/top_table.h"
#include "tests/unit/unit.h"

#define HEAD                                                                                       \
	"id\tserver\tuser\tpeer\tstate\tmessages\tretrieved\toctets\tof\trate\tdeleted\twaiting\t" \
	"command\tseconds\tidle\tleft\n"

static const char table_text[] =
    HEAD "1\tpop3\tanna\t192.0.2.1\ttrans\t3\t1\t1000\t3000\t9\t0\tclient\tRETR\t10.5\t4\t596\n"
	 "2\tpop3s\tBob\t2001:db8::1\ttrans\t30\t0\t0\tunknown\t0\t2\tlock\tSTAT\t5.0\t0\t600\n"
	 "a\tpop3\t-\t192.0.2.9\tauth\t0\t0\t0\t0\t0\t0\t-\t-\t1.0\t-\t-\n"
	 "b\tpop3\tanna\t192.0.2.2\ttrans\t3\t1\t500\t3000\t9\t0\tclient\tRETR\t700.1\t70\t530\n";

static struct top_table
table_of(const char *text, uint64_t ms, const struct top_table *before)
{
	static const struct top_table none;
	struct top_table t;

	CU_ASSERT_EQUAL_FATAL(top_table_make(&t, strdup(text), ms, before != NULL ? before : &none),
			      0);
	return t;
}

/* The ids in the order in which they are shown. */
static const char *
shown(const struct top_table *t, const char *filter, enum top_fact by, bool falling)
{
	static char ids[64];
	const struct top_row *rows[16];
	size_t n = top_table_order(t, filter, by, falling, rows);

	ids[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strcat(ids, rows[i]->text[TOP_ID]);
	return ids;
}

static void
test_order(void)
{
	struct top_table t = table_of(table_text, 1000, NULL);

	CU_ASSERT_EQUAL(t.n, 4);
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_USER, false), "1b2a"); /* before login is last */
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_USER, true), "21ba");	/* either way */
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_SENT, true), "1b2a");	/* and among equals */
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_SENT, false), "2ab1");
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_IDLE, true), "b12a");	/* unknown is last */
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_IDLE, false), "21ba"); /* either way */
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_AGE, true), "b12a");
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_MAILBOX, true), "1ba2");
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_RATE, true), "1b2a"); /* none is known */
	top_table_free(&t);
}

static void
test_filter(void)
{
	struct top_table t = table_of(table_text, 1000, NULL);

	CU_ASSERT_STRING_EQUAL(shown(&t, "ANNA", TOP_ID, false), "1b");
	CU_ASSERT_STRING_EQUAL(shown(&t, "2001:db8", TOP_ID, false), "2");
	CU_ASSERT_STRING_EQUAL(shown(&t, "pop3s", TOP_ID, false), "2");
	CU_ASSERT_STRING_EQUAL(shown(&t, "auth", TOP_ID, false), "a");
	CU_ASSERT_STRING_EQUAL(shown(&t, "lock", TOP_ID, false), "2");
	CU_ASSERT_STRING_EQUAL(shown(&t, "nobody", TOP_ID, false), "");
	CU_ASSERT_STRING_EQUAL(shown(&t, "596", TOP_ID, false), ""); /* no number is looked at */
	top_table_free(&t);
}

static void
test_rate(void)
{
	struct top_rate r = {0};

	CU_ASSERT(isnan(top_rate_of(&r)));
	top_rate_add(&r, 1000, 100);
	CU_ASSERT(isnan(top_rate_of(&r)));
	top_rate_add(&r, 3000, 500);
	CU_ASSERT_EQUAL(top_rate_of(&r), 200);
	for (unsigned i = 1; i <= TOP_SAMPLES; i++)
		top_rate_add(&r, 3000 + 1000 * i, 500);
	CU_ASSERT_EQUAL(top_rate_of(&r), 0); /* what was before is forgotten */
	CU_ASSERT_EQUAL(r.n, TOP_SAMPLES);
	top_rate_add(&r, 20000, 3); /* another process counts now */
	CU_ASSERT(isnan(top_rate_of(&r)));
	top_rate_add(&r, 21000, 13);
	CU_ASSERT_EQUAL(top_rate_of(&r), 10);
}

static void
test_rates_follow_the_session(void)
{
	static const char later[] =
	    HEAD "2\tpop3s\tBob\t2001:db8::1\ttrans\t30\t0\t4000\t0\t0\t0\t-\tRETR\t6\t0\t600\n"
		 "b\tpop3\tanna\t192.0.2.2\ttrans\t3\t1\t500\t3000\t9\t0\t-\tRETR\t701\t71\t529\n"
		 "c\tpop3\tnew\t192.0.2.2\ttrans\t3\t1\t7000\t0\t9\t0\t-\tRETR\t1\t0\t600\n";
	struct top_table before = table_of(table_text, 1000, NULL);
	struct top_table t = table_of(later, 3000, &before);

	top_table_free(&before);
	CU_ASSERT_EQUAL(top_table_find(&t, "2")->number[TOP_RATE], 2000);
	CU_ASSERT_EQUAL(top_table_find(&t, "b")->number[TOP_RATE], 0);
	CU_ASSERT(isnan(top_table_find(&t, "c")->number[TOP_RATE]));
	CU_ASSERT_PTR_NULL(top_table_find(&t, "1"));
	CU_ASSERT_EQUAL(top_table_rate(&t), 2000);
	CU_ASSERT_STRING_EQUAL(shown(&t, "", TOP_RATE, true), "2bc");
	top_table_free(&t);
}

/* A daemon of another version, and rows that are no rows. */
static void
test_odd_answers(void)
{
	static const char *const texts[] = {
	    "",		"\n",
	    "id\n1\n",	"user\tid\nx\ty\tz\n\t\n",
	    HEAD "1\n", HEAD "1\tx\ty\tz\tq\t-1\tnan\tinf\t1e300\t\t\t\t\t\t0x\t9\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct top_table t = table_of(texts[i], 1000, NULL);

		for (size_t j = 0; j < t.n; j++)
			for (size_t f = 0; f < TOP_FACTS; f++) {
				CU_ASSERT_PTR_NOT_NULL(t.rows[j].text[f]);
				CU_ASSERT(isnan(t.rows[j].number[f]) || t.rows[j].number[f] < 1e18);
			}
		(void)shown(&t, "", TOP_IDLE, true);
		top_table_free(&t);
	}
}

/* Each width has whole columns that fit, the most important ones, and leaves no room unused that a
 * text would need. */
static void
test_layout(void)
{
	struct top_table t = table_of(table_text, 1000, NULL);
	const struct top_row *rows[4];
	size_t n = top_table_order(&t, "", TOP_USER, false, rows);
	struct top_layout l;
	size_t before = 0;

	for (size_t width = 1; width <= 300; width++) {
		size_t used = 0;

		top_layout_make(&l, width, rows, n);
		for (size_t i = 0; i < l.n; i++) {
			CU_ASSERT_EQUAL(l.column[i].fact, i);
			used += l.column[i].width + (i > 0);
		}
		CU_ASSERT(used <= width);
		CU_ASSERT(l.n >= before && l.n >= 1);
		before = l.n;
	}
	CU_ASSERT_EQUAL(l.n, TOP_FACTS);
	top_layout_make(&l, 40, rows, n);
	CU_ASSERT_EQUAL(l.n, TOP_STATE + 1);
	top_layout_make(&l, 80, rows, n);
	CU_ASSERT_EQUAL(l.n, TOP_COMMAND + 1);
	top_table_free(&t);
}

static void
test_long_text_takes_what_is_left(void)
{
	static const char text[] = HEAD
	    "1\tpop3\ta-name-of-twenty-oct\t2001:db8:1111:2222:3333:4444:5555:6666\ttrans\t3\t1\t"
	    "1000\t3000\t9\t0\tclient\tRETR\t10.5\t4\t596\n";
	struct top_table t = table_of(text, 1000, NULL);
	const struct top_row *row = &t.rows[0];
	struct top_layout l;
	char cell[TOP_WIDTH_MAX + 1];

	top_layout_make(&l, 250, &row, 1);
	CU_ASSERT_EQUAL(l.n, TOP_FACTS);
	CU_ASSERT_EQUAL(l.column[TOP_USER].width, 20);
	CU_ASSERT_EQUAL(l.column[TOP_FROM].width, 38);
	CU_ASSERT_EQUAL(l.column[TOP_RATE].width, 6);
	top_layout_make(&l, 80, &row, 1); /* whole names before further columns */
	CU_ASSERT_EQUAL(l.n, TOP_SENT + 1);
	CU_ASSERT_EQUAL(l.column[TOP_USER].width, 20);
	top_layout_make(&l, 40, &row, 1);
	top_cell(cell, &l, TOP_USER, row);
	CU_ASSERT_STRING_EQUAL(cell, "a-name-of+");
	top_cell(cell, &l, TOP_FROM, row);
	CU_ASSERT_STRING_EQUAL(cell, "2001:db8:1111:+");
	top_layout_make(&l, 80, &row, 1);
	top_cell(cell, &l, TOP_SENT, row);
	CU_ASSERT_STRING_EQUAL(cell, " 1000");
	top_table_free(&t);
}

static void
test_fit(void)
{
	static const struct {
		size_t width;
		const char *text, *fitted;
	} table[] = {
	    {5, "ab", "ab   "},	  {5, "abcde", "abcde"}, {5, "abcdef", "abcd+"},
	    {0, "abc", ""},	  {1, "abc", "+"},	 {8, "\033[2J", "\\x1b[2J "},
	    {4, "\033", "\\x1b"}, {4, "\033x", "+   "},	 {6, "x\303\244\303\244", "x\\xc3+"},
	    {3, "\tx", "+  "},
	};
	char dst[16];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		top_fit(dst, table[i].width, table[i].text);
		CU_ASSERT_STRING_EQUAL(dst, table[i].fitted);
	}
}

static void
test_numbers(void)
{
	static const struct {
		double number;
		const char *octets, *seconds;
	} table[] = {
	    {0, "0", "0s"},
	    {59, "59", "59s"},
	    {60, "60", "1m00s"},
	    {599, "599", "9m59s"},
	    {600, "600", "10m"},
	    {3599, "3599", "59m"},
	    {3600, "3600", "1h00"},
	    {9999, "9999", "2h46"},
	    {10000, "10.0k", "2h46"},
	    {99960, "100k", "1d03h"},
	    {999499, "999k", "11d"},
	    {999500, "1.0M", "11d"},
	    {86399, "86.4k", "23h59"},
	    {863999, "864k", "9d23h"},
	    {864000, "864k", "10d"},
	    {123456789012.0, "123G", "1428898d"},
	    {1e18, "1.0E", NULL},
	};
	char dst[TOP_NUMBER_SIZE];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CU_ASSERT_STRING_EQUAL(top_octets(dst, table[i].number), table[i].octets);
		if (table[i].seconds != NULL)
			CU_ASSERT_STRING_EQUAL(top_seconds(dst, table[i].number), table[i].seconds);
	}
	CU_ASSERT_STRING_EQUAL(top_octets(dst, NAN), "-");
	CU_ASSERT_STRING_EQUAL(top_seconds(dst, NAN), "-");
}

static void
test_flow(void)
{
	char lines[3][TOP_WIDTH_MAX + 1];

	CU_ASSERT_EQUAL(top_flow(lines, 3, 10, ""), 0);
	CU_ASSERT_EQUAL(top_flow(lines, 3, 10, "abc\ndefg\nx y\nlonger than that\n"), 3);
	CU_ASSERT_STRING_EQUAL(lines[0], "abc  defg");
	CU_ASSERT_STRING_EQUAL(lines[1], "x y");
	CU_ASSERT_STRING_EQUAL(lines[2], "longer th+");
	CU_ASSERT_EQUAL(top_flow(lines, 1, 10, "abc\ndefgxyz\n"), 1);
	CU_ASSERT_STRING_EQUAL(lines[0], "abc");
}

static void
test_height(void)
{
	struct top_height h;

	for (size_t height = 1; height < 100; height++) {
		top_height_share(&h, height, 4, 4);
		CU_ASSERT(h.rows >= 1);
		CU_ASSERT_EQUAL(h.head + h.warnings + h.titles + h.rows + h.foot, height);
		CU_ASSERT(h.head + h.warnings <= h.rows);
	}
	CU_ASSERT_EQUAL(h.head, 4);
	CU_ASSERT_EQUAL(h.warnings, 4);
	top_height_share(&h, 12, 3, 0);
	CU_ASSERT_EQUAL(h.rows, 7);
}

static void
test_scroll(void)
{
	CU_ASSERT_EQUAL(top_scroll(0, 0, 0, 10), 0);
	CU_ASSERT_EQUAL(top_scroll(0, 9, 20, 10), 0);
	CU_ASSERT_EQUAL(top_scroll(0, 10, 20, 10), 1);
	CU_ASSERT_EQUAL(top_scroll(8, 3, 20, 10), 3);
	CU_ASSERT_EQUAL(top_scroll(15, 16, 20, 10), 10); /* after a resize no line stays empty */
	CU_ASSERT_EQUAL(top_scroll(5, 2, 3, 10), 0);
}

/* What the head and its warnings say of a status. */
static char *
said(const char *status, bool warnings)
{
	struct top_logins logins = {0};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	top_logins_add(&logins, "logins\t1\nlogins_failed\t0\n", 1000);
	top_logins_add(&logins, status, 3000);
	if (warnings)
		top_head_warnings(out, status, 1767225600); /* 2026-01-01 */
	else
		top_head_words(out, status, "mail", &logins, 5e6);
	fclose(out);
	return text;
}

static void
test_head(void)
{
	char *text =
	    said("version\t1.2.3\nstate\tserving\nuptime\t3700\nsessions\t7\nundecided\t2\n"
		 "logins\t4\nlogins_failed\t1\nworker 1\tpid=1\nworker 2\tpid=2\n",
		 false);

	CU_ASSERT_STRING_EQUAL(text, "mail\npop3d 1.2.3\nup 1h01\nsessions 7\nbefore login 2\n"
				     "1.5 logins/s\n0.5 failed/s\nsends 5.0M/s\nworkers 2\n");
	free(text);
	free(said("", false));
}

static void
test_warnings(void)
{
	static const char *const none[] = {
	    "", "state\tserving\nsession_crashes\t0\nsandbox_lacks\tnothing\n"
		"certificate /c\texpires=2026-02-01T00:00:00Z\ncertificate /d\texpires=unknown\n"};
	char *text = said("state\tstopping\ncertificate /a\texpires=2025-12-31T00:00:00Z\n"
			  "certificate /b\texpires=2026-01-04T12:00:00Z\nsession_crashes\t2\n"
			  "log_lines_lost\t5\nsandbox_lacks\tLandlock\n",
			  true);

	CU_ASSERT_STRING_EQUAL(text, "pop3d is stopping\ncertificate has expired: /a\n"
				     "certificate expires in 3 days: /b\nsessions crashed: 2\n"
				     "lines of the log lost: 5\nthe sandbox lacks Landlock\n");
	free(text);
	for (size_t i = 0; i < 2; i++) {
		text = said(none[i], true);
		CU_ASSERT_STRING_EQUAL(text, "");
		free(text);
	}
}

static const struct unit_test tests[] = {
    {"order by a fact, unknown at the end", test_order},
    {"rows with a text", test_filter},
    {"rate over the last samples", test_rate},
    {"rates follow the session", test_rates_follow_the_session},
    {"answers of other daemons", test_odd_answers},
    {"columns for each width", test_layout},
    {"long text", test_long_text_takes_what_is_left},
    {"text in a width", test_fit},
    {"numbers in five places", test_numbers},
    {"words in lines", test_flow},
    {"lines for each height", test_height},
    {"scrolling", test_scroll},
    {"head", test_head},
    {"warnings", test_warnings},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("top", tests);
}
