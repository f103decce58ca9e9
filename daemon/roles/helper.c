#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/failures.h"
#include "common/log.h"
#include "common/names.h"
#include "daemon/roles/helper.h"
#include "daemon/ports/servers.h"
#include "daemon/settle.h"
#include "daemon/totals.h"
#include "daemon/roles/workers.h"

struct helper {
	/* One does not go on without the other: together they know all rows. */
	struct child gate, dispatcher;
	struct backoff backoff;
	uint64_t number;	      /* of the one that was started last */
	bool knows_rows;	      /* all that there were when it was started */
	uint64_t servers;	      /* servers_version() that it was told */
	uint8_t key[MSG_DIGEST_SIZE]; /* of all helpers' digests */
	struct failures *failures;    /* that they counted */
	/* Refused logins by second, a minute of them. */
	struct {
		uint64_t second;
		unsigned count;
	} refused[60];
};

/* To both. */
static void
tell(struct helper *h, enum msg_type type, const void *body, size_t len)
{
	evchannel_put(&h->gate.ec, type, body, len);
	evchannel_put(&h->dispatcher.ec, type, body, len);
}

static void
settings_fill(const struct master *m, struct msg_auth_conf *out)
{
	const struct conf *c = m->conf;

	memset(out, 0, sizeof(*out));
	memcpy(out->key, m->helper->key, sizeof(out->key));
	out->children = c->auth_children;
	out->deadline = c->auth_deadline;
	out->max_failures = c->max_auth_failures;
	out->failure_delay = c->auth_failure_delay;
	out->failure_window = c->auth_failure_window;
	out->failures_per_user = c->auth_failures_per_user;
	out->failures_per_source = c->auth_failures_per_source;
	out->account_delay = c->auth_account_delay;
	out->minimum_uid = c->minimum_uid;
	out->pam_session = c->pam_session;
	out->rootless = m->rootless;
	out->auth_uid = m->accounts.auth_uid;
	out->auth_gid = m->accounts.auth_gid;
	out->ps_titles = c->ps_titles;
	out->sandbox = c->sandbox;
	out->landlock_abi_max = c->landlock_abi_max;
	if (!m->rootless)
		(void)snprintf(out->chroot_dir, sizeof(out->chroot_dir), "%.*s/empty",
			       (int)sizeof(out->chroot_dir) - 8, c->runtime_dir);
}

/* Only back ends need the one user and his password, only the dispatcher the key. */
static void
settings_tell(const struct master *m)
{
	struct helper *h = m->helper;
	struct msg_auth_conf conf;

	settings_fill(m, &conf);
	evchannel_put(&h->dispatcher.ec, MSG_AUTH_CONF, &conf, sizeof(conf));
	explicit_bzero(conf.key, sizeof(conf.key));
	memcpy(conf.user, m->conf->one_user.user, sizeof(conf.user));
	conf.password = m->conf->one_user.password;
	evchannel_put(&h->gate.ec, MSG_AUTH_CONF, &conf, sizeof(conf));
	secret_wipe(&conf.password);
}

void
helper_configure(struct master *m)
{
	const struct server *s;

	if (!helper_runs(m))
		return;
	settings_tell(m);
	TAILQ_FOREACH (s, servers_all(m), next) {
		const struct conf_server *set = server_coming(s);
		struct msg_auth_server server;

		memset(&server, 0, sizeof(server));
		server.server = s->slot;
		memcpy(server.name, set->name, sizeof(server.name));
		memcpy(server.auth, set->auth, sizeof(server.auth));
		server.username_fold = set->username_fold;
		memcpy(server.username_domain, set->username_domain,
		       sizeof(server.username_domain));
		memcpy(server.storage, set->storage, sizeof(server.storage));
		tell(m->helper, MSG_AUTH_SERVER, &server, sizeof(server));
	}
	tell(m->helper, MSG_AUTH_START, NULL, 0);
	m->helper->servers = servers_version(m);
}

void
helper_count_refused(struct master *m)
{
	struct helper *h = m->helper;
	uint64_t second = clock_ms() / 1000;
	size_t i = second % 60;

	if (h->refused[i].second != second)
		h->refused[i].count = 0;
	h->refused[i].second = second;
	h->refused[i].count++;
}

unsigned
helper_failed_logins(struct master *m)
{
	uint64_t second = clock_ms() / 1000;
	unsigned n = 0;

	for (size_t i = 0; i < 60; i++)
		if (second - m->helper->refused[i].second < 60)
			n += m->helper->refused[i].count;
	return n;
}

void
helper_keep_failures(struct master *m, const struct msg_failures *told)
{
	for (uint32_t i = 0; i < told->count; i++)
		failures_put(m->helper->failures, &told->rows[i]);
	log_debug(0, "%u counts of failed logins kept", told->count);
}

/* What the dispatchers before have counted. */
static void
tell_failures(struct helper *h)
{
	static struct msg_failures told;
	size_t len;

	failures_mark(h->failures);
	while ((len = failures_take(h->failures, &told)) > 0)
		evchannel_put(&h->dispatcher.ec, MSG_FAILURES, &told, len);
}

static void
helper_gone(struct master *m)
{
	struct helper *h = m->helper;

	child_kill(&h->gate);
	child_kill(&h->dispatcher);
	h->gate.ready = h->dispatcher.ready = h->knows_rows = false;
	backoff_lost(&h->backoff, clock_ms());
	settle_soon(m->settle);
}

static struct child *
child_of(struct master *m, const struct evchannel *ec)
{
	return ec == &m->helper->gate.ec ? &m->helper->gate : &m->helper->dispatcher;
}

/* One of the two has gone. */
static void
helper_end(struct evchannel *ec, int error, void *arg)
{
	struct master *m = arg;
	const struct child *c = child_of(m, ec);

	m->trouble[c->role].lost += !c->ready;
	role_ended(&m->trouble[c->role], c, error);
	totals_add(TOTAL_LOST, c->role, 0, 1);
	log_warn(0, "auth helper lost (%s: %s); logins wait for a new one", role_program(c->role),
		 channel_end_text(error));
	helper_gone(m);
}

static void
helper_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct master *m = arg;

	if (m->calls->helper(child_of(m, ec), msg) == -1)
		helper_end(ec, EBADMSG, m);
}

static void
helper_drained(struct evchannel *ec, void *arg)
{
	const struct master *m = arg;

	(void)ec;
	settle_soon(m->settle);
}

bool
helper_may_start(const struct master *m)
{
	return !helper_runs(m) && backoff_is_over(&m->helper->backoff, m->settle);
}

/* Give each an end of their channel.  0, or -1 with errno. */
static int
connect_both(struct helper *h)
{
	int pair[2], rc;

	if (channel_pair(pair) == -1)
		return -1;
	rc = evchannel_send(&h->gate.ec, MSG_CHECK_CHANNEL, NULL, 0, &pair[0], 1);
	if (rc == 0)
		rc = evchannel_send(&h->dispatcher.ec, MSG_CHECK_CHANNEL, NULL, 0, &pair[1], 1);
	close(pair[0]);
	close(pair[1]);
	return rc;
}

static int
start_both(struct master *m)
{
	struct helper *h = m->helper;

	if (child_start(&h->gate, m->base, ROLE_AUTH, helper_msg, helper_end, m) == -1 ||
	    child_start(&h->dispatcher, m->base, ROLE_DISPATCH, helper_msg, helper_end, m) == -1)
		return -1;
	h->gate.ec.drained = h->dispatcher.ec.drained = helper_drained;
	/* a new one is told all rows at once */
	h->gate.ec.ch.queue_max += m->conf->max_connections;
	h->dispatcher.ec.ch.queue_max += m->conf->max_connections;
	h->dispatcher.may_report = m->conf->sandbox == SANDBOX_LOG;
	return connect_both(h);
}

void
helper_start(struct master *m)
{
	if (start_both(m) == -1) {
		log_error(0, "cannot start the auth helper: %s", strerror(errno));
		m->trouble[ROLE_AUTH].lost++;
		helper_gone(m);
		return;
	}
	helper_configure(m);
	tell_failures(m->helper);
	m->helper->number++;
	m->helper->knows_rows = false;
}

void
helper_settle(struct master *m)
{
	struct helper *h = m->helper;

	if (h->servers != servers_version(m))
		helper_configure(m);
	/* All that it was told has left: a worker may ask about any row now. */
	h->knows_rows |= helper_is_clear(m);
}

uint64_t
helper_number(const struct master *m)
{
	return m->helper->knows_rows ? m->helper->number : 0;
}

struct helper *
helper_new(void)
{
	struct helper *h = calloc(1, sizeof(*h));

	if (h == NULL || (h->failures = failures_new(FAILURES_MAX)) == NULL) {
		free(h);
		return NULL;
	}
	h->gate.ec.ch.fd = h->dispatcher.ec.ch.fd = -1;
	arc4random_buf(h->key, sizeof(h->key));
	return h;
}

void
helper_free(struct helper *h)
{
	if (h != NULL)
		failures_free(h->failures);
	free(h);
}

struct child *
helper_child(const struct master *m, enum role role)
{
	return role == ROLE_AUTH ? &m->helper->gate : &m->helper->dispatcher;
}

struct master *
helper_master(const struct child *c)
{
	return c->ec.arg;
}

bool
helper_runs(const struct master *m)
{
	return evchannel_is_open(&m->helper->gate.ec);
}

bool
helper_ready(const struct master *m)
{
	return m->helper->gate.ready && m->helper->dispatcher.ready;
}

void
helper_row(struct master *m, const struct msg_conn *row)
{
	tell(m->helper, MSG_ROW, row, sizeof(*row));
}

void
helper_row_gone(struct master *m, conn_id id)
{
	const struct msg_conn_ref ref = {id};

	tell(m->helper, MSG_ROW_GONE, &ref, sizeof(ref));
}

void
helper_grant_void(struct master *m, conn_id id)
{
	const struct msg_conn_ref ref = {id};

	evchannel_put(&m->helper->gate.ec, MSG_GRANT_VOID, &ref, sizeof(ref));
}

void
helper_worker_new(struct master *m, uint32_t worker, int fd)
{
	struct msg_worker w = {worker, 0};

	evchannel_send(&m->helper->dispatcher.ec, MSG_WORKER_NEW, &w, sizeof(w), &fd, 1);
}

void
helper_worker_gone(struct master *m, uint32_t worker)
{
	struct msg_worker w = {worker, 0};

	evchannel_put(&m->helper->dispatcher.ec, MSG_WORKER_GONE, &w, sizeof(w));
}

int
helper_lookup(struct master *m, const struct msg_lookup *ask)
{
	struct evchannel *ec = &m->helper->gate.ec;

	return evchannel_is_open(ec) ? evchannel_put(ec, MSG_LOOKUP, ask, sizeof(*ask)) : -1;
}

bool
helper_is_clear(const struct master *m)
{
	const struct helper *h = m->helper;

	return helper_runs(m) && h->gate.ec.ch.first == NULL && h->dispatcher.ec.ch.first == NULL;
}

void
helper_heartbeat(struct master *m)
{
	struct child *both[] = {&m->helper->gate, &m->helper->dispatcher};

	for (size_t i = 0; i < COUNT_OF(both); i++)
		if (evchannel_is_open(&both[i]->ec) && !child_heartbeat(both[i])) {
			log_warn(0, "auth helper does not answer");
			helper_end(&both[i]->ec, ETIMEDOUT, m);
		}
}

void
helper_stop(struct master *m)
{
	child_let_go(&m->helper->gate);
	child_let_go(&m->helper->dispatcher);
}
