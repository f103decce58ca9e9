/*
 * A value of each kind: how it is read from the file and written to it.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/count.h"
#include "common/pop3.h"
#include "common/network.h"
#include "daemon/conf/conf_priv.h"

/* A part as "2h" at *text, of a unit further down than *suffix; moves both on.  0 or -1. */
static int
part_parse(const char **text, const struct conf_suffix **suffix, uint64_t *sum)
{
	size_t digits = strspn(*text, "0123456789"), letters = 0;
	const struct conf_suffix *s = *suffix;
	uint64_t n;

	if (pop3_number(*text, digits, &n) == -1)
		return -1;
	letters = strcspn(*text + digits, "0123456789");
	for (; s->suffix != NULL; s++)
		if (strlen(s->suffix) == letters && memcmp(s->suffix, *text + digits, letters) == 0)
			break;
	if (s->suffix == NULL || n > (UINT64_MAX - *sum) / s->factor)
		return -1;
	*sum += n * s->factor;
	*text += digits + letters;
	*suffix = s + 1;
	return 0;
}

/* "2h30m" or a plain number, in the unit (NULL: plain).  0 or -1. */
static int
quantity_parse(const char *text, const struct conf_unit *unit, uint64_t *n)
{
	const struct conf_suffix *suffix = unit != NULL ? unit->suffixes : NULL;

	if (pop3_number(text, strlen(text), n) == 0)
		return 0;
	if (suffix == NULL || *text == '\0')
		return -1;
	for (*n = 0; *text != '\0';)
		if (part_parse(&text, &suffix, n) == -1)
			return -1;
	return 0;
}

static int
number_store(const struct conf_setting *s, void *at, const char *value,
	     char expected[CONF_EXPECTED_SIZE])
{
	uint64_t n;

	if (s->words != NULL && strcmp(value, s->words->word) == 0) {
		n = (uint64_t)s->words->value;
	} else if (quantity_parse(value, s->unit, &n) == -1 || n < s->min || n > s->max) {
		snprintf(expected, CONF_EXPECTED_SIZE, "a number from %u to %u%s%s%s%s%s%s", s->min,
			 s->max, s->unit != NULL ? " (" : "", s->unit != NULL ? s->unit->name : "",
			 s->unit != NULL ? ")" : "", s->words != NULL ? " or \"" : "",
			 s->words != NULL ? s->words->word : "", s->words != NULL ? "\"" : "");
		return -1;
	}
	memcpy(at, &(uint32_t){(uint32_t)n}, sizeof(uint32_t));
	return 0;
}

static void
text_print(const struct conf_setting *s, const void *at, FILE *out)
{
	const char *text = at;

	(void)s;
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void
number_print(const struct conf_setting *s, const void *at, FILE *out)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	if (s->words != NULL && n == (uint32_t)s->words->value)
		text_print(s, s->words->word, out);
	else
		fprintf(out, "%u", n);
	if (s->unit != NULL)
		fprintf(out, "\t# %s", s->unit->name);
}

static int
word_store(const struct conf_setting *s, void *at, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	const struct conf_word *w;
	size_t used;

	for (w = s->words; w->word != NULL; w++)
		if (strcmp(w->word, value) == 0) {
			memcpy(at, &w->value, sizeof(w->value));
			return 0;
		}
	snprintf(expected, CONF_EXPECTED_SIZE, "one of");
	for (w = s->words; w->word != NULL; w++) {
		used = strlen(expected);
		snprintf(expected + used, CONF_EXPECTED_SIZE - used, "%s \"%s\"",
			 w == s->words ? "" : ",", w->word);
	}
	return -1;
}

static void
word_print(const struct conf_setting *s, const void *at, FILE *out)
{
	const struct conf_word *w;

	for (w = s->words; w->word != NULL && memcmp(at, &w->value, sizeof(w->value)) != 0; w++)
		;
	text_print(s, w->word != NULL ? w->word : "", out);
}

static int
flag_store(const struct conf_setting *s, void *at, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};

	(void)s;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		for (size_t yes = 0; yes < 2; yes++)
			if (strcasecmp(value, words[i][yes]) == 0) {
				memcpy(at, &(bool){yes == 1}, sizeof(bool));
				return 0;
			}
	snprintf(expected, CONF_EXPECTED_SIZE, "yes or no");
	return -1;
}

static void
flag_print(const struct conf_setting *s, const void *at, FILE *out)
{
	bool value;

	(void)s;
	memcpy(&value, at, sizeof(value));
	fputs(value ? "yes" : "no", out);
}

/* Octets of one value. */
static size_t
value_size(const struct conf_setting *s)
{
	return conf_setting_is_list(s) ? s->each : s->size;
}

static int
text_store(const struct conf_setting *s, void *at, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	const char *why = s->check != NULL ? s->check(value) : NULL;
	size_t max = s->max != 0 ? s->max : value_size(s) - 1;

	if (why != NULL || strlen(value) > max) {
		if (why != NULL)
			snprintf(expected, CONF_EXPECTED_SIZE, "%s", why);
		else
			snprintf(expected, CONF_EXPECTED_SIZE, "at most %zu octets", max);
		return -1;
	}
	memset(at, 0, value_size(s));
	memcpy(at, value, strlen(value));
	return 0;
}

/* In the one form in which an address is kept. */
static int
address_store(const struct conf_setting *s, void *at, const char *value,
	      char expected[CONF_EXPECTED_SIZE])
{
	int family = strchr(value, ':') != NULL ? AF_INET6 : AF_INET;
	struct in6_addr octets;

	memset(at, 0, s->each);
	if (strcmp(value, "*") == 0) {
		memcpy(at, value, sizeof("*"));
		return 0;
	}
	/* IPv6 sockets serve IPv6 only, so a mapped address would never see a client. */
	if (inet_pton(family, value, &octets) == 1 &&
	    !(family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&octets)) &&
	    inet_ntop(family, &octets, at, (socklen_t)s->each) != NULL)
		return 0;
	snprintf(expected, CONF_EXPECTED_SIZE, "\"*\" or a numeric IPv4 or IPv6 address");
	return -1;
}

static int
network_store(const struct conf_setting *s, void *at, const char *value,
	      char expected[CONF_EXPECTED_SIZE])
{
	struct network n = {0};

	(void)s;
	if (*value == '\0' || network_parse(value, &n) == 0) {
		memcpy(at, &n, sizeof(n));
		return 0;
	}
	if (errno == ERANGE)
		snprintf(expected, CONF_EXPECTED_SIZE,
			 "a network whose address has no bits behind the first %u", n.bits);
	else
		snprintf(expected, CONF_EXPECTED_SIZE,
			 "a network such as \"192.0.2.0/24\" or \"2001:db8::/32\", or an address");
	return -1;
}

static void
network_print(const struct conf_setting *s, const void *at, FILE *out)
{
	const struct network *n = at;
	char text[INET6_ADDRSTRLEN];

	(void)s;
	if (n->address.family == 0)
		fputs("\"\"", out);
	else
		fprintf(out, "\"%s/%u\"",
			inet_ntop(n->address.family, n->address.octets, text, sizeof(text)),
			n->bits);
}

static const struct {
	/* The value into its place `at`; 0, or -1 with what was expected. */
	int (*store)(const struct conf_setting *s, void *at, const char *value,
		     char expected[CONF_EXPECTED_SIZE]);
	void (*print)(const struct conf_setting *s, const void *at, FILE *out);
} kinds[] = {
    [CONF_NUMBER] = {number_store, number_print}, [CONF_WORD] = {word_store, word_print},
    [CONF_FLAG] = {flag_store, flag_print},	  [CONF_TEXT] = {text_store, text_print},
    [CONF_ADDRESS] = {address_store, text_print}, [CONF_NETWORK] = {network_store, network_print},
};

static_assert(offsetof(struct conf_paths, path) == sizeof(size_t) &&
		  offsetof(struct conf_addresses, address) == sizeof(size_t) &&
		  offsetof(struct conf_networks, network) == sizeof(size_t) &&
		  offsetof(struct conf_ports, number) == sizeof(size_t),
	      "a list is its length, and its values behind that");

bool
conf_setting_is_list(const struct conf_setting *s)
{
	return s->most > 0;
}

/* One value more of a list. */
static int
list_store(const struct conf_setting *s, size_t *n, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	char *first = (char *)(n + 1), *at = first + *n * s->each;

	if (*n == s->most) {
		snprintf(expected, CONF_EXPECTED_SIZE, "at most %zu %s", s->most, s->noun);
		return -1;
	}
	if (kinds[s->kind].store(s, at, value, expected) == -1)
		return -1;
	for (const char *other = first; s->once && other < at; other += s->each)
		if (memcmp(other, at, s->each) == 0) {
			snprintf(expected, CONF_EXPECTED_SIZE, "each %s once", s->name);
			return -1;
		}
	(*n)++;
	return 0;
}

static void
list_print(const struct conf_setting *s, const size_t *n, FILE *out)
{
	const char *at = (const char *)(n + 1);

	fputs(*n == 0 ? "\"\"" : *n > 1 ? "{" : "", out);
	for (size_t i = 0; i < *n; i++, at += s->each) {
		fputs(i > 0 ? ", " : "", out);
		kinds[s->kind].print(s, at, out);
	}
	fputs(*n > 1 ? "}" : "", out);
}

int
conf_setting_store(const struct conf_setting *s, void *base, const char *value,
		   char expected[CONF_EXPECTED_SIZE])
{
	void *at = (char *)base + s->offset;

	return conf_setting_is_list(s) ? list_store(s, at, value, expected)
				       : kinds[s->kind].store(s, at, value, expected);
}

void
conf_setting_print(const struct conf_setting *s, const void *base, FILE *out)
{
	const void *at = (const char *)base + s->offset;

	if (conf_setting_is_list(s))
		list_print(s, at, out);
	else
		kinds[s->kind].print(s, at, out);
}

bool
conf_setting_is_unwise(const struct conf_setting *s, const void *base)
{
	uint32_t n;

	if (s->advice == NULL)
		return false;
	memcpy(&n, (const char *)base + s->offset, sizeof(n));
	return n < s->advised;
}
