/*
 * Dovecot's pop3_uidl_format: text with variables "%[0][WIDTH][MODIFIER...]LETTER".
 * A modifier changes the value, one after the other: X, hexadecimal of a decimal
 * number and 0 of what is none; L and U, lower and upper case; M, MD5 in hexadecimal.  In
 * the end a WIDTH with 0 before it fills up with zeros, one without cuts.
 *
 * Since 2.4 a variable is "%{NAME | FILTER ...}": hex and hex(WIDTH), lower, upper and md5 are
 * those modifiers.  Dovecot's documentation, Settings Variables, 2.4.0; its expansion-filter.c
 * for what the filters refuse.
 */
#include "config.h"

#include <inttypes.h>
#include <md5.h>
#include <stdio.h>
#include <string.h>

#include "common/count.h"
#include "worker/store/uids_foreign.h"

enum {
	VALUE_SIZE = 512 /* a file name is shorter */,
	WIDTH_MAX = VALUE_SIZE - 1,
	HEX_WIDTH_MIN = 8, /* that no number of 32 bits exceeds: Dovecot would cut it */
	FILTERS_MAX = 4
};

/* What can stand behind a "%", and in which order. */
struct variable {
	bool zeros;
	size_t width; /* 0: none */
	const char *modifiers;
	size_t modifier_count;
	char letter; /* '\0': none that is known */
	char filters[FILTERS_MAX];
};

enum foreign_result
foreign_broken(struct foreign_reader *r, const char *why)
{
	r->wrong = why;
	return FOREIGN_BROKEN;
}

bool
foreign_number(const char *digits, const char *end, uint64_t *out)
{
	*out = 0;
	if (digits == end)
		return false;
	for (; digits < end; digits++)
		if (*digits < '0' || *digits > '9' || __builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(*digits - '0'), out))
			return false;
	return true;
}

static void
modify_hex(char *value)
{
	uint64_t n;

	if (!foreign_number(value, value + strlen(value), &n))
		n = 0;
	(void)snprintf(value, VALUE_SIZE, "%" PRIx64, n);
}

static void
modify_lower(char *value)
{
	for (; *value != '\0'; value++)
		if (*value >= 'A' && *value <= 'Z')
			*value = (char)(*value - 'A' + 'a');
}

static void
modify_upper(char *value)
{
	for (; *value != '\0'; value++)
		if (*value >= 'a' && *value <= 'z')
			*value = (char)(*value - 'a' + 'A');
}

static void
modify_md5(char *value)
{
	(void)MD5Data((const uint8_t *)value, strlen(value), value);
}

static const struct {
	char letter;
	void (*modify)(char *value);
} modifiers[] = {
    {'L', modify_lower},
    {'M', modify_md5},
    {'U', modify_upper},
    {'X', modify_hex},
};

/* Apply the modifier of that letter, or with NULL only say whether there is one. */
static bool
modify(char letter, char *value)
{
	for (size_t i = 0; i < sizeof(modifiers) / sizeof(modifiers[0]); i++) {
		if (modifiers[i].letter != letter)
			continue;
		if (value != NULL)
			modifiers[i].modify(value);
		return true;
	}
	return false;
}

/* Read digits; *p is moved behind them. */
static size_t
width_parse(const char **p)
{
	size_t width = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++)
		if (width <= WIDTH_MAX)
			width = 10 * width + (size_t)(**p - '0');
	return width;
}

/* The words of Dovecot 2.4, and the letters that say the same. */
static const struct word {
	const char *name;
	char letter;
} names[] = {{"filename", 'f'}, {"guid", 'g'}, {"md5", 'm'}, {"uid", 'u'}, {"uidvalidity", 'v'}},
  filters[] = {{"hex", 'X'}, {"lower", 'L'}, {"md5", 'M'}, {"upper", 'U'}};

/* Read a word and the blanks around it; *p is moved behind them.  Its letter, '\0' if it has none.
 */
static char
word_parse(const char **p, const struct word *words, size_t count)
{
	const char *at = *p + strspn(*p, " ");
	size_t len = strcspn(at, " |()}%");

	*p = at + len + strspn(at + len, " ");
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i].name) == len && memcmp(words[i].name, at, len) == 0)
			return words[i].letter;
	return '\0';
}

/* Read "(WIDTH)". */
static bool
braces_width(const char **p, struct variable *out)
{
	(*p)++;
	out->zeros = true;
	out->width = width_parse(p);
	if (**p != ')' || out->width < HEX_WIDTH_MIN)
		return false;
	(*p)++;
	*p += strspn(*p, " ");
	return true;
}

/* Read "| FILTER".  Only a number has a hexadecimal form; MD5 gives octets that are shown as
 * hexadecimal when nothing else comes. */
static bool
braces_filter(const char **p, struct variable *out)
{
	size_t n = out->modifier_count;
	char filter;

	(*p)++;
	filter = word_parse(p, filters, COUNT_OF(filters));
	if (filter == '\0' || n == FILTERS_MAX || (n > 0 && out->filters[n - 1] == 'M') ||
	    (filter == 'X' && (n > 0 || strchr("uv", out->letter) == NULL)) ||
	    (filter == 'M' && out->width > 0))
		return false;
	out->filters[out->modifier_count++] = filter;
	return **p != '(' || (filter == 'X' && braces_width(p, out));
}

/* Take apart "{NAME | FILTER ...}", from *p on, which is moved behind it. */
static void
braces_parse(const char **p, struct variable *out)
{
	bool good;

	*out = (struct variable){.modifiers = out->filters};
	(*p)++;
	out->letter = word_parse(p, names, COUNT_OF(names));
	good = out->letter != '\0';
	while (good && **p == '|')
		good = braces_filter(p, out);
	if (!good || **p != '}')
		out->letter = '\0';
	else
		(*p)++;
}

/* Take apart what stands behind a "%", from *p on, which is moved behind it. */
static void
variable_parse(const char **p, struct variable *out)
{
	const char *at = *p;

	if (*at == '{') {
		braces_parse(p, out);
		return;
	}
	*out = (struct variable){.zeros = *at == '0'};
	out->width = width_parse(&at);
	out->modifiers = at;
	while (modify(*at, NULL))
		at++;
	out->modifier_count = (size_t)(at - out->modifiers);
	out->letter = *at;
	*p = *at == '\0' ? at : at + 1;
}

const char *
uid_format_check(const char *format)
{
	bool braces = strstr(format, "%{") != NULL, any = false;
	struct variable v;

	while ((format = strchr(format, '%')) != NULL) {
		if (braces && format[1] != '{')
			return "it has a % that begins no %{variable}";
		if (*++format == '%') {
			format++;
			continue;
		}
		variable_parse(&format, &v);
		if (v.letter == 'm')
			return "%m is of mbox files alone; Dovecot has no unique-ids of that "
			       "format in a Maildir";
		if (v.letter == '\0' || strchr("fguv", v.letter) == NULL)
			return "it has a variable or modifier that is not known: known are %u, %v, "
			       "%f and %g, a width, and X, L, U and M, and of Dovecot 2.4 %{uid}, "
			       "%{uidvalidity}, %{filename} and %{guid} with hex, hex(8), lower, "
			       "upper and md5";
		if (v.width > WIDTH_MAX)
			return "it has too large a width";
		any = true;
	}
	return any ? NULL : "it has no variable";
}

static void
variable_value(const struct variable *var, const struct uid_values *v, char value[VALUE_SIZE])
{
	if (var->letter == 'f')
		(void)snprintf(value, VALUE_SIZE, "%.*s", (int)v->name_len, v->name);
	else if (var->letter == 'g')
		(void)snprintf(value, VALUE_SIZE, "%.*s", (int)v->guid_len, v->guid);
	else
		(void)snprintf(value, VALUE_SIZE, "%" PRIu64,
			       var->letter == 'u' ? v->uid : v->validity);
}

/* The value of a variable with its modifiers and width. */
static void
variable_expand(const struct variable *var, const struct uid_values *v, char value[VALUE_SIZE])
{
	size_t len;

	variable_value(var, v, value);
	for (size_t i = 0; i < var->modifier_count; i++)
		(void)modify(var->modifiers[i], value);
	len = strlen(value);
	if (var->zeros && len < var->width) {
		memmove(value + (var->width - len), value, len + 1);
		memset(value, '0', var->width - len);
	} else if (!var->zeros && var->width > 0 && len > var->width) {
		value[var->width] = '\0';
	}
}

bool
uid_format_expand(const char *format, const struct uid_values *v, char *out, size_t cap)
{
	char value[VALUE_SIZE];
	struct variable var;
	size_t n = 0;

	while (*format != '\0') {
		value[0] = *format++;
		value[1] = '\0';
		if (value[0] == '%' && *format == '%') {
			format++;
		} else if (value[0] == '%') {
			variable_parse(&format, &var);
			variable_expand(&var, v, value);
		}
		if (strlen(value) >= cap - n)
			return false;
		memcpy(out + n, value, strlen(value) + 1);
		n += strlen(value);
	}
	return n > 0;
}
