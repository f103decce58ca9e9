/* worker/login/base64: strict base64. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/login/base64.h"

/* Does `text` decode to these octets? */
static int
decodes_to(const char *text, const char *octets, size_t len)
{
	unsigned char out[64];
	size_t n;

	return base64_decode(out, text, strlen(text), &n) == 0 && n == len &&
	       memcmp(out, octets, len) == 0;
}

static int
is_refused(const char *text, size_t len)
{
	unsigned char out[64];
	size_t n;

	return base64_decode(out, text, len, &n) == -1;
}

static void
test_vectors(void)
{
	static const struct {
		const char *text, *octets;
	} rows[] = {{"", ""},
		    {"Zg==", "f"},
		    {"Zm8=", "fo"},
		    {"Zm9v", "foo"},
		    {"Zm9vYg==", "foob"},
		    {"Zm9vYmE=", "fooba"},
		    {"Zm9vYmFy", "foobar"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[16];
		size_t len = strlen(rows[i].octets);

		CU_ASSERT(decodes_to(rows[i].text, rows[i].octets, len));
		CU_ASSERT_EQUAL(base64_encode(text, (const unsigned char *)rows[i].octets, len),
				strlen(rows[i].text));
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
	}
	CU_ASSERT(decodes_to("AHVzZXIAc2VjcmV0", "\0user\0secret", 12));
	CU_ASSERT(decodes_to("+/+/", "\xfb\xff\xbf", 3));
}

static void
test_refused(void)
{
	static const char *const rows[] = {"AAA=BBB=", "=AAA",	 "A",	  "AA",	  "AAA",
					   "AAAAA",    "A===",	 "====",  "=",	  "AA=A",
					   "AA==AAAA", "AA-_",	 "AA A",  " AAA", "AAA ",
					   "AA\tA",    "AAAA\r", "AAA\n", "AA.A", "\xc3\xa9zz"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT(is_refused(rows[i], strlen(rows[i])));
	CU_ASSERT(is_refused("AA\0A", 4));
}

static void
test_spare_bits(void)
{
	CU_ASSERT(decodes_to("AA==", "\0", 1));
	CU_ASSERT(is_refused("AB==", 4));
	CU_ASSERT(is_refused("AP==", 4));
	CU_ASSERT(decodes_to("AAA=", "\0\0", 2));
	CU_ASSERT(is_refused("AAB=", 4));
	CU_ASSERT(is_refused("AAD=", 4));
}

/* Every octet at every place, decoded in the place where the text stands. */
static void
test_round_trip(void)
{
	for (size_t len = 0; len <= 7; len++)
		for (unsigned octet = 0; octet < 256; octet++) {
			unsigned char in[7];
			char text[BASE64_SIZE(7)];
			size_t out;

			memset(in, (int)octet, sizeof(in));
			if (len > 0)
				in[len / 2] = (unsigned char)~octet;
			size_t n = base64_encode(text, in, len);
			CU_ASSERT_EQUAL(n, BASE64_SIZE(len) - 1);
			CU_ASSERT_EQUAL_FATAL(base64_decode((unsigned char *)text, text, n, &out),
					      0);
			CU_ASSERT_EQUAL(out, len);
			CU_ASSERT_EQUAL(memcmp(text, in, len), 0);
		}
}

static const struct unit_test tests[] = {
    {"MEC-01 vectors of RFC 4648 and RFC 4616", test_vectors},
    {"SAS-06 what is no base64 is refused", test_refused},
    {"SAS-06 spare bits must be zero", test_spare_bits},
    {"SAS-06 what is encoded is decoded, in place", test_round_trip},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("base64", tests);
}
