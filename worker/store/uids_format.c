/*
 * Dovecot's pop3_uidl_format: text with variables "%[0][WIDTH][MODIFIER...]LETTER".
 * A modifier changes the value, one after the other: X, hexadecimal of a decimal
 * number and 0 of what is none; L and U, lower and upper case; M, MD5 in hexadecimal.  In
 * the end a WIDTH with 0 before it fills up with zeros, one without cuts.
 */
#include "config.h"

#include <inttypes.h>
#include <md5.h>
#include <stdio.h>
#include <string.h>

#include "worker/store/uids_foreign.h"

enum { VALUE_SIZE = 512 /* a file name is shorter */, WIDTH_MAX = VALUE_SIZE - 1 };

/* What can stand behind a "%", and in which order. */
struct variable {
	bool zeros;
	size_t width; /* 0: none */
	const char *modifiers;
	size_t modifier_count;
	char letter;
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

/* Take apart what stands behind a "%", from *p on, which is moved behind it. */
static void
variable_parse(const char **p, struct variable *out)
{
	const char *at = *p;

	*out = (struct variable){.zeros = *at == '0'};
	for (; *at >= '0' && *at <= '9'; at++)
		if (out->width <= WIDTH_MAX)
			out->width = 10 * out->width + (size_t)(*at - '0');
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
	bool any = false;
	struct variable v;

	while ((format = strchr(format, '%')) != NULL) {
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
			       "%f and %g, a width, and X, L, U and M";
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
