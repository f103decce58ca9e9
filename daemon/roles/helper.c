#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failures.h"
#include "common/log.h"
#include "daemon/roles/helper.h"
#include "daemon/ports/servers.h"
#include "daemon/settle.h"
#include "daemon/roles/workers.h"

struct helper {
	struct child child;
	struct backoff backoff;
	bool connect_due;	      /* workers get their channels when it knows all rows */
	uint64_t servers;	      /* servers_version() that it was told */
	uint8_t key[MSG_DIGEST_SIZE]; /* of all helpers' digests */
	struct failures *failures;    /* that they counted */
	/* Refused logins by second, a minute of them. */
	struct {
		uint64_t second;
		unsigned count;
	} refused[60];
};

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
	memcpy(out->user, c->one_user.user, sizeof(out->user));
	out->password = c->one_user.password;
}

void
helper_configure(struct master *m)
{
	struct evchannel *ec = &m->helper->child.ec;
	struct msg_auth_conf conf;
	const struct server *s;

	if (!evchannel_is_open(ec))
		return;
	settings_fill(m, &conf);
	evchannel_put(ec, MSG_AUTH_CONF, &conf, sizeof(conf));
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
		evchannel_put(ec, MSG_AUTH_SERVER, &server, sizeof(server));
	}
	evchannel_put(ec, MSG_AUTH_START, NULL, 0);
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

/* What the helpers before have counted. */
static void
tell_failures(struct helper *h)
{
	static struct msg_failures told;
	size_t len;

	failures_mark(h->failures);
	while ((len = failures_take(h->failures, &told)) > 0)
		evchannel_put(&h->child.ec, MSG_FAILURES, &told, len);
}

static void helper_end(struct evchannel *ec, int error, void *arg);

static void
helper_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct master *m = arg;

	if (m->calls->helper(m, msg) == -1)
		helper_end(ec, EBADMSG, m);
}

static void
helper_gone(struct master *m)
{
	struct helper *h = m->helper;

	child_kill(&h->child);
	m->trouble[ROLE_AUTH].lost += !h->child.ready;
	h->child.ready = h->connect_due = false;
	backoff_lost(&h->backoff, clock_ms());
	settle_soon(m->settle);
}

static void
helper_end(struct evchannel *ec, int error, void *arg)
{
	struct master *m = arg;

	(void)ec;
	role_ended(&m->trouble[ROLE_AUTH], &m->helper->child, error);
	log_warn(0, "auth helper lost (%s); logins wait for a new one", channel_end_text(error));
	helper_gone(m);
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

void
helper_start(struct master *m)
{
	struct child *c = &m->helper->child;

	if (child_start(c, m->base, ROLE_AUTH, helper_msg, helper_end, m) == -1) {
		log_error(0, "cannot start pop3d-auth: %s", strerror(errno));
		helper_gone(m);
		return;
	}
	c->ec.drained = helper_drained;
	helper_configure(m);
	tell_failures(m->helper);
	m->helper->connect_due = true;
}

void
helper_settle(struct master *m)
{
	struct helper *h = m->helper;

	if (h->servers != servers_version(m))
		helper_configure(m);
	/* All that it was told has left: a worker may ask about any row now. */
	if (h->connect_due && helper_is_clear(m)) {
		h->connect_due = false;
		workers_connect_helper(m);
	}
}

struct helper *
helper_new(void)
{
	struct helper *h = calloc(1, sizeof(*h));

	if (h == NULL || (h->failures = failures_new(FAILURES_MAX)) == NULL) {
		free(h);
		return NULL;
	}
	h->child.ec.ch.fd = -1;
	arc4random_buf(h->key, sizeof(h->key));
	return h;
}

struct child *
helper_child(const struct master *m)
{
	return &m->helper->child;
}

bool
helper_runs(const struct master *m)
{
	return evchannel_is_open(&m->helper->child.ec);
}

bool
helper_ready(const struct master *m)
{
	return m->helper->child.ready;
}

void
helper_row(struct master *m, const struct msg_conn *row)
{
	evchannel_put(&m->helper->child.ec, MSG_ROW, row, sizeof(*row));
}

void
helper_about(struct master *m, enum msg_type type, conn_id id)
{
	struct msg_conn_ref ref = {id};

	evchannel_put(&m->helper->child.ec, type, &ref, sizeof(ref));
}

void
helper_worker_new(struct master *m, uint32_t worker, int fd)
{
	struct msg_worker w = {worker, 0};

	evchannel_send(&m->helper->child.ec, MSG_WORKER_NEW, &w, sizeof(w), &fd, 1);
}

void
helper_worker_gone(struct master *m, uint32_t worker)
{
	struct msg_worker w = {worker, 0};

	evchannel_put(&m->helper->child.ec, MSG_WORKER_GONE, &w, sizeof(w));
}

int
helper_lookup(struct master *m, const struct msg_lookup *ask)
{
	struct evchannel *ec = &m->helper->child.ec;

	return evchannel_is_open(ec) ? evchannel_put(ec, MSG_LOOKUP, ask, sizeof(*ask)) : -1;
}

bool
helper_is_clear(const struct master *m)
{
	const struct evchannel *ec = &m->helper->child.ec;

	return evchannel_is_open(ec) && ec->ch.first == NULL;
}

void
helper_heartbeat(struct master *m)
{
	struct child *c = &m->helper->child;

	if (evchannel_is_open(&c->ec) && !child_heartbeat(c)) {
		log_warn(0, "auth helper does not answer");
		helper_end(&c->ec, ETIMEDOUT, m);
	}
}

void
helper_stop(struct master *m)
{
	child_let_go(&m->helper->child);
}
