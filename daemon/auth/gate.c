#include "config.h"

#include "daemon/auth/gate.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_event.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/auth/checks.h"
#include "daemon/auth/guesses.h"
#include "daemon/auth/lookups.h"
#include "daemon/auth/pools.h"
#include "daemon/auth/servers.h"

enum {
	MASTER_QUEUE = 16384,	/* messages on their way to master */
	DISPATCHER_QUEUE = 4096 /* answers on their way to the dispatcher */
};

static struct {
	struct event_base *base;
	struct evchannel master, dispatcher;
	struct told told;
} gate;

/* Master or dispatcher has gone, or nothing can be done: children end with this process, and
 * master starts both anew, so that neither knows what the other does not. */
static _Noreturn void
gate_exit(int status)
{
	_exit(status);
}

static void
master_put(enum msg_type type, const void *body, size_t len)
{
	evchannel_put(&gate.master, type, body, len);
}

/* ---- what the dispatcher says ---- */

static int
handle_check(void *who, struct msg *m)
{
	(void)who;
	checks_ask(&m->u.login_ask);
	return 0;
}

static int
gate_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return told_state(&gate.told);
}

static const struct inbox_row dispatcher_rows[] = {{MSG_CHECK, TOLD_DECIDES, 0, handle_check}};

static const struct inbox dispatcher_inbox = {dispatcher_rows, COUNT_OF(dispatcher_rows),
					      gate_state};

static void
dispatcher_end(struct evchannel *ec, int error, void *arg)
{
	(void)ec, (void)arg;
	if (error != EPIPE)
		log_warn(0, "auth dispatcher given up: %s",
			 error == EBADMSG ? "message against the rules" : strerror(error));
	gate_exit(error == EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* What master said before it let a worker ask is read before the check is judged. */
static void
dispatcher_message(struct evchannel *ec, struct msg *m, void *arg)
{
	evchannel_read_dry(&gate.master);
	if (inbox_take(&dispatcher_inbox, NULL, m) == -1)
		dispatcher_end(ec, EBADMSG, arg);
}

static void
dispatcher_put(const struct msg_checked *c)
{
	evchannel_put(&gate.dispatcher, MSG_CHECKED, c, sizeof(*c));
}

/* ---- what master says ---- */

static int
handle_ping(void *who, struct msg *m)
{
	(void)who;
	master_put(MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	return 0;
}

static int
handle_check_channel(void *who, struct msg *m)
{
	int fd = msg_take_fd(m, 0);

	(void)who;
	if (fd == -1 || evchannel_is_open(&gate.dispatcher))
		return -1;
	return evchannel_open(&gate.dispatcher, gate.base, fd, ROLE_AUTH, ROLE_DISPATCH,
			      DISPATCHER_QUEUE, dispatcher_message, dispatcher_end, NULL);
}

static int
handle_conf(void *who, struct msg *m)
{
	(void)who;
	told_begin(&gate.told, &m->u.auth_conf);
	return 0;
}

static int
handle_server(void *who, struct msg *m)
{
	(void)who;
	return settings_add(&gate.told.next, &m->u.auth_server);
}

static void
gate_refuse(const char *why)
{
	struct msg_refused m;

	memset(&m, 0, sizeof(m));
	(void)snprintf(m.why, sizeof(m.why), "%s", why);
	master_put(MSG_REFUSED, &m, strlen(m.why) + 1);
	if (!gate.told.started)
		gate_exit(EXIT_SUCCESS);
	told_drop(&gate.told);
}

/* All settings were told: they hold from here on. */
static int
handle_start(void *who, struct msg *m)
{
	static const struct msg_ready ready;
	struct settings former;
	char why[MSG_TEXT_MAX];

	(void)who, (void)m;
	if (servers_check(&gate.told.next, why, sizeof(why)) == -1) {
		gate_refuse(why);
		return 0;
	}
	former = told_take(&gate.told);
	title_detail((enum ps_titles)gate.told.now.conf.ps_titles);
	title_set("auth", "gate");
	checks_configure(&gate.told.now);
	lookups_configure(&gate.told.now);
	pools_configure(&gate.told.now);
	settings_free(&former);
	master_put(MSG_READY, &ready, sizeof(ready));
	return 0;
}

static int
handle_row(void *who, struct msg *m)
{
	(void)who;
	checks_row(&m->u.conn);
	return 0;
}

static int
handle_row_gone(void *who, struct msg *m)
{
	(void)who;
	checks_row_gone(m->u.ref.id);
	return 0;
}

static int
handle_grant_void(void *who, struct msg *m)
{
	(void)who;
	checks_grant_void(m->u.ref.id);
	return 0;
}

static int
handle_lookup(void *who, struct msg *m)
{
	(void)who;
	lookups_ask(&m->u.lookup);
	return 0;
}

static const struct inbox_row master_rows[] = {
    {MSG_PING, INBOX_ALWAYS, 0, handle_ping},
    {MSG_CHECK_CHANNEL, TOLD_NEW, 0, handle_check_channel},
    {MSG_AUTH_CONF, TOLD_NEW | TOLD_READY, 0, handle_conf},
    {MSG_AUTH_SERVER, TOLD_FIRST | TOLD_AGAIN, 0, handle_server},
    {MSG_AUTH_START, TOLD_FIRST | TOLD_AGAIN, 0, handle_start},
    {MSG_ROW, TOLD_DECIDES, 0, handle_row},
    {MSG_ROW_GONE, TOLD_DECIDES, 0, handle_row_gone},
    {MSG_GRANT_VOID, TOLD_DECIDES, 0, handle_grant_void},
    {MSG_LOOKUP, TOLD_DECIDES, 0, handle_lookup},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), gate_state};

static void
master_message(struct evchannel *ec, struct msg *m, void *arg)
{
	(void)ec, (void)arg;
	if (inbox_take(&master_inbox, NULL, m) == -1)
		gate_exit(EXIT_FAILURE);
}

static void
master_end(struct evchannel *ec, int error, void *arg)
{
	(void)ec, (void)arg;
	gate_exit(error == EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void
check_decided(struct check *c, enum login_result result, const char *why,
	      const struct msg_child_answer *answer, struct child *keeper)
{
	if (c->lookup)
		lookups_decided(c, result, why, answer);
	else
		checks_decided(c, result, why, answer, keeper);
}

int
gate_main(void)
{
	static const struct pools_calls calls = {check_decided, checks_keeper_gone};

	title_set("auth", "gate starting");
	privs_raise_nofile();
	gate.dispatcher.ch.fd = -1;
	gate.base = event_base_new();
	if (gate.base == NULL || privs_harden(false) == -1 || guesses_init() == -1 ||
	    evchannel_open(&gate.master, gate.base, CHANNEL_FD, ROLE_AUTH, ROLE_MASTER,
			   MASTER_QUEUE, master_message, master_end, NULL) == -1)
		return EXIT_FAILURE;
	log_to_channel(&gate.master.ch);
	log_set_level(LOG_DEBUG); /* master leaves out what it does not want */
	checks_init(master_put, dispatcher_put);
	lookups_init(master_put);
	pools_init(gate.base, &calls);
	event_base_dispatch(gate.base);
	return EXIT_FAILURE;
}
