#include "config.h"

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
#include "daemon/auth/dispatch.h"
#include "daemon/auth/logins.h"
#include "daemon/auth/lookups.h"
#include "daemon/auth/settings.h"
#include "daemon/auth/workers.h"

enum { MASTER_QUEUE = 16384 /* messages on their way to master */ };

static struct {
	struct event_base *base;
	struct evchannel master;
	struct settings now;  /* in force */
	struct settings next; /* being told */
	bool told;	      /* MSG_AUTH_CONF has begun `next` */
	bool started;
} helper;

/* Master has gone or nothing can be done: children end with this process. */
static _Noreturn void
helper_exit(int status)
{
	_exit(status);
}

static void
master_put(enum msg_type type, const void *body, size_t len)
{
	evchannel_put(&helper.master, type, body, len);
}

static int
handle_ping(void *who, struct msg *m)
{
	(void)who;
	master_put(MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	return 0;
}

static int
handle_conf(void *who, struct msg *m)
{
	(void)who;
	settings_begin(&helper.next, &m->u.auth_conf);
	helper.told = true;
	return 0;
}

static int
handle_server(void *who, struct msg *m)
{
	(void)who;
	if (settings_add(&helper.next, &m->u.auth_server) < 0) {
		log_error(0, "no memory for settings");
		helper_exit(EXIT_FAILURE);
	}
	return 0;
}

static void
helper_refuse(const char *why)
{
	struct msg_refused m;

	memset(&m, 0, sizeof(m));
	snprintf(m.why, sizeof(m.why), "%s", why);
	master_put(MSG_REFUSED, &m, strlen(m.why) + 1);
	if (!helper.started)
		helper_exit(EXIT_SUCCESS);
	settings_free(&helper.next); /* the old ones stay */
}

/* All settings were told: they hold from here on. */
static int
handle_start(void *who, struct msg *m)
{
	static const struct msg_ready ready;
	struct settings old = helper.now;
	char why[MSG_TEXT_MAX];

	(void)who, (void)m;
	helper.told = false;
	if (settings_check(&helper.next, why, sizeof(why)) < 0) {
		helper_refuse(why);
		return 0;
	}
	helper.now = helper.next;
	helper.next = (struct settings){0};
	title_detail((enum ps_titles)helper.now.conf.ps_titles);
	title_set("auth", "dispatcher");
	logins_configure(&helper.now);
	settings_free(&old);
	helper.started = true;
	master_put(MSG_READY, &ready, sizeof(ready));
	return 0;
}

static void
worker_bad(uint32_t number, int error)
{
	struct msg_worker m = {.worker = number, .error = (uint32_t)error};

	master_put(MSG_WORKER_BAD, &m, sizeof(m));
}

static int
handle_worker_new(void *who, struct msg *m)
{
	int fd = msg_take_fd(m, 0);

	(void)who;
	if (fd < 0) { /* did not arrive: master starts that worker anew */
		worker_bad(m->u.worker.worker, EMFILE);
		return 0;
	}
	workers_add(m->u.worker.worker, fd);
	return 0;
}

static int
handle_worker_gone(void *who, struct msg *m)
{
	(void)who;
	workers_remove(m->u.worker.worker);
	return 0;
}

static int
handle_failures(void *who, struct msg *m)
{
	(void)who;
	logins_failures(&m->u.failures);
	return 0;
}

static int
handle_row(void *who, struct msg *m)
{
	(void)who;
	logins_row(&m->u.conn);
	return 0;
}

static int
handle_row_gone(void *who, struct msg *m)
{
	(void)who;
	logins_row_gone(m->u.ref.id);
	return 0;
}

static int
handle_grant_void(void *who, struct msg *m)
{
	(void)who;
	logins_grant_void(m->u.ref.id);
	return 0;
}

static int
handle_lookup(void *who, struct msg *m)
{
	(void)who;
	lookups_ask(&m->u.lookup);
	return 0;
}

enum {
	HELPER_NEW = 1,	   /* knows no settings */
	HELPER_TOLD = 2,   /* is being told its first ones */
	HELPER_READY = 4,  /* decides logins */
	HELPER_RETOLD = 8, /* decides logins, and is being told new settings */
	HELPER_DECIDES = HELPER_READY | HELPER_RETOLD
};

static int
helper_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	if (helper.started)
		return helper.told ? HELPER_RETOLD : HELPER_READY;
	return helper.told ? HELPER_TOLD : HELPER_NEW;
}

static const struct inbox_row master_rows[] = {
    {MSG_PING, INBOX_ALWAYS, 0, handle_ping},
    {MSG_AUTH_CONF, HELPER_NEW | HELPER_READY, 0, handle_conf},
    {MSG_AUTH_SERVER, HELPER_TOLD | HELPER_RETOLD, 0, handle_server},
    {MSG_AUTH_START, HELPER_TOLD | HELPER_RETOLD, 0, handle_start},
    {MSG_WORKER_NEW, HELPER_DECIDES, 0, handle_worker_new},
    {MSG_WORKER_GONE, HELPER_DECIDES, 0, handle_worker_gone},
    {MSG_FAILURES, HELPER_DECIDES, 0, handle_failures},
    {MSG_ROW, HELPER_DECIDES, 0, handle_row},
    {MSG_ROW_GONE, HELPER_DECIDES, 0, handle_row_gone},
    {MSG_GRANT_VOID, HELPER_DECIDES, 0, handle_grant_void},
    {MSG_LOOKUP, HELPER_DECIDES, 0, handle_lookup},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), helper_state};

static void
master_message(struct evchannel *ec, struct msg *m, void *arg)
{
	(void)ec, (void)arg;
	if (inbox_take(&master_inbox, NULL, m) == -1)
		helper_exit(EXIT_FAILURE);
}

static void
master_end(struct evchannel *ec, int error, void *arg)
{
	(void)ec;
	(void)arg;
	helper_exit(error == EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* A row that left master before the worker got the socket is read before the
 * worker's request is judged; so is its end. */
static void
worker_ask(uint32_t number, const struct msg_login_ask *ask)
{
	evchannel_read_dry(&helper.master);
	logins_ask(number, ask);
}

int
dispatch_main(void)
{
	title_set("auth", "dispatcher starting");
	privs_raise_nofile();
	helper.base = event_base_new();
	if (helper.base == NULL || privs_harden(false) < 0)
		return EXIT_FAILURE;
	if (evchannel_open(&helper.master, helper.base, CHANNEL_FD, ROLE_AUTH, ROLE_MASTER,
			   MASTER_QUEUE, master_message, master_end, NULL) < 0)
		return EXIT_FAILURE;
	log_to_channel(&helper.master.ch);
	log_set_level(LOG_DEBUG); /* master leaves out what it does not want */
	workers_init(helper.base, worker_ask, worker_bad);
	if (logins_init(helper.base, master_put) < 0) {
		log_error(0, "auth helper: %m");
		return EXIT_FAILURE;
	}
	event_base_dispatch(helper.base);
	return EXIT_FAILURE;
}
