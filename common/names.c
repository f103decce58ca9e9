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
