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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/confine.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/auth/helper.h"
#include "daemon/dispatch/lines.h"
#include "daemon/dispatch/logins.h"
#include "daemon/dispatch/workers.h"

/* ---- what the gate says ---- */

static int
handle_checked(void *who, struct msg *m)
{
	(void)who;
	return lines_checked(&m->u.checked);
}

static const struct inbox_row gate_rows[] = {{MSG_CHECKED, TOLD_DECIDES, 0, handle_checked}};

static const struct inbox gate_inbox = {gate_rows, COUNT_OF(gate_rows), helper_state};

static void
gate_message(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(&gate_inbox, NULL, m) == -1)
		helper_end(ec, EBADMSG, arg);
}

static void
gate_check(const struct msg_login_ask *ask)
{
	evchannel_put(&helper.other, MSG_CHECK, ask, sizeof(*ask));
}

/* ---- what master says ---- */

static struct msg_ready confined; /* what is in force */

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
	int rc = confine(&c, &confined, &listener, refused.why, sizeof(refused.why));

	if (listener != -1) {
		evchannel_send(&helper.master, MSG_SANDBOX_LOG, NULL, 0, &listener, 1);
		close(listener);
	}
	if (rc == -1)
		helper_put(MSG_REFUSED, &refused, sizeof(refused));
	return rc;
}

/* All settings were told: they hold from here on. */
static int
handle_start(void *who, struct msg *m)
{
	struct settings former;

	(void)who, (void)m;
	if (!helper.told.started && drop_rights(&helper.told.next.conf) == -1)
		helper_exit(EXIT_SUCCESS);
	former = told_take(&helper.told);
	title_detail((enum ps_titles)helper.told.now.conf.ps_titles);
	title_set("auth", "dispatcher");
	logins_configure(&helper.told.now);
	settings_free(&former);
	helper_put(MSG_READY, &confined, sizeof(confined));
	return 0;
}

static void
worker_bad(uint32_t number, int error)
{
	struct msg_worker m = {.worker = number, .error = (uint32_t)error};

	helper_put(MSG_WORKER_BAD, &m, sizeof(m));
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
    {MSG_PING, INBOX_ALWAYS, 0, helper_pinged},
    {MSG_CHECK_CHANNEL, TOLD_NEW, 0, helper_connected},
    {MSG_AUTH_CONF, TOLD_NEW | TOLD_READY, 0, helper_conf},
    {MSG_AUTH_SERVER, TOLD_FIRST | TOLD_AGAIN, 0, helper_server},
    {MSG_AUTH_START, TOLD_FIRST | TOLD_AGAIN, 0, handle_start},
    {MSG_WORKER_NEW, TOLD_DECIDES, 0, handle_worker_new},
    {MSG_WORKER_GONE, TOLD_DECIDES, 0, handle_worker_gone},
    {MSG_FAILURES, TOLD_DECIDES, 0, handle_failures},
    {MSG_ROW, TOLD_DECIDES, 0, handle_row},
    {MSG_ROW_GONE, TOLD_DECIDES, 0, handle_row_gone},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), helper_state};

/* A row that left master before the worker got the socket is read before the
 * worker's request is judged; so is its end. */
static void
worker_ask(uint32_t number, const struct msg_login_ask *ask)
{
	evchannel_read_dry(&helper.master);
	logins_ask(number, ask);
}

int
main(int argc, char *argv[], char *envp[])
{
	static const struct helper_role self = {ROLE_DISPATCH, ROLE_AUTH, &master_inbox,
						gate_message, "dispatcher"};

	title_init(argc, argv, envp);
	privs_role_start(CHANNEL_FD + 1);
	if (helper_open(&self) == -1)
		return EXIT_FAILURE;
	workers_init(helper.base, worker_ask, worker_bad);
	if (logins_init(helper.base, helper_put, gate_check) == -1) {
		log_error(0, "auth dispatcher: %m");
		return EXIT_FAILURE;
	}
	event_base_dispatch(helper.base);
	return EXIT_FAILURE;
}
