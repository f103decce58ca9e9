/*
 * How results, mechanisms and times are called in the log, and the programs of the roles.
 */
#ifndef POP3D_NAMES_H
#define POP3D_NAMES_H

#include <stdbool.h>

#include "common/clock.h"
#include "common/msg.h"

/* "ok", "auth", "temp", "perm", "in-use". */
const char *login_result_name(enum login_result result);

/* When a message was first retrieved: clock_utc(); "never" for 0, "unknown" for -1.  Returns dst.
 */
const char *retrieved_text(char dst[CLOCK_UTC_SIZE], int64_t t);

/* "USER", "PLAIN", "LOGIN", "APOP". */
const char *login_mech_name(enum login_mech mech);

/* Is it the beginning of a time as clock_utc() writes it, the day at least?  Then strcmp() tells
 * what is older.  Else TIME_IS_NONE, a format for the text, says what is wanted. */
bool time_is_begun(const char *text);
#define TIME_IS_NONE                                                                               \
	"\"%s\" is no time: write the day, YYYY-MM-DD, or the second, "                            \
	"YYYY-MM-DDTHH:MM:SSZ, in UTC"

/* Why a connection without a session, and a session, ended: "quit", "closed", "timeout". */
const char *conn_end_name(enum conn_end why);
const char *session_end_name(enum session_end why);

/* The name of a role's program in the private program directory; NULL: it has none of its own. */
const char *role_program(enum role role);

#endif
