#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/log/foreign.h"
#include "common/privs.h"
#include "daemon/aside.h"
#include "daemon/change.h"
#include "daemon/table/conns.h"
#include "daemon/control/control.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/keys.h"
#include "daemon/table/inbox.h"
#include "daemon/ports/listeners.h"
#include "daemon/master.h"
#include "daemon/notify.h"
#include "daemon/table/receipts.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/programs.h"
#include "daemon/roles/sessions.h"
#include "daemon/settle.h"
#include "daemon/steps.h"
#include "daemon/waiters.h"
#include "daemon/roles/workers.h"

enum { REAP_PATIENCE = 2000 }; /* milliseconds for children to end by themselves */

/* A process that was started here, and not by the spawner, has ended: who waits for it is told. */
static bool
was_ours(pid_t pid, int status)
{
	return child_reaped(pid, status) || aside_reaped(pid, status);
}

/* ---- the end ---- */

/* Everybody was told; reap, and make sure of it. */
static void
reap_all(void)
{
	const struct timespec pause = {0, 5000000};
	uint64_t begun = clock_ms();
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) != -1 || errno == EINTR) {
		if (pid > 0) {
			(void)was_ours(pid, status);
			continue;
		}
		/* Orphans of the killed become ours in turn. */
		if (clock_ms() - begun > REAP_PATIENCE)
			child_kill_left();
		if (clock_ms() - begun > 2 * REAP_PATIENCE)
			return;
		nanosleep(&pause, NULL);
	}
}

/* ---- signals and the clock ---- */

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	const struct master *m = arg;

	(void)sig, (void)what;
	if (m->conf_path != NULL)
		change_settings(arg);
}

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	const struct master *m = arg;

	(void)what;
	/* Nothing is deleted on the way out of one-user mode. */
	master_stop(arg, sig == SIGINT || m->conf->one_user.on);
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	pid_t pid;
	int status;

	(void)sig, (void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!was_ours(pid, status))
			sessions_exited(arg, pid, status);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	log_foreign_tick();
	log_flush();
	(void)notify_flush();
	steps_tick(arg);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	notify_alive();
}

/* ---- start ---- */

static int
watch_signals(struct master *m)
{
	static const struct {
		int signal;
		event_callback_fn fn;
	} watched[] = {
	    {SIGHUP, on_hup}, {SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGCHLD, on_child}};

	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		struct event *ev = evsignal_new(m->base, watched[i].signal, watched[i].fn, m);

		if (ev == NULL || event_add(ev, NULL) == -1)
			return -1;
	}
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int
watch_clock(struct master *m)
{
	struct timeval second = {1, 0}, watchdog;
	struct event *tick = event_new(m->base, -1, EV_PERSIST, on_tick, m), *dog;
	uint64_t ms = notify_watchdog_ms() / 2;

	if (tick == NULL || event_add(tick, &second) == -1)
		return -1;
	if (ms == 0)
		return 0;
	watchdog = (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	dog = event_new(m->base, -1, EV_PERSIST, on_watchdog, m);
	return dog == NULL ? -1 : event_add(dog, &watchdog);
}

int
master_make_parts(struct master *m)
{
	m->calls = &inbox_calls;
	m->settle = settle_new(m->base, steps_settle, m);
	m->trouble = calloc(ROLE_COUNT, sizeof(m->trouble[0]));
	m->waiters = waiters_new();
	m->change = change_new();
	m->conns = conns_new(m);
	m->control = control_new(m);
	m->servers = servers_new(m);
	m->helper = helper_new();
	m->keys = keys_new();
	m->listeners = listeners_new(&conns_ports_calls);
	m->receipts = receipts_new(m);
	m->sessions = sessions_new();
	m->workers = workers_new();
	return m->settle != NULL && m->waiters != NULL && m->trouble != NULL && m->change != NULL &&
		       m->conns != NULL && m->control != NULL && m->servers != NULL &&
		       m->helper != NULL && m->keys != NULL && m->listeners != NULL &&
		       m->receipts != NULL && m->sessions != NULL && m->workers != NULL
		   ? 0
		   : -1;
}

void
master_free_parts(struct master *m)
{
	if (m->settle != NULL)
		settle_free(m->settle);
	free(m->trouble);
	free(m->waiters);
	change_free(m->change);
	free(m->conns);
	free(m->control);
	servers_free(m->servers);
	helper_free(m->helper);
	free(m->keys);
	listeners_free(m->listeners);
	receipts_free(m->receipts);
	sessions_free(m->sessions);
	free(m->workers);
}

static int
start_all(struct master *m)
{
	uint64_t fds = privs_raise_nofile();
	char why[MSG_PATH_SIZE];

	if (watch_signals(m) == -1 || watch_clock(m) == -1) {
		log_error(0, "cannot set up: %s", strerror(errno));
		return -1;
	}
	log_info(0, "starting max_connections=%u descriptors=%llu", m->conf->max_connections,
		 (unsigned long long)fds);
	if (change_find_accounts(m, m->conf) == -1)
		return -1;
	if (programs_open(why, sizeof(why)) == -1) {
		log_error(0, "%s", why);
		return -1;
	}
	listeners_inherit(m);
	if (change_prepare(m, m->conf) == -1 || (!m->conf->one_user.on && control_open(m) == -1))
		return -1;
	change_start(m);
	return 0;
}

int
master_run(const struct master_options *options, struct conf *conf)
{
	static struct master m;
	bool failed = true;

	m = (struct master){.conf_path = options->conf_path,
			    .conf_read = options->conf_read,
			    .conf = conf,
			    .started = clock_ms(),
			    .rootless = geteuid() != 0,
			    .state = MASTER_STARTING};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* The key of what is counted by digests is in its memory. */
	if (privs_harden(false) == -1)
		log_warn(0, "core files: %s", strerror(errno));
	if ((m.base = event_base_new()) == NULL || event_base_priority_init(m.base, 2) == -1) {
		log_error(0, "no event loop");
		return 1;
	}
	if (master_make_parts(&m) == -1) {
		log_error(0, "no memory");
		return 1;
	}
	if (start_all(&m) == 0) {
		event_base_dispatch(m.base);
		failed = change_has_failed(&m);
	}
	m.state = MASTER_STOPPING;
	workers_kill_all(&m);
	keys_stop(&m);
	sessions_stop(&m);
	helper_stop(&m);
	control_close(&m);
	listeners_close_all(&m);
	reap_all();
	master_free_parts(&m);
	log_info(0, "stopped");
	log_finish();
	return failed ? 1 : 0;
}
