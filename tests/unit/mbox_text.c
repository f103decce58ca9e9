#include "config.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "worker/store/mbox_text.h"

static const struct mbox_style rd = {.quotes = SIZE_MAX};

static void
test_from(void)
{
	static const char *const yes[] = {
	    "From a@example.org Mon Jan  2 10:00:00 2023",
	    "From a@example.org Mon Jan  2 10:00:00 2023\n",
	    "From a@example.org Mon Jan  2 10:00:00 2023\r\n",
	    "From - Mon Jan 2 10:00 2023\n",
	    "From  Mon Jan  2 10:00:00 2023\n",
	    "From a@example.org Mon Jan  2 10:00:00 CET 2023\n",
	    "From a@example.org Mon Jan  2 10:00:00 2023 +0100\n",
	    "From a@example.org  Mon, 2 Jan 2023 10:00:00 +0100\n",
	    "From \"a b\"@example.org Mon Jan  2 10:00:00 2023\n",
	    "From a!b Sat Dec 31 23:59:60 1999 remote from c\n",
	    "From mon Mon Mon Jan  2 10:00:00 2023\n",
	};
	static const char *const no[] = {
	    "",
	    "From",
	    "From ",
	    "From here on it looks like mbox\n",
	    "from a@example.org Mon Jan  2 10:00:00 2023\n",
	    ">From a@example.org Mon Jan  2 10:00:00 2023\n",
	    "From: a@example.org Mon Jan  2 10:00:00 2023\n",
	    "From a@example.org Mon Jan 32 10:00:00 2023\n",
	    "From a@example.org Mon Jan  2 25:00:00 2023\n",
	    "From a@example.org Mon Jan  2 1000 2023\n",
	    "From a@example.org Mon Jan  2 10:00:00 23\n",
	    "From a@example.org Moo Jan  2 10:00:00 2023\n",
	    "From a@example.org Mon Jan  2 10:00:00\n",
	};
	char line[2 * MBOX_LOOK];

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT_TRUE(mbox_is_from(&rd, yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT_FALSE(mbox_is_from(&rd, no[i], strlen(no[i])));
	/* no line that may not be whole counts */
	memset(line, ' ', sizeof(line));
	memcpy(line, yes[0], strlen(yes[0]));
	CU_ASSERT_TRUE(mbox_is_from(&rd, line, MBOX_LOOK - 1));
	CU_ASSERT_FALSE(mbox_is_from(&rd, line, MBOX_LOOK));
	/* the words of a line have an end */
	for (size_t i = 5; i + 1 < MBOX_LOOK; i += 2)
		memcpy(line + i, "a ", 2);
	CU_ASSERT_FALSE(mbox_is_from(&rd, line, MBOX_LOOK - 1));
}

/* Forms of dates that programs have been seen to write; a header field has to follow. */
static void
test_may_be_from(void)
{
	static const char *const yes[] = {
	    "From - Sat Apr 12 2025 15:59:28\n",
	    "From - Sat Apr 12 2025 15:59:28 GMT+0200 (CEST)\r\n",
	    "From a@example.org 2023-01-02 10:00:00\n",
	    "From a@example.org 2023-01-02T10:00:00Z\n",
	    "From a@example.org 2023-01-02T10:00:00.123+01:00\n",
	    "From a@example.org 2 Jan 2023 10:00:00 +0100\n",
	    "From a@example.org 02-Jan-2023 10:00:00 +0100\n",
	    "From a@example.org Mon Jan  2 10:00:00 97\n",
	    "From a@example.org Mo Jan  2 10:00:00 2023\n",
	    "From a@example.org lun. janv. 2 10:00:00 2023\n",
	    "From a@example.org 1/2/2023, 10:00:00 AM\n",
	    "From a@example.org 02.01.2023 10:00\n",
	    "From a at example.org  Monday, January 2, 2023 10:00 PM\n",
	    "From a@example.org Mon Jan  2 10:00:00 2023\n",
	    "From a@example.org\n",
	    "From ???@???\r\n",
	    "From - \n",
	    "From \n",
	};
	static const char *const no[] = {
	    "",
	    "From",
	    "From: a@example.org 2023-01-02 10:00:00\n",
	    ">From a@example.org 2023-01-02 10:00:00\n",
	    "From here on it looks like mbox\n",
	    "From Alice\n",
	    "From 10:30 on we sing\n",
	    "From 2019 to 2023 it was so\n",
	    "From a@example.org to b@example.org\n",
	    "From a 2023-01-02T\n",
	    "From a 2023-01-02Tx\n",
	    "From a 2023- 10:00\n",
	    "From a --- 10:00\n",
	    "From a 2023--02 10:00\n",
	    "From a 25:00 2023\n",
	    "From a 1:2 2023\n",
	};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT_TRUE(mbox_may_be_from(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT_FALSE(mbox_may_be_from(no[i], strlen(no[i])));
}

static void
test_field(void)
{
	CU_ASSERT_TRUE(mbox_is_field("A: b\n", 5));
	CU_ASSERT_TRUE(mbox_is_field("X-Mozilla-Status:", 17));
	CU_ASSERT_FALSE(mbox_is_field("", 0));
	CU_ASSERT_FALSE(mbox_is_field("\n", 1));
	CU_ASSERT_FALSE(mbox_is_field(": b\n", 4));
	CU_ASSERT_FALSE(mbox_is_field("a b: c\n", 7));
	CU_ASSERT_FALSE(mbox_is_field("\xc3\xa4: c\n", 6));
	CU_ASSERT_FALSE(mbox_is_field("word", 4));
}

static void
test_expunged(void)
{
	static const char *const yes[] = {"X-Mozilla-Status: 0008\n", "x-mozilla-status: 1009\r\n",
					  "X-Mozilla-Status:000f\n"};
	static const char *const no[] = {"X-Mozilla-Status: 0001\n",	  "X-Mozilla-Status: 8\n",
					 "X-Mozilla-Status:\n",		  "X-Mozilla-Status: \n",
					 "X-Mozilla-Status2: 00000008\n", "X-Status: 0008\n"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT_TRUE(mbox_is_expunged(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT_FALSE(mbox_is_expunged(no[i], strlen(no[i])));
}

static void
test_blank(void)
{
	CU_ASSERT_TRUE(mbox_is_blank("\n", 1));
	CU_ASSERT_TRUE(mbox_is_blank("\r\n", 2));
	CU_ASSERT_FALSE(mbox_is_blank("", 0));
	CU_ASSERT_FALSE(mbox_is_blank("\r", 1));
	CU_ASSERT_FALSE(mbox_is_blank(" \n", 2));
	CU_ASSERT_FALSE(mbox_is_blank("\n\n", 2));
}

static void
test_lax(void)
{
	const struct mbox_style lax = mbox_style_of(MBOX_RD, MBOX_LAX);
	char line[2 * MBOX_LOOK];

	CU_ASSERT_TRUE(mbox_is_from(&lax, "From here on\n", 13));
	CU_ASSERT_TRUE(mbox_is_from(&lax, "From ", 5));
	CU_ASSERT_FALSE(mbox_is_from(&lax, "From", 4));
	CU_ASSERT_FALSE(mbox_is_from(&lax, "From: a\n", 8));
	CU_ASSERT_FALSE(mbox_is_from(&lax, ">From a\n", 8));
	memset(line, ' ', sizeof(line));
	memcpy(line, "From", 4);
	CU_ASSERT_TRUE(mbox_is_from(&lax, line, sizeof(line)));
}

/* What is shown in a style of a message given line by line. */
static const char *
shown_in(const struct mbox_style *style, const char *message)
{
	static char out[4096];
	struct mbox_filter f = {.style = style};
	size_t len = 0;

	while (*message != '\0') {
		const char *lf = strchr(message, '\n'), *p = message;
		size_t n = lf != NULL ? (size_t)(lf + 1 - message) : strlen(message);

		message += n;
		n = mbox_filter(&f, &p, n, true);
		memcpy(out + len, p, n);
		len += n;
	}
	out[len] = '\0';
	return out;
}

static const char *
shown(const char *message)
{
	return shown_in(&rd, message);
}

static void
test_metadata(void)
{
	CU_ASSERT_STRING_EQUAL(shown("A: b\nStatus: RO\nC: d\n\nbody\n"), "A: b\nC: d\n\nbody\n");
	CU_ASSERT_STRING_EQUAL(
	    shown("X-Keywords: a\n b\n\tc\nC: d\r\n e\r\nCONTENT-LENGTH: 3\r\nX-UID: 1\r\n\r\nx"),
	    "C: d\r\n e\r\n\r\nx");
	CU_ASSERT_STRING_EQUAL(shown("X-IMAPbase: 1 2\nX-IMAP: 1 2\nX-Status: F\n\n"), "\n");
	/* names that a family of programs begins with */
	CU_ASSERT_STRING_EQUAL(shown("X-KMail-MDN-Sent: \nX-VM-v5-Data: (a\n\t\"b\")\nA: b\n\n"),
			       "A: b\n\n");
	CU_ASSERT_STRING_EQUAL(shown("X-KMail: 1\nX-VM 2\nX-Mozilla-Draft-Info: 3\n\n"),
			       "X-KMail: 1\nX-VM 2\nX-Mozilla-Draft-Info: 3\n\n");
	/* other fields, and the same words in the body */
	CU_ASSERT_STRING_EQUAL(shown("Statuses: x\nX-Statu: y\n\nStatus: z\n"),
			       "Statuses: x\nX-Statu: y\n\nStatus: z\n");
	CU_ASSERT_STRING_EQUAL(shown("\nStatus: z\n"), "\nStatus: z\n");
}

static void
test_quoting(void)
{
	CU_ASSERT_STRING_EQUAL(shown("A: b\n\n>From x\n>>From y\n> From z\n>Fromage\n>>>From\n"),
			       "A: b\n\nFrom x\n>From y\n> From z\n>Fromage\n>>>From\n");
	CU_ASSERT_STRING_EQUAL(shown("\n>From "), "\nFrom ");
	CU_ASSERT_STRING_EQUAL(shown("\n>From"), "\n>From");
}

static void
test_formats(void)
{
	static const char text[] = "A: b\n\n>From x\n>>From y\n";
	static const char *const shown_as[MBOX_FORMATS] = {
	    [MBOX_RD] = "A: b\n\nFrom x\n>From y\n",
	    [MBOX_O] = "A: b\n\nFrom x\n>>From y\n",
	    [MBOX_RFC4155] = text,
	    [MBOX_CL] = "A: b\n\nFrom x\n>From y\n",
	    [MBOX_CL2] = text,
	};

	for (enum mbox_format f = 0; f < MBOX_FORMATS; f++) {
		struct mbox_style style = mbox_style_of(f, MBOX_STRICT);

		CU_ASSERT_STRING_EQUAL(shown_in(&style, text), shown_as[f]);
		CU_ASSERT_EQUAL(style.content_length, f == MBOX_CL || f == MBOX_CL2);
		CU_ASSERT_FALSE(style.lax);
	}
}

static void
test_length(void)
{
	static const char *const no[] = {
	    "Content-Length: \n",    "Content-Length: 1 2\n",
	    "Content-Length: -1\n",  "Content-Length 1\n",
	    "X-Content-Length: 1\n", "Content-Length: 1x\n",
	    "Content-Length:",	     "Content-Length: 18446744073709551616\n",
	};
	uint64_t n = 7;

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT_FALSE(mbox_is_length(no[i], strlen(no[i]), &n));
	CU_ASSERT_TRUE(mbox_is_length("Content-Length: 12\r\n", 20, &n));
	CU_ASSERT_EQUAL(n, 12);
	CU_ASSERT_TRUE(mbox_is_length("content-length:0", 16, &n));
	CU_ASSERT_EQUAL(n, 0);
}

static void
test_internal(void)
{
	static const char subject[] =
	    "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n";

	CU_ASSERT_EQUAL(mbox_internal_signs(subject, strlen(subject)), MBOX_INTERNAL_SUBJECT);
	CU_ASSERT_EQUAL(mbox_internal_signs("X-IMAP: 1 2\n", 12), MBOX_INTERNAL_FIELD);
	CU_ASSERT_EQUAL(mbox_internal_signs("Subject: other\n", 15), 0);
}

static const struct unit_test tests[] = {
    {"MBX-05 From_ lines", test_from},
    {"MBX-05 From_ lines before a header", test_may_be_from},
    {"MBX-05 header fields", test_field},
    {"MBX-08 marked as deleted by Mozilla", test_expunged},
    {"MBX-05 blank lines", test_blank},
    {"MBX-08 metadata fields", test_metadata},
    {"MBX-06 quoted From lines", test_quoting},
    {"MBX-06 the formats", test_formats},
    {"MBX-06 Content-Length fields", test_length},
    {"MBX-05 lax From_ lines", test_lax},
    {"MBX-08 folder internal data", test_internal},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("mbox_text", tests);
}
