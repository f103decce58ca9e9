#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/auth/children.h"

enum {
	CRASHES_FREE = 3,    /* in a row before replacing is put off */
	BACKOFF_FIRST = 100, /* milliseconds, then doubled */
	BACKOFF_MAX = 5000,
	WAITING_MAX = 1024 /* checks of one pool */
};

static TAILQ_HEAD(pool_list, pool) pools;

void
pool_crashed(struct pool *p)
{
	uint64_t wait = BACKOFF_FIRST;

	if (++p->crashes <= CRASHES_FREE)
		return;
	for (unsigned i = CRASHES_FREE + 1; i < p->crashes && wait < BACKOFF_MAX; i++)
		wait *= 2;
	p->not_before = clock_ms() + (wait < BACKOFF_MAX ? wait : BACKOFF_MAX);
}

void
pool_answered(struct pool *p)
{
	p->crashes = 0;
	p->not_before = 0;
}

size_t
pool_in_use(const struct pool *p)
{
	const struct child *c;
	size_t n = 0;

	TAILQ_FOREACH (c, &p->children, link)
		n += c->state != CHILD_ENDING;
	return n;
}

/* Bring the pool to its number of children; those not reaped yet count. */
static void
pool_fill(struct pool *p)
{
	uint64_t now = clock_ms();

	if (!p->wanted && p->nwaiting == 0)
		return;
	while (p->nchildren < auth_env.settings->conf.children) {
		if (now < p->not_before) {
			timer_set(p->refill, p->not_before - now);
			return;
		}
		if (child_start(p) == 0)
			continue;
		log_error(0, "cannot start an auth child: %m");
		pool_crashed(p);
		if (p->not_before <= now)
			p->not_before = now + BACKOFF_FIRST;
	}
}

static void
pool_refill(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pool_fill(arg);
	pool_run(arg);
}

/* Replace all children, each when it is idle. */
static void
pool_renew(struct pool *p)
{
	struct child *c;

	TAILQ_FOREACH (c, &p->children, link) {
		c->stale = true;
		if (c->state == CHILD_IDLE)
			child_retire(c);
	}
}

static void
pool_read_accounts(struct pool *p)
{
	if (p->backend->accounts == NULL)
		return;
	userfile_free(&p->accounts);
	p->backend->accounts(&p->accounts, p->arg, p->conf.rootless != 0);
}

/* Have the back end's files changed? */
static void
pool_check_stamp(struct pool *p)
{
	uint64_t stamp = p->backend->stamp(p->arg);

	if (stamp == p->stamp)
		return;
	p->stamp = stamp;
	pool_read_accounts(p);
	pool_renew(p);
	/* whatever made children crash may be gone */
	evtimer_del(p->refill);
	pool_answered(p);
	pool_fill(p);
}

static struct child *
pool_idle_child(const struct pool *p)
{
	struct child *c;

	TAILQ_FOREACH (c, &p->children, link)
		if (c->state == CHILD_IDLE)
			return c;
	return NULL;
}

static void
check_wait(struct pool *p, struct check *c)
{
	c->pool = p;
	p->nwaiting++;
	timer_set(c->patience, (uint64_t)auth_env.settings->conf.deadline * 1000);
}

static void
check_leave(struct check *c)
{
	struct pool *p = c->pool;

	c->pool = NULL;
	p->nwaiting--;
	evtimer_del(c->patience);
	TAILQ_REMOVE(&p->waiting, c, link);
}

/* Give the check to a child.  One that has just died does not take it, so the next one does, or it
 * waits again as the first. */
static void
pool_hand_out(struct pool *p, struct check *c)
{
	struct child *to;

	check_leave(c);
	while ((to = pool_idle_child(p)) != NULL)
		if (child_ask(to, c) == 0)
			return;
	TAILQ_INSERT_HEAD(&p->waiting, c, link);
	check_wait(p, c);
}

void
pool_run(struct pool *p)
{
	if (p->nwaiting == 0)
		return;
	pool_check_stamp(p);
	while (p->nwaiting > 0 && pool_idle_child(p) != NULL)
		pool_hand_out(p, TAILQ_FIRST(&p->waiting));
}

static void
pool_free(struct pool *p)
{
	TAILQ_REMOVE(&pools, p, link);
	userfile_free(&p->accounts);
	event_free(p->refill);
	free(p);
}

void
pool_settle(struct pool *p)
{
	struct child *c;

	if (!p->wanted && p->nwaiting == 0) {
		TAILQ_FOREACH (c, &p->children, link)
			if (c->state == CHILD_IDLE)
				child_retire(c);
		if (p->nchildren == 0)
			pool_free(p);
		return;
	}
	pool_fill(p);
	pool_run(p);
}

void
pool_answer(const struct pool *p, struct msg_child_answer *a, const char *user)
{
	const struct userfile_entry *e = userfile_find(&p->accounts, user);

	memset(&a->account, 0, sizeof(a->account));
	a->mailbox[0] = '\0';
	if (e == NULL) {
		if (a->result == LOGIN_OK) { /* the file is changing */
			a->result = LOGIN_TEMP;
			snprintf(a->why, sizeof(a->why), "not in the user file");
		}
		return;
	}
	snprintf(a->account.user, sizeof(a->account.user), "%s", e->name);
	snprintf(a->account.home, sizeof(a->account.home), "%s", e->home);
	snprintf(a->mailbox, sizeof(a->mailbox), "%s", e->mailbox);
	a->account.uid = e->uid;
	a->account.gid = e->gid;
	a->account.ngroups = 1;
	a->account.groups[0] = e->gid;
}

static struct pool *
pool_find(const char *auth)
{
	struct pool *p;

	TAILQ_FOREACH (p, &pools, link)
		if (strcmp(p->conf.auth, auth) == 0)
			return p;
	return NULL;
}

static struct pool *
pool_new(const char *auth)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	snprintf(p->conf.auth, sizeof(p->conf.auth), "%s", auth);
	p->backend = backend_find(p->conf.auth, &p->arg);
	p->refill = evtimer_new(auth_env.base, pool_refill, p);
	if (p->backend == NULL || p->refill == NULL) {
		if (p->refill != NULL)
			event_free(p->refill);
		free(p);
		return NULL;
	}
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->children);
	TAILQ_INSERT_TAIL(&pools, p, link);
	p->stamp = p->backend->stamp(p->arg);
	return p;
}

static void
pool_configure(struct pool *p, const struct msg_auth_conf *s)
{
	struct msg_child_conf conf = p->conf;

	conf.minimum_uid = s->minimum_uid;
	conf.pam_session = s->pam_session;
	conf.rootless = s->rootless;
	conf.ps_titles = s->ps_titles;
	conf.uid = s->auth_uid;
	conf.gid = s->auth_gid;
	memcpy(conf.user, s->user, sizeof(conf.user));
	conf.password = s->password;
	if (memcmp(&conf, &p->conf, sizeof(conf)) != 0 || p->nchildren == 0) {
		p->conf = conf;
		pool_read_accounts(p);
		pool_renew(p);
	}
	p->wanted = true;
}

void
pools_init(struct event_base *base, const struct pools_calls *calls)
{
	auth_env.base = base;
	auth_env.calls = *calls;
	TAILQ_INIT(&auth_env.keepers);
	TAILQ_INIT(&pools);
}

void
pools_configure(const struct settings *s)
{
	struct pool *p, *next;

	auth_env.settings = s;
	TAILQ_FOREACH (p, &pools, link)
		p->wanted = false;
	for (size_t i = 0; i < s->nservers; i++) {
		const char *auth = s->servers[i].auth;

		if (auth[0] == '\0')
			continue;
		p = pool_find(auth);
		if (p == NULL)
			p = pool_new(auth);
		if (p == NULL)
			log_error(0, "auth %s: no memory", auth);
		else if (!p->wanted)
			pool_configure(p, &s->conf);
	}
	for (p = TAILQ_FIRST(&pools); p != NULL; p = next) {
		struct child *c;

		next = TAILQ_NEXT(p, link);
		TAILQ_FOREACH (c, &p->children, link)
			if (c->state == CHILD_IDLE)
				child_rest(c); /* there may be too many now */
		pool_settle(p);
	}
}

/* It has waited long enough for a child. */
static void
check_impatient(evutil_socket_t fd, short what, void *arg)
{
	struct check *c = arg;
	struct pool *p = c->pool;

	(void)fd, (void)what;
	check_leave(c);
	auth_env.calls.decided(c, LOGIN_TEMP, "no child free", NULL, NULL);
	pool_settle(p);
}

void
pools_ask(const char *auth, struct check *c)
{
	struct pool *p = pool_find(auth);

	if (c->patience == NULL)
		c->patience = evtimer_new(auth_env.base, check_impatient, c);
	if (p == NULL || c->patience == NULL || p->nwaiting >= WAITING_MAX) {
		auth_env.calls.decided(c, LOGIN_TEMP, "queue full", NULL, NULL);
		return;
	}
	TAILQ_INSERT_TAIL(&p->waiting, c, link);
	check_wait(p, c);
	pool_run(p);
}

bool
pools_cancel(struct check *c)
{
	struct pool *p = c->pool;

	if (p == NULL)
		return false;
	check_leave(c);
	pool_settle(p);
	return true;
}

struct check *
check_new(const struct msg_login_ask *ask, const struct msg_conn *conn)
{
	struct check *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->conn = *conn;
	c->ask = *ask;
	return c;
}

void
check_free(struct check *c)
{
	if (c->patience != NULL)
		event_free(c->patience);
	explicit_bzero(c, sizeof(*c));
	free(c);
}
