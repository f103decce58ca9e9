/* common/pop3.c */
#include "config.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "common/pop3.h"
#include "tests/unit/unit.h"

/* For lines without NUL. */
static int
parse(const char *line, struct pop3_command *cmd)
{
	return pop3_parse(line, strlen(line), cmd);
}

static bool
arg_is(const struct pop3_command *cmd, unsigned i, const char *want)
{
	return cmd->argc > i && cmd->arg_len[i] == strlen(want) &&
	       memcmp(cmd->argv[i], want, cmd->arg_len[i]) == 0;
}

static bool
rest_is(const struct pop3_command *cmd, const char *want)
{
	return cmd->rest != NULL && cmd->rest_len == strlen(want) &&
	       memcmp(cmd->rest, want, cmd->rest_len) == 0;
}

static void
test_keyword(void)
{
	struct pop3_command c;

	CU_ASSERT_EQUAL(parse("STAT", &c), 0);
	CU_ASSERT_STRING_EQUAL(c.keyword, "STAT");
	CU_ASSERT_PTR_NULL(c.rest);
	CU_ASSERT_EQUAL(c.argc, 0);
	CU_ASSERT_EQUAL(parse("tOp 1 0", &c), 0);
	CU_ASSERT_STRING_EQUAL(c.keyword, "TOP");
	/* in a Turkish locale toupper('i') is not 'I' */
	(void)setlocale(LC_ALL, "tr_TR.UTF-8");
	CU_ASSERT_EQUAL(parse("uidl", &c), 0);
	CU_ASSERT_STRING_EQUAL(c.keyword, "UIDL");
	CU_ASSERT_EQUAL(parse("quit", &c), 0);
	CU_ASSERT_STRING_EQUAL(c.keyword, "QUIT");
	(void)setlocale(LC_ALL, "C");
}

static void
test_malformed(void)
{
	static const char *const lines[] = {"",
					    " ",
					    " STAT",
					    "\tSTAT",
					    "ST",
					    "STATS",
					    "CAPABILITY",
					    "ST4T",
					    "123",
					    "STAT\t",
					    "RETR\t1",
					    "RETR 1\t",
					    "RE TR",
					    "+OK",
					    "GET / HTTP/1.1\r",
					    "QUIT\r",
					    "QU\rIT",
					    "STAT\v",
					    "STAT\x7f",
					    "RETR \x1b[1m",
					    "USER \xc3\xa9",
					    "R\xc3\xa9TR",
					    "USER a\xff",
					    "A"};
	struct pop3_command c;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		memset(&c, 'x', sizeof(c));
		if (parse(lines[i], &c) == 0)
			printf("taken: \"%s\"\n", lines[i]);
		CU_ASSERT_EQUAL(parse(lines[i], &c), -1);
		CU_ASSERT_STRING_EQUAL(c.keyword, "");
	}
}

static void
test_nul(void)
{
	struct pop3_command c;

	CU_ASSERT_EQUAL(pop3_parse("PASS secret\0x", 13, &c), -1);
	CU_ASSERT_EQUAL(pop3_parse("PASS secret\0", 12, &c), -1);
	CU_ASSERT_EQUAL(pop3_parse("STAT\0", 5, &c), -1);
	CU_ASSERT_EQUAL(pop3_parse("\0STAT", 5, &c), -1);
	/* the length counts, not a terminator */
	CU_ASSERT_EQUAL(pop3_parse("STATx", 4, &c), 0);
	CU_ASSERT_STRING_EQUAL(c.keyword, "STAT");
	CU_ASSERT_EQUAL(pop3_parse("RETR 12", 6, &c), 0);
	CU_ASSERT_TRUE(arg_is(&c, 0, "1"));
}

static void
test_control_octets(void)
{
	struct pop3_command c;
	char line[] = "USER a?b";

	for (int octet = 0; octet < 256; octet++) {
		line[6] = (char)octet;
		CU_ASSERT_EQUAL(pop3_parse(line, 8, &c), octet >= 0x20 && octet < 0x7f ? 0 : -1);
	}
}

static void
test_octets_of_passwords(void)
{
	struct pop3_command c;
	char line[] = "paSS a?b";

	for (int octet = 0; octet < 256; octet++) {
		bool taken = octet >= 0x20 && octet != 0x7f;

		line[6] = (char)octet;
		CU_ASSERT_EQUAL(pop3_parse(line, 8, &c), taken ? 0 : -1);
		CU_ASSERT_STRING_EQUAL(c.keyword, taken ? "PASS" : "");
		if (taken) {
			CU_ASSERT_EQUAL_FATAL(c.rest_len, 3);
			CU_ASSERT_EQUAL(memcmp(c.rest, line + 5, 3), 0);
		}
	}
	CU_ASSERT_EQUAL(parse("PASS\xc3\xa9", &c), -1);
	CU_ASSERT_EQUAL(parse("P\xc3\x84SS x", &c), -1);
}

static void
test_arguments(void)
{
	struct pop3_command c;

	CU_ASSERT_EQUAL(parse("TOP 12 345", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 2);
	CU_ASSERT_TRUE(arg_is(&c, 0, "12"));
	CU_ASSERT_TRUE(arg_is(&c, 1, "345"));
	CU_ASSERT_EQUAL(parse("TOP   1    2   ", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 2);
	CU_ASSERT_TRUE(arg_is(&c, 0, "1"));
	CU_ASSERT_TRUE(arg_is(&c, 1, "2"));
	CU_ASSERT_EQUAL(parse("STAT  ", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 0);
	CU_ASSERT_TRUE(rest_is(&c, " "));
	CU_ASSERT_EQUAL(parse("RETR 1 2", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 2);
	CU_ASSERT_EQUAL(parse("TOP 1 2 3", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 3);
	CU_ASSERT_EQUAL(parse("TOP 1 2 3 4 5 6", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 3);
	CU_ASSERT_TRUE(arg_is(&c, 0, "1"));
	CU_ASSERT_TRUE(arg_is(&c, 1, "2"));
	CU_ASSERT_EQUAL(parse("STLS now", &c), 0);
	CU_ASSERT_EQUAL(c.argc, 1);
}

static void
test_password(void)
{
	struct pop3_command c;
	char line[5 + 248];

	CU_ASSERT_EQUAL(parse("PASS a b", &c), 0);
	CU_ASSERT_TRUE(rest_is(&c, "a b"));
	CU_ASSERT_EQUAL(parse("PASS  lead", &c), 0);
	CU_ASSERT_TRUE(rest_is(&c, " lead"));
	CU_ASSERT_EQUAL(parse("PASS trail ", &c), 0);
	CU_ASSERT_TRUE(rest_is(&c, "trail "));
	CU_ASSERT_EQUAL(parse("PASS ", &c), 0);
	CU_ASSERT_TRUE(rest_is(&c, ""));
	CU_ASSERT_EQUAL(parse("PASS", &c), 0);
	CU_ASSERT_PTR_NULL(c.rest);
	memcpy(line, "PASS ", 5);
	memset(line + 5, 'p', 248);
	CU_ASSERT_EQUAL(pop3_parse(line, sizeof(line), &c), 0);
	CU_ASSERT_EQUAL(c.rest_len, 248);
}

static void
test_number(void)
{
	static const struct {
		const char *digits;
		int result;
		uint64_t value;
	} cases[] = {{"0", 0, 0},
		     {"1", 0, 1},
		     {"007", 0, 7},
		     {"4294967297", 0, 4294967297},
		     {"18446744073709551615", 0, UINT64_MAX},
		     {"18446744073709551616", -1, 0},
		     {"18446744073709551617", -1, 0},
		     {"99999999999999999999", -1, 0},
		     {"184467440737095516150", -1, 0},
		     {"0000000000000000000000001", 0, 1},
		     {"", -1, 0},
		     {"+1", -1, 0},
		     {"-1", -1, 0},
		     {"0x1", -1, 0},
		     {"1.0", -1, 0},
		     {"1a", -1, 0},
		     {" 1", -1, 0},
		     {"1 ", -1, 0},
		     {"\xd9\xa3", -1, 0},
		     {"1e3", -1, 0},
		     {"/", -1, 0},
		     {":", -1, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 4711;
		int result = pop3_number(cases[i].digits, strlen(cases[i].digits), &value);

		if (result != cases[i].result)
			printf("wrong: \"%s\" %d %" PRIu64 "\n", cases[i].digits, result, value);
		CU_ASSERT_EQUAL(result, cases[i].result);
		CU_ASSERT_EQUAL(value, result == 0 ? cases[i].value : 4711);
	}
	{
		uint64_t value = 0;

		CU_ASSERT_EQUAL(pop3_number("1\0", 2, &value), -1);
		CU_ASSERT_EQUAL(pop3_number("12", 1, &value), 0);
		CU_ASSERT_EQUAL(value, 1);
	}
}

#define CAPA_HEAD                                                                                  \
	"+OK Capability list "                                                                     \
	"follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
#define CAPA_LOGIN "SASL PLAIN LOGIN\r\nUSER\r\n"

static void
test_capa(void)
{
	static const struct {
		struct pop3_capa capa;
		const char *want;
	} cases[] = {
	    {{false, false, false}, CAPA_HEAD ".\r\n"},
	    {{false, true, false}, CAPA_HEAD "STLS\r\n.\r\n"},
	    {{true, true, false}, CAPA_HEAD CAPA_LOGIN "STLS\r\n.\r\n"},
	    {{true, false, false}, CAPA_HEAD CAPA_LOGIN ".\r\n"},
	    {{true, false, true},
	     CAPA_HEAD CAPA_LOGIN "IMPLEMENTATION pop3d-" PACKAGE_VERSION "\r\n.\r\n"},
	    {{false, true, true}, CAPA_HEAD "IMPLEMENTATION pop3d-" PACKAGE_VERSION "\r\n.\r\n"},
	};
	char out[POP3_CAPA_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = pop3_capa(&cases[i].capa, out);

		CU_ASSERT_EQUAL(len, strlen(cases[i].want));
		CU_ASSERT_EQUAL(memcmp(out, cases[i].want, len), 0);
	}
	CU_ASSERT_PTR_NULL(strchr(PACKAGE_VERSION, ' '));
}

static const struct unit_test tests[] = {
    {"LIN-01 keyword, ASCII case only", test_keyword},
    {"LIN-06 LIN-08 malformed lines", test_malformed},
    {"LIN-10 NUL, lengths", test_nul},
    {"LIN-10 LIN-11 control and 8-bit octets", test_control_octets},
    {"LIN-11 octets above 0x7F in passwords", test_octets_of_passwords},
    {"LIN-07 LIN-08 arguments and blanks", test_arguments},
    {"LIN-02 USR-02 password as sent", test_password},
    {"LIN-12 numbers", test_number},
    {"CAP-01 CAP-02 CAP-03 CAP-04 CAP-05 lists", test_capa},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("pop3", tests);
}
