/* worker/login/sasl: framing of exchanges, PLAIN, LOGIN. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/login/base64.h"
#include "worker/login/sasl.h"

static struct sasl sasl;
static struct msg_login_ask ask;
static char line[4096];

/* `text` as a line that may be written to. */
static char *
writable(const char *text)
{
	strcpy(line, text);
	return line;
}

static enum sasl_result
begin(const char *name, const char *initial)
{
	memset(&ask, 0, sizeof(ask));
	return sasl_begin(&sasl, sasl_find(name, strlen(name)),
			  initial != NULL ? writable(initial) : NULL,
			  initial != NULL ? strlen(initial) : 0, &ask);
}

static enum sasl_result
respond(const char *text)
{
	return sasl_continue(&sasl, writable(text), strlen(text));
}

/* The same with octets that are encoded first. */
static enum sasl_result
begin_plain(const char *octets, size_t len)
{
	char text[BASE64_SIZE(1024)];

	base64_encode(text, (const unsigned char *)octets, len);
	return begin("PLAIN", text);
}

static int
asks(enum login_mech mech, const char *authzid, const char *user, const char *password)
{
	return ask.mech == mech && strcmp(ask.authzid, authzid) == 0 &&
	       strcmp(ask.user, user) == 0 && strcmp(ask.password.octets, password) == 0;
}

static void
test_find(void)
{
	CU_ASSERT_PTR_NOT_NULL(sasl_find("PLAIN", 5));
	CU_ASSERT_PTR_EQUAL(sasl_find("pLaiN", 5), sasl_find("PLAIN", 5));
	CU_ASSERT_PTR_NOT_NULL(sasl_find("login", 5));
	CU_ASSERT_PTR_NULL(sasl_find("PLAI", 4));
	CU_ASSERT_PTR_NULL(sasl_find("PLAINX", 6));
	CU_ASSERT_PTR_NULL(sasl_find("", 0));
	CU_ASSERT_PTR_NULL(sasl_find("CRAM-MD5", 8));
	CU_ASSERT(sasl_needs_tls(sasl_find("PLAIN", 5)));
	CU_ASSERT(sasl_needs_tls(sasl_find("LOGIN", 5)));
}

static void
test_plain(void)
{
	CU_ASSERT_EQUAL(begin("PLAIN", "AHVzZXIAc2VjcmV0"), SASL_LOGIN);
	CU_ASSERT(asks(MECH_PLAIN, "", "user", "secret"));
	CU_ASSERT_EQUAL(begin_plain("joe\0joe\0a b ", 12), SASL_LOGIN);
	CU_ASSERT(asks(MECH_PLAIN, "joe", "joe", "a b "));
	CU_ASSERT_EQUAL(begin_plain("other\0joe\0p", 11), SASL_LOGIN);
	CU_ASSERT(asks(MECH_PLAIN, "other", "joe", "p"));
}

static void
test_plain_challenge(void)
{
	CU_ASSERT_EQUAL(begin("PLAIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_STRING_EQUAL(sasl.challenge, "");
	CU_ASSERT_EQUAL(respond("AHVzZXIAc2VjcmV0"), SASL_LOGIN);
	CU_ASSERT(asks(MECH_PLAIN, "", "user", "secret"));
}

static void
test_plain_parts(void)
{
	static const struct {
		const char *octets;
		size_t len;
	} bad[] = {{"", 0},
		   {"user", 4},
		   {"\0user", 5},
		   {"\0user\0", 6},
		   {"\0\0secret", 8},
		   {"\0user\0secret\0", 13},
		   {"\0user\0sec\0ret", 13},
		   {"a\0\0b", 4},
		   {"\0\0", 2}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(begin_plain(bad[i].octets, bad[i].len), SASL_MALFORMED);
}

static void
test_plain_lengths(void)
{
	char octets[3 * 256 + 2];

	memset(octets, 'x', sizeof(octets));
	octets[255] = octets[511] = '\0';
	CU_ASSERT_EQUAL(begin_plain(octets, 767), SASL_LOGIN);
	CU_ASSERT_EQUAL(strlen(ask.authzid), 255);
	CU_ASSERT_EQUAL(strlen(ask.user), 255);
	CU_ASSERT_EQUAL(strlen(ask.password.octets), 255);
	CU_ASSERT_EQUAL(begin_plain(octets, 768), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin_plain(octets + 255, 257 + 255), SASL_LOGIN);
	octets[511] = 'x';
	octets[512] = '\0';
	CU_ASSERT_EQUAL(begin_plain(octets + 255, 258 + 1), SASL_MALFORMED);
}

static void
test_login(void)
{
	CU_ASSERT_EQUAL(begin("LOGIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_STRING_EQUAL(sasl.challenge, "VXNlcm5hbWU6");
	CU_ASSERT_EQUAL(respond("am9l"), SASL_CHALLENGE);
	CU_ASSERT_STRING_EQUAL(sasl.challenge, "UGFzc3dvcmQ6");
	CU_ASSERT_EQUAL(respond("c2VjcmV0"), SASL_LOGIN);
	CU_ASSERT(asks(MECH_LOGIN, "", "joe", "secret"));
	CU_ASSERT_EQUAL(begin("LOGIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond(""), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin("LOGIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond("am9lAGE="), SASL_MALFORMED);
}

static void
test_initial(void)
{
	CU_ASSERT_EQUAL(begin("LOGIN", "am9l"), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin("LOGIN", "="), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin("PLAIN", "="), SASL_MALFORMED); /* empty: no PLAIN message */
	CU_ASSERT_EQUAL(begin("PLAIN", "AAA=BBB="), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin("PLAIN", "=AAA"), SASL_MALFORMED);
}

static void
test_continuation(void)
{
	CU_ASSERT_EQUAL(begin("PLAIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond("*"), SASL_CANCELLED);
	CU_ASSERT_EQUAL(begin("LOGIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond("*"), SASL_CANCELLED);
	CU_ASSERT_EQUAL(begin("PLAIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond("="), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin("PLAIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond("**"), SASL_MALFORMED);
	CU_ASSERT_EQUAL(begin("PLAIN", NULL), SASL_CHALLENGE);
	CU_ASSERT_EQUAL(respond(""), SASL_MALFORMED);
}

static const struct unit_test tests[] = {
    {"SAS-01 mechanisms are found whatever their case", test_find},
    {"MEC-01 PLAIN with an initial response", test_plain},
    {"SAS-02 PLAIN after an empty challenge", test_plain_challenge},
    {"MEC-01 PLAIN has two NULs, a name and a password", test_plain_parts},
    {"MEC-01 parts of 255 octets", test_plain_lengths},
    {"MEC-02 LOGIN asks for name and password", test_login},
    {"SAS-03 SAS-04 initial responses", test_initial},
    {"SAS-05 cancelling; = and empty lines later", test_continuation},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("sasl", tests);
}
