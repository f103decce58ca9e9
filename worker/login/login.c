#include "config.h"

#include "worker/login/login.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/replies.h"
#include "worker/login/channels.h"
#include "worker/login/relay.h"

/* What the helper cannot say counts as trouble. */
static const enum reply replies[] = {
    [LOGIN_OK] = REPLY_TEMP,   [LOGIN_BAD] = REPLY_BAD,		[LOGIN_TEMP] = REPLY_TEMP,
    [LOGIN_PERM] = REPLY_PERM, [LOGIN_IN_USE] = REPLY_SESSIONS,
};

struct msg_login_ask *
login_begin(struct conn *c)
{
	conn_forget_login(c);
	c->ask = calloc(1, sizeof(*c->ask));
	if (c->ask != NULL)
		c->ask->id = c->row.id;
	return c->ask;
}

void
login_ask(struct conn *c)
{
	stream_facts(&c->stream, &c->ask->tls);
	int rc = channels_ask_login(c->w, c->ask);
	conn_forget_login(c);
	c->orphaned = false;
	if (rc == -1) {
		login_failed(c, LOGIN_TEMP);
		return;
	}
	c->asked = clock_ms();
	conn_enter(c, CONN_LOGIN);
}

void
login_refused(struct conn *c, enum login_result result, bool last)
{
	c->in_apop = false;
	c->failures += result == LOGIN_BAD;
	conn_enter(c, CONN_COMMAND);
	conn_say(c, replies[result]);
	if (last)
		conn_finish(c, CONN_END_FAILURES);
}

void
login_failed(struct conn *c, enum login_result result)
{
	login_refused(c, result, false);
}

void
login_taken(struct conn *c, int fd, int acked)
{
	if (c->stream.ssl == NULL) {
		c->handed_over = true;
		conn_end(c, CONN_END_ERROR);
	} else if (fd == -1 || relay_start(c, fd, acked) == -1) {
		conn_end(c, CONN_END_ERROR);
	}
}

void
login_orphan(struct conn *c)
{
	c->orphaned = true;
	conn_set_timer(c, TIMER_ORPHAN);
}

void
login_expired(struct conn *c)
{
	if (c->orphaned) {
		login_failed(c, LOGIN_TEMP);
		return;
	}
	login_give_up(c, CONN_END_ERROR);
}

void
login_give_up(struct conn *c, enum conn_end why)
{
	c->undecided = c->state == CONN_LOGIN;
	conn_end(c, why);
}
