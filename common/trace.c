#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/count.h"
#include "common/pop3.h"
#include "common/trace.h"

static const char hidden[] = " ****";

static bool
is_number(const char *word, size_t len)
{
	uint64_t n;

	return pop3_number(word, len, &n) == 0;
}

/* The name of an account. */
static bool
is_name(const char *word, size_t len)
{
	(void)word;
	return len <= TRACE_TEXT_SIZE / 2;
}

/* A known name: a SASL response may look like that of a mechanism. */
static bool
is_mechanism(const char *word, size_t len)
{
	static const char *const known[] = {"PLAIN",
					    "LOGIN",
					    "CRAM-MD5",
					    "DIGEST-MD5",
					    "NTLM",
					    "GSSAPI",
					    "EXTERNAL",
					    "ANONYMOUS",
					    "XOAUTH2",
					    "OAUTHBEARER",
					    "SCRAM-SHA-1",
					    "SCRAM-SHA-256",
					    "SCRAM-SHA-512",
					    "SCRAM-SHA-1-PLUS",
					    "SCRAM-SHA-256-PLUS"};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (strlen(known[i]) == len && strncasecmp(known[i], word, len) == 0)
			return true;
	return false;
}

/* What the arguments of a command have to be to be shown; NULL: not shown. */
static const struct trace_rule {
	char keyword[5];
	bool (*shows[2])(const char *word, size_t len);
} rules[] = {
    {"USER", {is_name, NULL}},	    {"PASS", {NULL, NULL}},	 {"APOP", {NULL, NULL}},
    {"AUTH", {is_mechanism, NULL}}, {"STLS", {NULL, NULL}},	 {"CAPA", {NULL, NULL}},
    {"STAT", {NULL, NULL}},	    {"LIST", {is_number, NULL}}, {"UIDL", {is_number, NULL}},
    {"RETR", {is_number, NULL}},    {"DELE", {is_number, NULL}}, {"TOP", {is_number, is_number}},
    {"NOOP", {NULL, NULL}},	    {"RSET", {NULL, NULL}},	 {"QUIT", {NULL, NULL}},
};

static const struct trace_rule *
rule_find(const char *keyword)
{
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (strcmp(rules[i].keyword, keyword) == 0)
			return &rules[i];
	return NULL;
}

/* Octets of the line up to the end of the last word that is shown. */
static size_t
shown_length(const struct trace_rule *rule, const struct pop3_command *c, const char *line)
{
	size_t shown = strlen(rule->keyword);

	for (unsigned i = 0; i < COUNT_OF(rule->shows) && i < c->argc; i++) {
		if (rule->shows[i] == NULL || !rule->shows[i](c->argv[i], c->arg_len[i]))
			break;
		shown = (size_t)(c->argv[i] + c->arg_len[i] - line);
	}
	return shown < TRACE_TEXT_SIZE - sizeof(hidden) ? shown : strlen(rule->keyword);
}

size_t
trace_mask(char dst[TRACE_TEXT_SIZE], const char *line, size_t len, bool sasl)
{
	const struct trace_rule *rule = NULL;
	struct pop3_command c;
	size_t shown;
	int n;

	if (sasl)
		n = snprintf(dst, TRACE_TEXT_SIZE, "%s", len == 1 && line[0] == '*' ? "*" : "****");
	else if (pop3_parse(line, len, &c) == -1 || (rule = rule_find(c.keyword)) == NULL)
		n = snprintf(dst, TRACE_TEXT_SIZE, "(%zu octets)", len);
	else {
		shown = shown_length(rule, &c, line);
		n = snprintf(dst, TRACE_TEXT_SIZE, "%.*s%s", (int)shown, line,
			     shown < len ? hidden : "");
	}
	return n < 0 ? 0 : (size_t)n;
}
