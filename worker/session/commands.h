/*
 * The commands of TRANSACTION, RFC 1939 section 5 and 7, RFC 2449 section 5.
 */
#ifndef POP3D_COMMANDS_H
#define POP3D_COMMANDS_H

#include <stddef.h>

#include "worker/session/session.h"

enum command_event {
	COMMAND_GO_ON,
	COMMAND_QUIT,  /* nothing is answered yet: UPDATE comes first */
	COMMAND_BROKEN /* a response could not be ended: close without another octet */
};

/* Do what one line without its line end asks, and put the response. */
enum command_event command_run(struct session *ss, const char *line, size_t len);

#endif
