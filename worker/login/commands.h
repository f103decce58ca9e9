/*
 * The commands of the AUTHORIZATION state, and the lines of a SASL exchange.
 */
#ifndef POP3D_LOGIN_COMMANDS_H
#define POP3D_LOGIN_COMMANDS_H

#include "common/replies.h"
#include "worker/login/conn.h"

/* Handle a command line, or in CONN_SASL a response; may write to it. */
void command_run(struct conn *c, struct line_text line);
/* Say so, also to what was no line, for instance one that was too long.  A connection whose
 * commands are refused again and again is closed after a last line. */
void command_reply(struct conn *c, enum reply reply);

#endif
