/* Command lines, numbers and capability lists: see pop3.h. */
#include "config.h"

#include <string.h>

#include "common/pop3.h"

enum { KEYWORD_MIN = 3, KEYWORD_MAX = 4 };

/* <ctype.h> would follow the locale. */
static bool
pop3_is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static char
pop3_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Blanks and printable ASCII only; octets above 0x7F where `high`. */
static bool
pop3_is_plain(const char *octets, size_t len, bool high)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)octets[i];

		if (c < 0x20 || c == 0x7f || (c > 0x7f && !high))
			return false;
	}
	return true;
}

/* Length of the keyword, 0 if there is none. */
static size_t
pop3_take_keyword(const char *line, size_t len, char keyword[8])
{
	size_t n = 0;

	while (n < len && n <= KEYWORD_MAX && pop3_is_letter(line[n]))
		n++;
	if (n < KEYWORD_MIN || n > KEYWORD_MAX || (n < len && line[n] != ' '))
		return 0;
	for (size_t i = 0; i < n; i++)
		keyword[i] = pop3_upper(line[i]);
	return n;
}

static void
pop3_split_rest(struct pop3_command *cmd)
{
	size_t at = 0;

	while (cmd->argc <= 2) {
		size_t start;

		while (at < cmd->rest_len && cmd->rest[at] == ' ')
			at++;
		start = at;
		while (at < cmd->rest_len && cmd->rest[at] != ' ')
			at++;
		if (at == start)
			return;
		if (cmd->argc < 2) {
			cmd->argv[cmd->argc] = cmd->rest + start;
			cmd->arg_len[cmd->argc] = at - start;
		}
		cmd->argc++;
	}
}

int
pop3_parse(const char *line, size_t len, struct pop3_command *cmd)
{
	size_t n;

	memset(cmd, 0, sizeof(*cmd));
	n = pop3_take_keyword(line, len, cmd->keyword);
	if (n == 0 || !pop3_is_plain(line, len, strcmp(cmd->keyword, "PASS") == 0)) {
		memset(cmd, 0, sizeof(*cmd));
		return -1;
	}
	if (n < len) {
		cmd->rest = line + n + 1;
		cmd->rest_len = len - n - 1;
		pop3_split_rest(cmd);
	}
	return 0;
}

int
pop3_number(const char *digits, size_t len, uint64_t *value)
{
	uint64_t sum = 0;

	if (len == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit;

		if (digits[i] < '0' || digits[i] > '9')
			return -1;
		digit = (uint64_t)(digits[i] - '0');
		if (sum > (UINT64_MAX - digit) / 10)
			return -1;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return 0;
}

enum capa_when { CAPA_ALWAYS, CAPA_LOGIN_ALLOWED, CAPA_STLS, CAPA_AFTER_LOGIN };

static const struct {
	enum capa_when when;
	const char *line;
} capa_lines[] = {
    {CAPA_ALWAYS, "+OK Capability list follows\r\n"},
    {CAPA_ALWAYS, "TOP\r\n"},
    {CAPA_ALWAYS, "UIDL\r\n"},
    {CAPA_ALWAYS, "RESP-CODES\r\n"},
    {CAPA_ALWAYS, "AUTH-RESP-CODE\r\n"},
    {CAPA_ALWAYS, "PIPELINING\r\n"},
    {CAPA_LOGIN_ALLOWED, "SASL PLAIN LOGIN\r\n"},
    {CAPA_LOGIN_ALLOWED, "USER\r\n"},
    {CAPA_STLS, "STLS\r\n"},
    {CAPA_AFTER_LOGIN, "IMPLEMENTATION pop3d-" PACKAGE_VERSION "\r\n"},
    {CAPA_ALWAYS, ".\r\n"},
};

size_t
pop3_capa(const struct pop3_capa *c, char out[POP3_CAPA_MAX])
{
	const bool holds[] = {
	    [CAPA_ALWAYS] = true,
	    [CAPA_LOGIN_ALLOWED] = c->login_allowed,
	    [CAPA_STLS] = c->stls && !c->after_login, /* RFC 2595 section 8 */
	    [CAPA_AFTER_LOGIN] = c->after_login,
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(capa_lines) / sizeof(capa_lines[0]); i++) {
		size_t len = strlen(capa_lines[i].line);

		if (!holds[capa_lines[i].when] || len > POP3_CAPA_MAX - used)
			continue;
		memcpy(out + used, capa_lines[i].line, len);
		used += len;
	}
	return used;
}
