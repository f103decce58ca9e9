/* common/escape.c */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/escape.h"
#include "tests/unit/unit.h"

static void
test_text(void)
{
	char out[64];

	escape_text(out, sizeof(out), "a b~\x1b[2J\n%s\xc3\x7f\\");
	CU_ASSERT_STRING_EQUAL(out, "a b~\\x1b[2J\\x0a%s\\xc3\\x7f\\");
	escape_text(out, sizeof(out), "");
	CU_ASSERT_STRING_EQUAL(out, "");
}

/* At every size: it ends with a NUL inside, and only whole escapes stand before the cut. */
static void
test_cut(void)
{
	static const char src[] = "ab\n\n\n\ncd\n\n";
	char whole[64], out[64];

	escape_text(whole, sizeof(whole), src);
	for (size_t cap = ESCAPE_SIZE + sizeof("..."); cap < sizeof(out); cap++) {
		size_t n;

		memset(out, '#', sizeof(out));
		escape_text(out, cap, src);
		n = strlen(out);
		CU_ASSERT_TRUE(n < cap);
		CU_ASSERT_EQUAL(out[cap], '#');
		if (strcmp(out, whole) == 0)
			continue;
		CU_ASSERT_STRING_EQUAL(out + n - 3, "...");
		CU_ASSERT_EQUAL(strncmp(out, whole, n - 3), 0);
		CU_ASSERT_TRUE(whole[n - 3] == '\\' || n - 3 == 1 || whole[n - 3] == 'd' ||
			       whole[n - 3] == 'c' || whole[n - 3] == 'b');
	}
}

static void
test_print(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	for (const char *p = "a\\\t\xff"; *p != '\0'; p++)
		escape_print(out, (unsigned char)*p);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, "a\\\\\\x09\\xff");
	free(text);
}

static const struct unit_test tests[] = {
    {"text", test_text},
    {"cut at a whole escape", test_cut},
    {"printed", test_print},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("escape", tests);
}
