/*
 * The words follow what clients decide by them (tests/system/test_clients.py):
 *
 *	in the reply			fetchmail		Claws, Sylpheed
 *	"lock" or "wait"		9, mailbox locked	mailbox locked
 *	"[IN-USE]"			9, mailbox locked
 *	"service" and "unavailable"	14, server busy
 *	"timeout"						trouble of the server
 *	none of these			3, wrong password	wrong password, forgotten
 *
 * So a wrong password alone has none of these words, a locked mailbox has "lock",
 * and trouble of the server has "service unavailable" and "timeout".  getmail,
 * mpop, Thunderbird and Evolution show the text as it is.
 *
 * No text but a response code has a '[' (RFC 2449 section 3), and none shows
 * what the client sent.
 */
#include "config.h"

#include <stddef.h>

#include "common/replies.h"

#define TEMP  "-ERR [SYS/TEMP] service unavailable"
#define PERM  "-ERR [SYS/PERM] service unavailable"
#define LATER "try again after a short timeout"
#define NEVER "no timeout will help: ask the administrator"

static const char *const replies[REPLY_COUNT] = {
    [REPLY_FULL] = TEMP ": too many connections, " LATER,
    [REPLY_BARRED] = PERM ": clients of this network are not served, " NEVER,
    [REPLY_UNKNOWN] = "-ERR unknown command",
    [REPLY_MALFORMED] = "-ERR malformed command",
    [REPLY_TOO_LONG] = "-ERR line too long",
    [REPLY_TOO_MANY] = "-ERR too many refused commands, closing the connection",
    [REPLY_NO_HTTP] = "-ERR this is a POP3 server and speaks no HTTP",
    [REPLY_NO_HELLO] = "-ERR no TLS handshake is expected here: STLS comes first",
    [REPLY_NOT_YET] = "-ERR client not authenticated, log in first",
    [REPLY_NEEDS_TLS] = "-ERR login without TLS is refused, use STLS first",
    [REPLY_NO_CLEARTEXT] = "-ERR login without TLS is refused",
    [REPLY_NAME_TAKEN] = "+OK send PASS",
    [REPLY_NEEDS_USER] = "-ERR send USER first",
    [REPLY_USER_CHOSEN] = "-ERR login mechanism USER/PASS was chosen",
    [REPLY_NO_MECHANISM] = "-ERR mechanism not offered; use PLAIN",
    [REPLY_SASL_MALFORMED] = "-ERR malformed response",
    [REPLY_SASL_CANCELLED] = "-ERR authentication cancelled",
    [REPLY_BEGIN_TLS] = "+OK begin TLS",
    [REPLY_TLS_ON] = "-ERR TLS is on already",
    [REPLY_NO_TLS] = "-ERR [SYS/PERM] TLS is not available",
    [REPLY_QUIT] = "+OK goodbye",
    /* "authentication failed" is what scripts for the model system look for */
    [REPLY_BAD] = "-ERR [AUTH] wrong user name or password, authentication failed",
    [REPLY_TEMP] = TEMP ", " LATER,
    [REPLY_PERM] = PERM ", " NEVER,
    [REPLY_STORE_TEMP] = TEMP ": the maildrop cannot be opened now, " LATER,
    [REPLY_STORE_PERM] = PERM ": the maildrop cannot be opened, " NEVER,
    [REPLY_SESSIONS] = "-ERR [IN-USE] this maildrop is locked: its user has too many sessions",
    [REPLY_IN_USE] = "-ERR [IN-USE] this maildrop is locked",
    [REPLY_IN_USE_OTHER] = "-ERR [IN-USE] this maildrop is locked by another session",
    [REPLY_IN_USE_ELSEWHERE] = "-ERR [IN-USE] this maildrop is locked by another session, program "
			       "or host",
};

const char *
reply_text(enum reply reply)
{
	return replies[reply];
}
