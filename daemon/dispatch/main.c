/*
 * pop3d-dispatch, the auth dispatcher: between the workers and the gate.
 *
 * Runs as:   `auth_user` in an empty chroot, no capability, seccomp, Landlock with
 *            no rule; as root only until it knows its settings.
 * Sees:      what workers ask, with names and passwords, and master's rows.
 * May never: decide who has logged in.  It may queue, delay, count and refuse;
 *            the gate (pop3d-auth) has passwords checked and tells master whose
 *            they are.
 *
 *   main.c      start, confinement, master, gate
 *   workers.c   their channels               lines.c   what waits for the gate
 *   logins.c    which login is checked       queue.c   whose turn is next
 *   refusals.c  when a refusal leaves        pace.c    when a check begins
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_event.h"
#include "common/confine.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/auth/settings.h"
#include "daemon/dispatch/lines.h"
#include "daemon/dispatch/logins.h"
#include "daemon/dispatch/workers.h"

enum {
	MASTER_QUEUE = 16384, /* messages on their way to master */
	GATE_QUEUE = 4096     /* checks on their way to the gate */
};

static struct {
	struct event_base *base;
	struct evchannel master, gate;
	struct told told;
	struct msg_ready confined;
} dispatcher;

/* Master or gate has gone, or nothing can be done: master starts both anew. */
static _Noreturn void
dispatcher_exit(int status)
{
	_exit(status);
}

static void
master_put(enum msg_type type, const void *body, size_t len)
{
	evchannel_put(&dispatcher.master, type, body, len);
}

/* ---- what the gate says ---- */

static int
handle_checked(void *who, struct msg *m)
{
	(void)who;
	return lines_checked(&m->u.checked);
}

static int
dispatcher_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return told_state(&dispatcher.told);
}

static const struct inbox_row gate_rows[] = {{MSG_CHECKED, TOLD_DECIDES, 0, handle_checked}};

static const struct inbox gate_inbox = {gate_rows, COUNT_OF(gate_rows), dispatcher_state};

static void
gate_end(struct evchannel *ec, int error, void *arg)
{
	(void)ec, (void)arg;
	dispatcher_exit(error == EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void
gate_message(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(&gate_inbox, NULL, m) == -1)
		gate_end(ec, EBADMSG, arg);
}

static void
gate_check(const struct msg_login_ask *ask)
{
	evchannel_put(&dispatcher.gate, MSG_CHECK, ask, sizeof(*ask));
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
	if (fd == -1 || evchannel_is_open(&dispatcher.gate))
		return -1;
	return evchannel_open(&dispatcher.gate, dispatcher.base, fd, ROLE_DISPATCH, ROLE_AUTH,
			      GATE_QUEUE, gate_message, gate_end, NULL);
}

static int
handle_conf(void *who, struct msg *m)
{
	(void)who;
	told_begin(&dispatcher.told, &m->u.auth_conf);
	return 0;
}

static int
handle_server(void *who, struct msg *m)
{
	(void)who;
	return settings_add(&dispatcher.told.next, &m->u.auth_server);
}

/* Once.  0; -1: master has been told why not. */
static int
drop_rights(const struct msg_auth_conf *conf)
{
	const struct confinement c = {.role = ROLE_DISPATCH,
				      .root = conf->chroot_dir,
				      .uid = conf->auth_uid,
				      .gid = conf->auth_gid,
				      .sandbox = (enum sandbox_mode)conf->sandbox,
				      .landlock_abi_max = conf->landlock_abi_max};
	struct msg_refused refused = {0};
	int listener;
	int rc = confine(&c, &dispatcher.confined, &listener, refused.why, sizeof(refused.why));

	if (listener != -1) {
		evchannel_send(&dispatcher.master, MSG_SANDBOX_LOG, NULL, 0, &listener, 1);
		close(listener);
	}
	if (rc == -1)
		master_put(MSG_REFUSED, &refused, sizeof(refused));
	return rc;
}

/* All settings were told: they hold from here on. */
static int
handle_start(void *who, struct msg *m)
{
	struct settings former;

	(void)who, (void)m;
	if (!dispatcher.told.started && drop_rights(&dispatcher.told.next.conf) == -1)
		dispatcher_exit(EXIT_SUCCESS);
	former = told_take(&dispatcher.told);
	title_detail((enum ps_titles)dispatcher.told.now.conf.ps_titles);
	title_set("auth", "dispatcher");
	logins_configure(&dispatcher.told.now);
	settings_free(&former);
	master_put(MSG_READY, &dispatcher.confined, sizeof(dispatcher.confined));
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

static const struct inbox_row master_rows[] = {
    {MSG_PING, INBOX_ALWAYS, 0, handle_ping},
    {MSG_CHECK_CHANNEL, TOLD_NEW, 0, handle_check_channel},
    {MSG_AUTH_CONF, TOLD_NEW | TOLD_READY, 0, handle_conf},
    {MSG_AUTH_SERVER, TOLD_FIRST | TOLD_AGAIN, 0, handle_server},
    {MSG_AUTH_START, TOLD_FIRST | TOLD_AGAIN, 0, handle_start},
    {MSG_WORKER_NEW, TOLD_DECIDES, 0, handle_worker_new},
    {MSG_WORKER_GONE, TOLD_DECIDES, 0, handle_worker_gone},
    {MSG_FAILURES, TOLD_DECIDES, 0, handle_failures},
    {MSG_ROW, TOLD_DECIDES, 0, handle_row},
    {MSG_ROW_GONE, TOLD_DECIDES, 0, handle_row_gone},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), dispatcher_state};

static void
master_message(struct evchannel *ec, struct msg *m, void *arg)
{
	(void)ec, (void)arg;
	if (inbox_take(&master_inbox, NULL, m) == -1)
		dispatcher_exit(EXIT_FAILURE);
}

static void
master_end(struct evchannel *ec, int error, void *arg)
{
	(void)ec, (void)arg;
	dispatcher_exit(error == EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* A row that left master before the worker got the socket is read before the
 * worker's request is judged; so is its end. */
static void
worker_ask(uint32_t number, const struct msg_login_ask *ask)
{
	evchannel_read_dry(&dispatcher.master);
	logins_ask(number, ask);
}

int
main(int argc, char *argv[], char *envp[])
{
	title_init(argc, argv, envp);
	privs_role_start(CHANNEL_FD + 1);
	title_set("auth", "dispatcher starting");
	privs_raise_nofile();
	dispatcher.gate.ch.fd = -1;
	dispatcher.base = event_base_new();
	if (dispatcher.base == NULL || privs_harden(false) == -1 ||
	    evchannel_open(&dispatcher.master, dispatcher.base, CHANNEL_FD, ROLE_DISPATCH,
			   ROLE_MASTER, MASTER_QUEUE, master_message, master_end, NULL) == -1)
		return EXIT_FAILURE;
	log_to_channel(&dispatcher.master.ch);
	log_set_level(LOG_DEBUG); /* master leaves out what it does not want */
	workers_init(dispatcher.base, worker_ask, worker_bad);
	if (logins_init(dispatcher.base, master_put, gate_check) == -1) {
		log_error(0, "auth dispatcher: %m");
		return EXIT_FAILURE;
	}
	event_base_dispatch(dispatcher.base);
	return EXIT_FAILURE;
}
