#include "config.h"

#include "worker/login/commands.h"

#include <stdlib.h>
#include <string.h>

#include "common/pop3.h"
#include "common/replies.h"
#include "worker/login/channels.h"
#include "worker/login/login.h"
#include "worker/login/sasl.h"
#include "common/trace.h"

enum { REFUSED_MAX = 100 /* commands of a connection, then it is closed */ };

static enum reply
command_refuse_clear(const struct conn *c)
{
	return conn_offers_stls(c) ? REPLY_NEEDS_TLS : REPLY_NO_CLEARTEXT;
}

static enum reply
command_capa(struct conn *c, const struct pop3_command *cmd)
{
	const struct pop3_capa facts = {
	    .login_allowed = conn_is_secure(c), .stls = conn_offers_stls(c), .after_login = false};
	char text[POP3_CAPA_MAX];

	(void)cmd;
	conn_reply(c, text, pop3_capa(&facts, text));
	return REPLY_NONE;
}

/* Refused without TLS before a password is sent, whoever it is (RFC 8314 section 4.1). */
static enum reply
command_user(struct conn *c, const struct pop3_command *cmd)
{
	if (!conn_is_secure(c))
		return command_refuse_clear(c);
	free(c->name);
	c->name = strndup(cmd->argv[0], cmd->arg_len[0]);
	c->user = strndup(cmd->argv[0], cmd->arg_len[0]);
	c->user_chosen = true;
	return c->user != NULL ? REPLY_NAME_TAKEN : REPLY_TEMP;
}

/* All behind the first SP is the password, blanks included (RFC 1939 section 7). */
static enum reply
command_pass(struct conn *c, const struct pop3_command *cmd)
{
	char *user = c->user;
	enum reply reply = REPLY_NONE;
	struct msg_login_ask *ask;

	c->user = NULL;
	c->user_chosen = false; /* it fails, or nothing more comes */
	if (cmd->rest_len == 0 || cmd->rest_len >= SECRET_SIZE)
		reply = REPLY_MALFORMED;
	else if (user == NULL)
		reply = REPLY_NEEDS_USER;
	else if ((ask = login_begin(c)) == NULL)
		reply = REPLY_TEMP;
	else {
		ask->mech = MECH_USER;
		memcpy(ask->user, user, strlen(user));
		memcpy(ask->password.octets, cmd->rest, cmd->rest_len);
		conn_enter(c, CONN_ASK);
	}
	if (user != NULL)
		explicit_bzero(user, strlen(user));
	free(user);
	return reply;
}

/* The digest hides the password, yet what follows is as open as with USER: the same rule for TLS.
 */
static enum reply
command_apop(struct conn *c, const struct pop3_command *cmd)
{
	struct msg_login_ask *ask;

	if (c->row.stamp[0] == '\0')
		return REPLY_UNKNOWN;
	if (!conn_is_secure(c))
		return command_refuse_clear(c);
	if (c->user_chosen)
		return REPLY_USER_CHOSEN;
	if (cmd->argc != 2 || cmd->arg_len[0] >= sizeof(ask->user) ||
	    cmd->arg_len[1] >= SECRET_SIZE)
		return REPLY_MALFORMED;
	free(c->name);
	c->name = strndup(cmd->argv[0], cmd->arg_len[0]);
	if ((ask = login_begin(c)) == NULL)
		return REPLY_TEMP;
	ask->mech = MECH_APOP;
	memcpy(ask->user, cmd->argv[0], cmd->arg_len[0]);
	memcpy(ask->password.octets, cmd->argv[1], cmd->arg_len[1]);
	c->in_apop = true;
	conn_enter(c, CONN_ASK);
	return REPLY_NONE;
}

/* Go on after a step of an exchange. */
static enum reply
command_sasl_step(struct conn *c, enum sasl_result result)
{
	if (result == SASL_LOGIN) {
		conn_enter(c, CONN_ASK);
		return REPLY_NONE;
	}
	if (result == SASL_CHALLENGE) {
		conn_enter(c, CONN_SASL);
		char line[64]; /* an empty challenge keeps its blank, RFC 5034 section 4 */
		size_t len = strlen(c->sasl.challenge);
		memcpy(line, "+ ", 2);
		memcpy(line + 2, c->sasl.challenge, len);
		memcpy(line + 2 + len, "\r\n", 2);
		conn_reply(c, line, len + 4);
		return REPLY_NONE;
	}
	conn_enter(c, CONN_COMMAND);
	conn_forget_login(c);
	return result == SASL_CANCELLED ? REPLY_SASL_CANCELLED : REPLY_SASL_MALFORMED;
}

static enum reply
command_auth(struct conn *c, const struct pop3_command *cmd)
{
	const struct sasl_mechanism *mechanism = sasl_find(cmd->argv[0], cmd->arg_len[0]);
	/* the line is ours to write to */
	char *initial = cmd->argc > 1 ? (char *)cmd->argv[1] : NULL;

	/* First, so that nobody is told to send PLAIN without TLS. */
	if ((mechanism == NULL || sasl_needs_tls(mechanism)) && !conn_is_secure(c))
		return command_refuse_clear(c);
	if (mechanism == NULL)
		return REPLY_NO_MECHANISM;
	if (login_begin(c) == NULL)
		return REPLY_TEMP;
	return command_sasl_step(c,
				 sasl_begin(&c->sasl, mechanism, initial, cmd->arg_len[1], c->ask));
}

static enum reply
command_stls(struct conn *c, const struct pop3_command *cmd)
{
	(void)cmd;
	if (c->row.tls != CONN_TLS_NONE)
		return REPLY_TLS_ON;
	if (!conn_offers_stls(c))
		return REPLY_NO_TLS;
	conn_enter(c, CONN_STLS_WAIT);
	channels_ask_stls(c->w, c->row.id);
	return REPLY_NONE;
}

static enum reply
command_quit(struct conn *c, const struct pop3_command *cmd)
{
	(void)c, (void)cmd;
	return REPLY_QUIT;
}

static enum reply
command_not_yet(struct conn *c, const struct pop3_command *cmd)
{
	(void)c, (void)cmd;
	return REPLY_NOT_YET;
}

enum { ARGS_ANY = 3 /* pop3_parse counts no further */ };

static const struct command {
	const char *keyword;
	unsigned args_min, args_max;
	enum reply (*handle)(struct conn *c, const struct pop3_command *cmd);
} commands[] = {
    {"CAPA", 0, 0, command_capa},	    {"USER", 1, 1, command_user},
    {"PASS", 0, ARGS_ANY, command_pass},    {"AUTH", 1, 2, command_auth},
    {"APOP", 0, ARGS_ANY, command_apop},    {"STLS", 0, 0, command_stls},
    {"QUIT", 0, 0, command_quit},	    {"STAT", 0, ARGS_ANY, command_not_yet},
    {"LIST", 0, ARGS_ANY, command_not_yet}, {"RETR", 0, ARGS_ANY, command_not_yet},
    {"DELE", 0, ARGS_ANY, command_not_yet}, {"NOOP", 0, ARGS_ANY, command_not_yet},
    {"RSET", 0, ARGS_ANY, command_not_yet}, {"TOP", 0, ARGS_ANY, command_not_yet},
    {"UIDL", 0, ARGS_ANY, command_not_yet},
};

static const struct command *
command_find(const char *keyword)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].keyword, keyword) == 0)
			return &commands[i];
	return NULL;
}

static enum reply
command_line(struct conn *c, struct line_text line)
{
	struct pop3_command cmd;
	bool whole = pop3_parse(line.octets, line.len, &cmd) == 0;
	const struct command *command = whole ? command_find(cmd.keyword) : NULL;

	/* PASS must directly follow a successful USER (RFC 1939 section 7). */
	if (command == NULL || command->handle != command_pass)
		conn_forget_login(c);
	if (!whole)
		return REPLY_MALFORMED;
	if (command == NULL)
		return REPLY_UNKNOWN;
	if (cmd.argc < command->args_min || cmd.argc > command->args_max)
		return REPLY_MALFORMED;
	return command->handle(c, &cmd);
}

void
command_run(struct conn *c, struct line_text line)
{
	bool sasl = c->state == CONN_SASL;

	if ((c->w->conf.trace & TRACE_SECRETS) != 0)
		channels_trace(c->w, c->row.id, true, line.octets, line.len);
	else if (c->w->conf.trace != 0) {
		char text[TRACE_TEXT_SIZE];
		size_t len = trace_mask(text, line.octets, line.len, sasl);
		channels_trace(c->w, c->row.id, true, text, len);
	}
	command_reply(c, sasl ? command_sasl_step(c, sasl_continue(&c->sasl, line.octets, line.len))
			      : command_line(c, line));
}

void
command_reply(struct conn *c, enum reply reply)
{
	if (reply == REPLY_NONE)
		return;
	if (reply == REPLY_TOO_LONG) {
		conn_forget_login(c);
		conn_enter(c, CONN_COMMAND);
	}
	if (reply_text(reply)[0] == '-' && ++c->refused_commands >= REFUSED_MAX) {
		conn_say(c, REPLY_TOO_MANY);
		conn_finish(c, CONN_END_ABUSE);
		return;
	}
	conn_say(c, reply);
	if (reply == REPLY_QUIT)
		conn_finish(c, CONN_END_QUIT);
}
