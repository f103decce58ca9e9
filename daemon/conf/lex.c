#include "config.h"

#include <string.h>

#include "daemon/conf/lex.h"

/* Of words without quotes. */
static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "_.:/%@-";
static const char ends_word[] = " \t\r\n#{}=,\"'";

static void
fault_character(struct lexer *x, int c)
{
	if (c == '/')
		conf_fault(x->faults, x->at,
			   "expected \"#\" before a comment, or quotes around a value with \"//\"");
	else if (c > ' ' && c < 0x7f)
		conf_fault(x->faults, x->at, "unexpected \"%c\": expected quotes around the value",
			   c);
	else
		conf_fault(x->faults, x->at,
			   "unexpected character (octet 0x%02x): expected plain text, or quotes "
			   "around the value",
			   (unsigned)c);
}

/* Where the word with a wrong character ends; "${NAME}" belongs to it. */
static size_t
bad_length(const char *text)
{
	size_t n = strcspn(text, ends_word);

	while (n > 0 && text[n - 1] == '$' && text[n] == '{') {
		n += strcspn(text + n, "}\n");
		n += text[n] == '}' ? 1 : 0;
		n += strcspn(text + n, ends_word);
	}
	return n;
}

/* The current octet, which a NUL may stand for; NUL at the end. */
static char
lex_octet(const struct lexer *x)
{
	return x->cut != '\0' ? x->cut : x->text[x->next];
}

static void
lex_pass(struct lexer *x)
{
	x->next++;
	x->cut = '\0';
}

static void
lex_plain(struct lexer *x)
{
	char *text = x->text + x->next;
	size_t n = strspn(text, plain);
	bool bad = strchr(ends_word, text[n]) == NULL;

	if (memmem(text, n, "//", 2) != NULL) {
		fault_character(x, '/');
		x->next += strcspn(text, "\n"); /* the rest is meant as a comment */
		x->token.kind = TOKEN_BAD;
		return;
	}
	if (bad) {
		fault_character(x, (unsigned char)text[n]);
		n += bad_length(text + n);
	}
	x->token.kind = bad ? TOKEN_BAD : TOKEN_WORD;
	x->token.text = text;
	x->next += n;
	x->cut = text[n];
	text[n] = '\0';
}

/* The fault of a string at this octet, or NULL. */
static const char *
string_fault(const char *p, char quote)
{
	if (p[0] == '\\' && p[1] != '\\' && p[1] != quote)
		return "expected \"\\\\\" or the closing quote after a backslash";
	if (p[0] == '$' && p[1] == '{')
		return "\"${\" may not stand in a string: nothing is expanded in this file";
	if (p[0] == '\t')
		return "expected a string without control characters";
	return NULL;
}

static void
lex_string(struct lexer *x)
{
	char quote = lex_octet(x), *p = x->text + x->next + 1, *to = p;
	const char *why;

	lex_pass(x);
	x->token = (struct token){TOKEN_WORD, x->at.line, to};
	for (; *p != quote && strchr("\r\n", *p) == NULL; *to++ = *p++) {
		why = string_fault(p, quote);
		if (why != NULL) {
			conf_fault(x->faults, x->at, "%s", why);
			x->token.kind = TOKEN_BAD;
		} else if (*p == '\\')
			p++;
	}
	if (*p == quote) {
		x->next = (size_t)(p + 1 - x->text);
		*to = '\0';
		return;
	}
	conf_fault(x->faults, x->at, "expected a closing quote (%c) on the same line", quote);
	x->next = (size_t)(p - x->text);
	x->token.kind = TOKEN_BAD;
}

/* Pass over blanks, line ends and comments. */
static void
lex_skip(struct lexer *x)
{
	bool comment = false;
	char c;

	while ((c = lex_octet(x)) != '\0' && (comment || strchr(" \t\r\n#", c) != NULL)) {
		comment = c == '#' || (comment && c != '\n');
		x->at.line += c == '\n' ? 1 : 0;
		lex_pass(x);
	}
}

void
lex_next(struct lexer *x)
{
	static const struct {
		const char *text;
		enum token_kind kind;
	} marks[] = {{"=", TOKEN_EQUAL}, {",", TOKEN_COMMA}, {"{", TOKEN_OPEN}, {"}", TOKEN_CLOSE}};
	char c;

	lex_skip(x);
	x->token = (struct token){TOKEN_END, x->at.line, ""};
	c = lex_octet(x);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (c == marks[i].text[0]) {
			x->token = (struct token){marks[i].kind, x->at.line, marks[i].text};
			lex_pass(x);
			return;
		}
	if (c == '"' || c == '\'')
		lex_string(x);
	else if (c != '\0')
		lex_plain(x);
}

/* The line of the first octet that no text has, or 0. */
static int
binary_line(const char *text, size_t len)
{
	int line = 1;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			line++;
		else if (((unsigned char)text[i] < ' ' && text[i] != '\t' && text[i] != '\r') ||
			 text[i] == 0x7f)
			return line;
	}
	return 0;
}

int
lex_begin(struct lexer *x, struct conf_faults *faults, const char *path, char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	int binary = binary_line(text, len);

	*x = (struct lexer){.faults = faults, .at = {path, 1}, .text = text};
	text[len] = '\0';
	if (binary != 0) {
		conf_fault(faults, (struct conf_place){path, binary},
			   "unexpected control character: expected a file of text");
		return -1;
	}
	if (strncmp(text, mark, strlen(mark)) == 0)
		x->next = strlen(mark);
	lex_next(x);
	return 0;
}
