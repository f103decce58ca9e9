#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/job.h"
#include "tests/unit/unit.h"

/* What is shown of a job's stream; events as letters: T and E ends of lines, A ask, = end, !
 * broken. */
static char shown[4096];

static int
show(const char *octets, size_t len)
{
	static const char letters[] = {[JOB_OCTET_TEXT_END] = 'T',
				       [JOB_OCTET_ERROR_END] = 'E',
				       [JOB_OCTET_ASK] = 'A',
				       [JOB_OCTET_END] = '=',
				       [JOB_OCTET_BROKEN] = '!'};
	FILE *out = fmemopen(shown, sizeof(shown), "w");
	struct job_reader r = {0};
	enum job_octet what = JOB_OCTET_NONE;

	for (size_t i = 0; i < len && what != JOB_OCTET_BROKEN; i++) {
		what = job_read(&r, (unsigned char)octets[i]);
		if (what == JOB_OCTET_TEXT || what == JOB_OCTET_ERROR)
			job_escape(out, (unsigned char)octets[i]);
		else if (what != JOB_OCTET_NONE)
			fprintf(out, "[%c]", letters[what]);
	}
	fclose(out);
	return r.status;
}

#define SHOW(text) show(text, sizeof(text) - 1)

static void
test_lines(void)
{
	CU_ASSERT_EQUAL(SHOW(":one\n:\n!bad\n<\n=0\n"), 0);
	CU_ASSERT_STRING_EQUAL(shown, "one[T][T]bad[E][A][=]");
	CU_ASSERT_EQUAL(SHOW("=2\n"), 2);
	CU_ASSERT_STRING_EQUAL(shown, "[=]");
}

/* What begins a line in the middle of one is text. */
static void
test_no_line_forges_an_end(void)
{
	CU_ASSERT_EQUAL(SHOW(":=0 !x <\n:ok\n=1\n"), 1);
	CU_ASSERT_STRING_EQUAL(shown, "=0 !x <[T]ok[T][=]");
}

static void
test_what_no_job_says(void)
{
	static const char *const bad[] = {"x\n", "\n", "=\n", "=12\n", "=a\n", "<x\n", "= 1\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		show(bad[i], strlen(bad[i]));
		CU_ASSERT_STRING_EQUAL(shown, "[!]");
	}
	SHOW(":a\n\0");
	CU_ASSERT_STRING_EQUAL(shown, "a[T][!]");
}

static void
test_nothing_reaches_a_terminal_raw(void)
{
	SHOW(":\x1b]0;t\a\x1b[2J\r\b\0\x7f\x80\x9b\xc2\x9b\\x1b\tz\n");
	CU_ASSERT_STRING_EQUAL(shown, "\\x1b]0;t\\x07\\x1b[2J\\x0d\\x08\\x00\\x7f\\x80\\x9b\\xc2"
				      "\\x9b\\\\x1b\tz[T]");
	for (int c = 0; c < 256; c++) {
		char line[] = {JOB_ERROR, (char)c, '\n'};

		show(line, sizeof(line));
		for (const char *p = shown; *p != '\0'; p++)
			CU_ASSERT_TRUE((*p >= ' ' && *p < 0x7f) || *p == '\t');
	}
}

static void
test_input(void)
{
	char out[JOB_ROOM(16)];
	bool begun = false;
	size_t n = job_input("a\n\nbc", 5, &begun, out);

	CU_ASSERT_EQUAL(n, 8);
	CU_ASSERT(memcmp(out, ":a\n:\n:bc", 8) == 0);
	n = job_input("d", 1, &begun, out);
	CU_ASSERT(n == 1 && out[0] == 'd');
	n = job_input_end(begun, out);
	CU_ASSERT(n == 3 && memcmp(out, "\n=\n", 3) == 0);
	begun = false;
	n = job_input("=\n=\n", 4, &begun, out);
	CU_ASSERT(n == 6 && memcmp(out, ":=\n:=\n", 6) == 0);
	n = job_input_end(begun, out);
	CU_ASSERT(n == 2 && memcmp(out, "=\n", 2) == 0);
}

static void
test_input_fits_its_room(void)
{
	char in[64], out[JOB_ROOM(sizeof(in))];
	bool begun = false;
	size_t n;

	memset(in, '\n', sizeof(in));
	n = job_input(in, sizeof(in), &begun, out);
	CU_ASSERT(n + job_input_end(begun, out + n) <= sizeof(out));
	in[sizeof(in) - 1] = 'x';
	n = job_input(in, sizeof(in), &begun, out);
	CU_ASSERT(n + job_input_end(begun, out + n) <= sizeof(out));
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"lines and the status", test_lines},
	    {"no line forges an end", test_no_line_forges_an_end},
	    {"what no job says", test_what_no_job_says},
	    {"nothing reaches a terminal raw", test_nothing_reaches_a_terminal_raw},
	    {"lines of input", test_input},
	    {"input fits its room", test_input_fits_its_room},
	    {NULL, NULL},
	};

	return unit_run("job", tests);
}
