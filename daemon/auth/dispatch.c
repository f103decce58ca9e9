#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_event.h"
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

static void
handle_ping(struct msg *m)
{
	master_put(MSG_PONG, &m->u.ping, sizeof(m->u.ping));
}

static void
handle_conf(struct msg *m)
{
	settings_begin(&helper.next, &m->u.auth_conf);
	helper.told = true;
}

static void
handle_server(struct msg *m)
{
	if (helper.told && settings_add(&helper.next, &m->u.auth_server) < 0) {
		log_error(0, "no memory for settings");
		helper_exit(EXIT_FAILURE);
	}
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
static void
handle_start(struct msg *m)
{
	static const struct msg_ready ready;
	struct settings old = helper.now;
	char why[MSG_TEXT_MAX];

	(void)m;
	if (!helper.told) {
		helper_refuse("start without settings");
		return;
	}
	helper.told = false;
	if (settings_check(&helper.next, why, sizeof(why)) < 0) {
		helper_refuse(why);
		return;
	}
	helper.now = helper.next;
	helper.next = (struct settings){0};
	title_detail((enum ps_titles)helper.now.conf.ps_titles);
	title_set("auth", "dispatcher");
	logins_configure(&helper.now);
	settings_free(&old);
	helper.started = true;
	master_put(MSG_READY, &ready, sizeof(ready));
}

static void
worker_bad(uint32_t number, int error)
{
	struct msg_worker m = {.worker = number, .error = (uint32_t)error};

	master_put(MSG_WORKER_BAD, &m, sizeof(m));
}

static void
handle_worker_new(struct msg *m)
{
	int fd = msg_take_fd(m, 0);

	if (fd < 0) { /* did not arrive: master starts that worker anew */
		worker_bad(m->u.worker.worker, EMFILE);
		return;
	}
	workers_add(m->u.worker.worker, fd);
}

static void
handle_worker_gone(struct msg *m)
{
	workers_remove(m->u.worker.worker);
}

static void
handle_failures(struct msg *m)
{
	logins_failures(&m->u.failures);
}

static void
handle_row(struct msg *m)
{
	logins_row(&m->u.conn);
}

static void
handle_row_gone(struct msg *m)
{
	logins_row_gone(m->u.ref.id);
}

static void
handle_grant_void(struct msg *m)
{
	logins_grant_void(m->u.ref.id);
}

static void
handle_lookup(struct msg *m)
{
	if (helper.started)
		lookups_ask(&m->u.lookup);
}

/* Messages that change nothing here. */
static void
handle_nothing(struct msg *m)
{
	(void)m;
}

static const struct handler {
	enum msg_type type;
	void (*handle)(struct msg *m);
} handlers[] = {
    {MSG_PING, handle_ping},
    {MSG_FAILURES, handle_failures},
    {MSG_ROW, handle_row},
    {MSG_ROW_GONE, handle_row_gone},
    {MSG_GRANT_VOID, handle_grant_void},
    {MSG_LOOKUP, handle_lookup},
    {MSG_WORKER_NEW, handle_worker_new},
    {MSG_WORKER_GONE, handle_worker_gone},
    {MSG_AUTH_CONF, handle_conf},
    {MSG_AUTH_SERVER, handle_server},
    {MSG_AUTH_START, handle_start},
    {MSG_DRAIN, handle_nothing}, /* ends with master's channel */
};

static void
master_message(struct evchannel *ec, struct msg *m, void *arg)
{
	(void)ec;
	(void)arg;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == m->type) {
			handlers[i].handle(m);
			return;
		}
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
	if (helper.started)
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
