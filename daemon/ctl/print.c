#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/count.h"
#include "common/escape.h"
#include "daemon/ctl/columns.h"
#include "daemon/ctl/print.h"

static bool
tcl_needs_backslash(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || strchr("\x7f{}\\", *s) != NULL)
			return true;
	return false;
}

/* An element of a Tcl list: in braces where that is enough, else each special octet with a
 * backslash (Tcl(n), rules 6 and 9). */
static void
tcl_element(const char *s)
{
	if (s[0] == '\0' || (s[strcspn(s, " []$\";")] != '\0' && !tcl_needs_backslash(s))) {
		printf("{%s}", s);
		return;
	}
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			printf("\\%03o", c);
		else
			printf(strchr(" {}[]$\";\\#", c) != NULL ? "\\%c" : "%c", c);
	}
}

void
text_print(FILE *out, const char *text)
{
	char octets[ESCAPE_SIZE];

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (escape_is_plain(c) || c == '\n' || c == '\t')
			putc(c, out);
		else
			fwrite(octets, 1, escape_octet(octets, c), out);
	}
}

static void
print_value(char *text, enum answer_form form)
{
	(void)form;
	text[strcspn(text, "\n")] = '\0';
	text_print(stdout, text);
	putchar('\n');
}

static void
print_list(char *text, enum answer_form form)
{
	const char *between = "", *line;

	if (form == FORM_TEXT) {
		text_print(stdout, text);
		return;
	}
	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
		fputs(between, stdout);
		tcl_element(line);
		between = " ";
	}
	putchar('\n');
}

static void
print_pair(const char *key, const char *value, enum answer_form form)
{
	if (form == FORM_TCL) {
		tcl_element(key);
		putchar(' ');
		tcl_element(value);
	} else {
		text_print(stdout, key);
		fputs(value[0] != '\0' ? " " : "", stdout);
		text_print(stdout, value);
		putchar('\n');
	}
}

static void
print_pairs(char *text, enum answer_form form)
{
	const char *between = "";
	char *line;

	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
		char *key = strsep(&line, "\t");

		fputs(between, stdout);
		print_pair(key, line != NULL ? line : "", form);
		between = form == FORM_TCL ? " " : "";
	}
	if (form == FORM_TCL)
		putchar('\n');
}

/* How wide each column has to be. */
static void
widths_find(const char *text, size_t width[COLUMNS_MAX])
{
	size_t column = 0;

	memset(width, 0, COLUMNS_MAX * sizeof(width[0]));
	while (*text != '\0') {
		size_t len = strcspn(text, "\t\n");

		if (column < COLUMNS_MAX && len > width[column])
			width[column] = len;
		text += len;
		column = *text == '\t' ? column + 1 : 0;
		text += *text != '\0';
	}
}

static void
print_row(char *names[], char *cells[], size_t n, const size_t width[], enum answer_form form)
{
	if (form == FORM_TEXT) {
		for (size_t i = 0; i < n; i++) {
			const char *cell = cells[i][0] != '\0' ? cells[i] : "-";

			text_print(stdout, cell);
			if (i + 1 < n)
				printf("%*s", (int)(width[i] - strlen(cell)) + 2, "");
		}
		putchar('\n');
		return;
	}
	putchar('{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			putchar(' ');
		print_pair(names[i], cells[i], form);
	}
	putchar('}');
}

static void
print_table(char *text, enum answer_form form)
{
	char *names[COLUMNS_MAX], *cells[COLUMNS_MAX], *line;
	size_t width[COLUMNS_MAX], n, between = 0;

	widths_find(text, width);
	if ((line = strsep(&text, "\n")) == NULL)
		return;
	n = columns_cut(line, names);
	if (form == FORM_TEXT)
		print_row(names, names, n, width, form);
	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
		if (form != FORM_TEXT && between++ > 0)
			putchar(' ');
		if (columns_cut(line, cells) == n)
			print_row(names, cells, n, width, form);
	}
	if (form == FORM_TCL)
		putchar('\n');
}

void
answer_print(char *text, enum answer_kind kind, enum answer_form form)
{
	static const struct {
		enum answer_kind kind;
		void (*print)(char *text, enum answer_form form);
	} kinds[] = {
	    {ANSWER_VALUE, print_value}, {ANSWER_NUMBER, print_value}, {ANSWER_TRUTH, print_value},
	    {ANSWER_LIST, print_list},	 {ANSWER_PAIRS, print_pairs},  {ANSWER_TABLE, print_table},
	};

	if (kind == ANSWER_METRICS) {
		fputs(text, stdout);
		return;
	}
	if (form == FORM_JSON && kind != ANSWER_NOTHING) {
		json_print(text, kind);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (kinds[i].kind == kind && (text[0] != '\0' || form != FORM_TEXT))
			kinds[i].print(text, form);
}
