/* worker/login/line: lines put together from what arrives. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/pop3.h"
#include "tests/unit/unit.h"
#include "worker/login/line.h"

enum { INPUT_MAX = 200000, SEEN_MAX = 16384 };

static char input[INPUT_MAX];
static size_t input_len;
static char seen[SEEN_MAX]; /* what came out: lines in <>, other results as letters */

static void
put(const char *octets, size_t len)
{
	memcpy(input + input_len, octets, len);
	input_len += len;
}

static void
put_text(const char *text)
{
	put(text, strlen(text));
}

static void
put_many(char octet, size_t count)
{
	memset(input + input_len, octet, count);
	input_len += count;
}

static void
note(const char *octets, size_t len)
{
	size_t at = strlen(seen);

	if (len > 40)
		len = 40;
	memcpy(seen + at, octets, len);
	seen[at + len] = '\0';
}

/* Feed the input, at most `step` octets at a time, as the worker reads a socket. */
static const char *
run(size_t step, bool sasl)
{
	struct line l = {0};
	struct line_text text;
	char chunk[4096];

	seen[0] = '\0';
	for (size_t at = 0; at < input_len;) {
		size_t len = line_window(&l, sasl);
		if (len > step)
			len = step;
		if (len > input_len - at)
			len = input_len - at;
		memcpy(chunk, input + at, len);
		len = line_share(chunk, len);
		at += len;
		enum line_result r = line_feed(&l, sasl, chunk, len, &text);
		if (r == LINE_MORE)
			continue;
		if (r == LINE_READY) {
			note("<", 1);
			note(text.octets, text.len);
			note(">", 1);
		} else {
			note(r == LINE_TOO_LONG ? "L" : "E", 1);
		}
		line_reset(&l);
		if (r == LINE_ENDLESS)
			break;
	}
	line_reset(&l);
	return seen;
}

/* The same result however it is cut; the input is used up. */
static void
expect(const char *want, bool sasl)
{
	static const size_t steps[] = {1, 2, 3, 7, 254, 255, 256, 511, 512, 4096};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		CU_ASSERT_STRING_EQUAL(run(steps[i], sasl), want);
	input_len = 0;
}

static void
test_ends(void)
{
	put_text("CAPA\r\nUSER a\nPASS b \r\n\r\n\n\r\rX\r\r\nQUIT");
	expect("<CAPA><USER a><PASS b ><><><\r\rX\r>", false);
	put("a\0b\r\n", 5);
	struct line l = {0};
	struct line_text text;
	char octets[] = "a\0b\r\n";
	CU_ASSERT_EQUAL(line_feed(&l, false, octets, 5, &text), LINE_READY);
	CU_ASSERT_EQUAL(text.len, 3);
	input_len = 0;
}

static void
test_limit(void)
{
	put_text("PASS ");
	put_many('p', 248);
	put_text("\r\nX\r\n");
	expect("<PASS ppppppppppppppppppppppppppppppppppp><X>", false);
	put_text("PASS ");
	put_many('p', 249);
	put_text("\r\nX\r\n");
	expect("L<X>", false);
	put_many('A', 254);
	put_text("\nX\r\n");
	expect("<AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA><X>", false);
	put_many('A', 255);
	put_text("\nX\r\n");
	expect("L<X>", false);
}

static void
test_tail(void)
{
	put_text("NOOP ");
	put_many('A', 300);
	put_text("\r\nSTAT\r\n");
	expect("L<STAT>", false);
	put_many('A', 7000);
	put_text(" QUIT\r\nSTAT\r\n");
	expect("L<STAT>", false);
}

static void
test_endless(void)
{
	put_many('A', POP3_JUNK_MAX + 5000);
	expect("E", false);
	put_many('A', POP3_SASL_LINE_MAX + POP3_LINE_MAX + POP3_JUNK_MAX + 5000);
	expect("E", true);
}

static void
test_sasl(void)
{
	put_many('A', POP3_SASL_LINE_MAX);
	put_text("\r\n*\r\n");
	expect("<AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA><*>", true);
	put_many('A', POP3_SASL_LINE_MAX + POP3_LINE_MAX);
	put_text("\r\n*\r\n");
	expect("L<*>", true);
}

static void
test_auth(void)
{
	put_text("auth PLAIN ");
	put_many('A', POP3_SASL_LINE_MAX);
	put_text("\r\nX\r\n");
	expect("<auth PLAIN AAAAAAAAAAAAAAAAAAAAAAAAAAAAA><X>", false);
	put_text("AUTHX ");
	put_many('A', 400);
	put_text("\r\nX\r\n");
	expect("L<X>", false);
}

/* What a long line needs is not kept. */
static void
test_memory(void)
{
	struct line l = {0};
	struct line_text text;
	char octets[4096];

	memset(octets, 'A', sizeof(octets));
	for (int i = 0; i < 15; i++)
		CU_ASSERT_EQUAL(line_feed(&l, true, octets, sizeof(octets), &text), LINE_MORE);
	CU_ASSERT_EQUAL(line_partial(&l).len, 15 * sizeof(octets));
	CU_ASSERT(l.cap >= 15 * sizeof(octets));
	octets[1] = '\n';
	CU_ASSERT_EQUAL(line_feed(&l, true, octets, 2, &text), LINE_READY);
	CU_ASSERT_EQUAL(text.len, 15 * sizeof(octets) + 1);
	line_reset(&l);
	CU_ASSERT_PTR_NULL(l.octets);
	CU_ASSERT_EQUAL(l.cap, 0);
}

static void
test_foreign(void)
{
	CU_ASSERT_EQUAL(line_protocol("GET / HTTP/1.1", 14), LINE_HTTP);
	CU_ASSERT_EQUAL(line_protocol("POST /", 6), LINE_HTTP);
	CU_ASSERT_EQUAL(line_protocol("HEAD ", 5), LINE_HTTP);
	CU_ASSERT_EQUAL(line_protocol("\x16\x03\x01", 3), LINE_TLS);
	CU_ASSERT_EQUAL(line_protocol("GET", 3), LINE_POP3);
	CU_ASSERT_EQUAL(line_protocol("get /", 5), LINE_POP3);
	CU_ASSERT_EQUAL(line_protocol("CAPA", 4), LINE_POP3);
	CU_ASSERT_EQUAL(line_protocol(NULL, 0), LINE_POP3);
}

static const struct unit_test tests[] = {
    {"LIN-09 LIN-10 line ends, bare CR and NUL are data", test_ends},
    {"LIN-02 255 octets with the line end", test_limit},
    {"LIN-03 the tail of a long line is no command", test_tail},
    {"LIN-03 a line without end is given up", test_endless},
    {"LIN-04 SASL responses of 64 KiB", test_sasl},
    {"LIN-05 AUTH with a long initial response", test_auth},
    {"LIN-04 room for a long line is given back", test_memory},
    {"STM-05 HTTP and TLS are known by their first octets", test_foreign},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("line", tests);
}
