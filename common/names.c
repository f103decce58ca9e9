#include "config.h"

#include <string.h>

#include "common/names.h"

const char *
login_result_name(enum login_result result)
{
	static const char *const names[] = {
	    [LOGIN_OK] = "ok",	   [LOGIN_BAD] = "auth",      [LOGIN_TEMP] = "temp",
	    [LOGIN_PERM] = "perm", [LOGIN_IN_USE] = "in-use",
	};

	return names[result];
}

const char *
login_mech_name(enum login_mech mech)
{
	static const char *const names[MECH_COUNT] = {
	    [MECH_USER] = "USER",
	    [MECH_PLAIN] = "PLAIN",
	    [MECH_LOGIN] = "LOGIN",
	    [MECH_APOP] = "APOP",
	};

	return names[mech];
}

const char *
conn_end_name(enum conn_end why)
{
	static const char *const names[CONN_END_COUNT] = {
	    [CONN_END_QUIT] = "quit",	      [CONN_END_CLIENT] = "closed",
	    [CONN_END_TIMEOUT] = "timeout",   [CONN_END_TLS] = "tls",
	    [CONN_END_FAILURES] = "failures", [CONN_END_ABUSE] = "abuse",
	    [CONN_END_DROPPED] = "dropped",   [CONN_END_RELAY] = "relay",
	    [CONN_END_CROWDED] = "crowded",   [CONN_END_BARRED] = "barred",
	    [CONN_END_ERROR] = "error",
	};

	return names[why];
}

const char *
session_end_name(enum session_end why)
{
	static const char *const names[SESSION_END_COUNT] = {
	    [SESSION_END_QUIT] = "quit",	   [SESSION_END_UPDATE] = "update-failed",
	    [SESSION_END_CLIENT] = "closed",	   [SESSION_END_TIMEOUT] = "timeout",
	    [SESSION_END_STORE] = "mailbox-error", [SESSION_END_SHUTDOWN] = "shutdown",
	    [SESSION_END_ABUSE] = "abuse",	   [SESSION_END_REFUSED] = "refused",
	    [SESSION_END_TAKEOVER] = "takeover",   [SESSION_END_KILLED] = "killed",
	    [SESSION_END_WORKER] = "worker-lost",
	};

	return names[why];
}

const char *
retrieved_text(char dst[CLOCK_UTC_SIZE], int64_t t)
{
	if (t == 0)
		return memcpy(dst, "never", sizeof("never"));
	return clock_utc(dst, t);
}

const char *
role_program(enum role role)
{
	static const char *const names[ROLE_COUNT] = {[ROLE_LOGIN] = "pop3d-login",
						      [ROLE_KEY] = "pop3d-key",
						      [ROLE_AUTH] = "pop3d-auth",
						      [ROLE_DISPATCH] = "pop3d-dispatch",
						      [ROLE_SPAWNER] = "pop3d-session"};

	return names[role];
}

bool
time_is_begun(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00Z";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (i >= sizeof(form) - 1 ||
		    (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]))
			return false;
	return len >= strlen("0000-00-00");
}
