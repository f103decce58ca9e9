#include "config.h"

#include <time.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/log.h"
#include "daemon/background.h"
#include "daemon/certificates.h"
#include "daemon/change.h"
#include "daemon/control/control.h"
#include "daemon/last.h"
#include "daemon/notify.h"
#include "daemon/ports/listeners.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/keys.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/steps.h"
#include "daemon/table/conns.h"
#include "daemon/table/report.h"
#include "daemon/table/takeover.h"

enum {
	HEARTBEAT = 10, /* ticks */
	KILL_WAIT = 10	/* seconds for killed processes to be gone */
};

/* ---- the start and the end ---- */

/* The start has ended, in one way or the other. */
static void
settle_begin(struct master *m)
{
	if (m->announced || m->state == MASTER_STOPPING)
		return;
	if (change_has_failed(m)) {
		event_base_loopbreak(m->base);
	} else if (m->state == MASTER_SERVING) {
		m->announced = true;
		notify_send("READY=1\nSTATUS=serving");
		report_serving(m);
		log_info(0, "serving servers=%zu login_workers=%u version=%s%s", m->conf->nservers,
			 m->conf->login_workers, PACKAGE_VERSION, m->rootless ? " rootless" : "");
		background_serves();
	}
}

/* While stopping: the last connection has gone. */
static void
settle_end(struct master *m)
{
	if (m->state == MASTER_STOPPING && conns_count(m) == 0)
		event_base_loopbreak(m->base);
}

/* ---- stopping ---- */

static void
kill_everything(struct master *m)
{
	conns_drop_undecided(m);
	sessions_kill_all(m);
	workers_kill_all(m);
	event_base_loopexit(m->base, &(struct timeval){KILL_WAIT, 0});
}

static void
on_stop_limit(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	(void)fd, (void)what;
	log_warn(0, "shutdown_timeout: ending %zu connections", conns_count(m));
	kill_everything(m);
}

static void
stop_begin(struct master *m)
{
	struct timeval limit = {m->conf->shutdown_timeout, 0};
	char text[80];

	/* The manager's own patience may be shorter than what was set. */
	snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		 (unsigned long long)(m->conf->shutdown_timeout + 2 * KILL_WAIT) * 1000000);
	notify_send(text);
	log_info(0, "stopping connections=%zu", conns_count(m));
	m->state = MASTER_STOPPING;
	listeners_close_all(m);
	workers_drain_all(m);
	event_base_once(m->base, -1, EV_TIMEOUT, on_stop_limit, m, &limit);
}

/* Stop, as was asked for. */
static void
settle_stop(struct master *m)
{
	if (m->stop == m->stop_done)
		return;
	if (m->state == MASTER_STARTING) {
		event_base_loopbreak(m->base);
		return;
	}
	if (m->stop_done == MASTER_STOP_NOT)
		stop_begin(m);
	if (m->stop == MASTER_STOP_NOW)
		kill_everything(m);
	m->stop_done = m->stop;
}

/* ---- settling ---- */

/*
 * What an earlier step makes possible, a later one does: a change starts
 * workers; what a lost helper decided is void before there is a new one;
 * workers take clients, their logins take spares, which are ordered.
 */
void
steps_settle(void *arg)
{
	static void (*const steps[])(struct master * m) = {
	    settle_stop,   change_settle,  settle_begin, conns_expire,	     conns_start_helper,
	    helper_settle, workers_settle, conns_settle, conns_order_spares, servers_settle,
	    conns_accept,  control_settle, settle_end};

	for (size_t i = 0; i < COUNT_OF(steps); i++)
		steps[i](arg);
}

/* ---- the clock ---- */

void
steps_tick(struct master *m)
{
	last_tick(m->conf->last_logins, clock_ms(), time(NULL));
	takeover_tick(m);
	report_tick(m);
	workers_tick(m);
	certificates_tick(m);
	listeners_tick(m);
	settle_soon(m->settle);
	if (++m->ticks % HEARTBEAT == 0) {
		helper_heartbeat(m);
		workers_heartbeat(m);
		keys_heartbeat(m);
		sessions_heartbeat(m);
	}
}
