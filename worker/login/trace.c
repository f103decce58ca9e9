#include "config.h"

#include "worker/login/trace.h"

#include <stdio.h>
#include <string.h>

#include "common/pop3.h"

/* Commands whose arguments hold no secret; of all others only the keyword is shown. */
static bool
trace_is_harmless(const char *keyword)
{
	static const char *const harmless[] = {"CAPA", "USER", "STLS", "QUIT", "STAT", "LIST",
					       "RETR", "DELE", "NOOP", "RSET", "TOP",  "UIDL"};
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(harmless[i], keyword) == 0)
			return true;
	return false;
}

static size_t
trace_copy(char dst[TRACE_TEXT_SIZE], const char *octets, size_t len)
{
	if (len >= TRACE_TEXT_SIZE)
		len = TRACE_TEXT_SIZE - 1;
	memcpy(dst, octets, len);
	dst[len] = '\0';
	return len;
}

size_t
trace_mask(char dst[TRACE_TEXT_SIZE], const char *line, size_t len, bool sasl)
{
	struct pop3_command cmd;
	int n;

	if (sasl)
		n = snprintf(dst, TRACE_TEXT_SIZE, "%s", len == 1 && line[0] == '*' ? "*" : "****");
	else if (pop3_parse(line, len, &cmd) == -1)
		n = snprintf(dst, TRACE_TEXT_SIZE, "(malformed, %zu octets)", len);
	else if (trace_is_harmless(cmd.keyword))
		return trace_copy(dst, line, len);
	else if (strcmp(cmd.keyword, "AUTH") == 0 && cmd.argc > 0)
		n = snprintf(dst, TRACE_TEXT_SIZE, "AUTH %.*s%s",
			     cmd.arg_len[0] > 20 ? 20 : (int)cmd.arg_len[0], cmd.argv[0],
			     cmd.argc > 1 ? " ****" : "");
	else
		n = snprintf(dst, TRACE_TEXT_SIZE, "%s%s", cmd.keyword,
			     cmd.rest_len > 0 ? " ****" : "");
	return n < 0 ? 0 : (size_t)n;
}
