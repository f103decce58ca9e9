/*
 * The commands of the AUTHORIZATION state, and the lines of a SASL exchange.
 */
#ifndef POP3D_LOGIN_COMMANDS_H
#define POP3D_LOGIN_COMMANDS_H

#include "worker/login/conn.h"

/* What came of a line; most have one fixed reply. */
enum command_event {
	EVENT_DONE, /* replied already, or the reply comes later */
	EVENT_UNKNOWN,
	EVENT_MALFORMED,
	EVENT_TOO_LONG,
	EVENT_NOT_YET, /* a command of the TRANSACTION state */
	EVENT_NEEDS_TLS,
	EVENT_NO_CLEARTEXT, /* the same where TLS cannot be had */
	EVENT_NAME_TAKEN,
	EVENT_NEEDS_USER,
	EVENT_USER_CHOSEN,
	EVENT_NO_MECHANISM,
	EVENT_SASL_MALFORMED,
	EVENT_SASL_CANCELLED,
	EVENT_TLS_ON,
	EVENT_NO_TLS,
	EVENT_NO_MEMORY,
	EVENT_QUIT,
	EVENT_COUNT
};

/* Handle a command line, or in CONN_SASL a response; may write to it. */
void command_run(struct conn *c, struct line_text line);
/* Reply to what was no line, for instance one that was too long. */
void command_reply(struct conn *c, enum command_event event);

#endif
