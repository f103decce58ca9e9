#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/log.h"
#include "common/names.h"
#include "daemon/certificates.h"
#include "daemon/change.h"
#include "daemon/roles/child.h"
#include "daemon/roles/helper.h"
#include "daemon/roles/programs.h"
#include "daemon/notify.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/sessions.h"
#include "daemon/settle.h"
#include "daemon/users.h"
#include "daemon/waiters.h"
#include "daemon/roles/workers.h"

enum {
	OLD_GENERATIONS = 4,	/* that may drain at a time */
	TURN_MS = 600000,	/* that a change waits for one of them to end */
	START_LIMIT_MS = 60000, /* from its beginning to its adoption: the host may be booting */
	LIMIT_MS = 15000,	/* and later: somebody waits for the answer */
	LOST_MAX = 5		/* processes that end before they are ready */
};

struct change {
	bool under_way;		 /* a generation of workers is being made ready */
	bool failed;		 /* it was the start, and nothing serves */
	uint64_t number;	 /* of this one, or of the last */
	struct conf *next;	 /* the settings that come with it; NULL: those in force stay */
	uint64_t begun;		 /* clock_ms() */
	char why[MSG_PATH_SIZE]; /* it is refused, the first reason; empty: none yet */
	/* asked for, and not begun */
	bool settings_wanted, workers_wanted;
	uint64_t wanted_since;	/* clock_ms(); 0: nothing waits */
	struct accounts former; /* of the settings in force, while others are coming */
};

struct change *
change_new(void)
{
	struct change *c = calloc(1, sizeof(*c));

	/* The start is the first one: it began before there was anything to settle. */
	if (c != NULL) {
		c->under_way = true;
		c->begun = clock_ms();
	}
	return c;
}

void
change_free(struct change *c)
{
	if (c != NULL)
		free(c->next);
	free(c);
}

/* A server that went up has a certificate that no worker knows. */
static bool
servers_wait(const struct master *m)
{
	const struct server *s;

	TAILQ_FOREACH (s, servers_all((struct master *)m), next)
		if (s->wanted_up && s->coming == NULL)
			return true;
	return false;
}

static bool
is_wanted(const struct master *m)
{
	return m->change->settings_wanted || m->change->workers_wanted || servers_wait(m);
}

bool
change_is_under_way(const struct master *m)
{
	return m->change->under_way;
}

bool
change_is_pending(const struct master *m)
{
	const struct change *c = m->change;

	return c->under_way || is_wanted(m);
}

/* The settings that are coming, else those in force. */
static const struct conf *
conf_to_come(const struct master *m)
{
	return m->change->next != NULL ? m->change->next : m->conf;
}

bool
change_has_failed(const struct master *m)
{
	return m->change->failed;
}

static bool
has_settings(const struct master *m)
{
	return m->change->next != NULL || m->state == MASTER_STARTING;
}

/* ---- refusals ---- */

/* Log why what was asked for is refused, and keep the first reason for the answer. */
static void __attribute__((format(printf, 2, 3)))
log_refusal(struct master *m, const char *fmt, ...)
{
	char text[MSG_PATH_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error(0, "%s", text);
	if (m->change->why[0] == '\0')
		memcpy(m->change->why, text, sizeof(m->change->why));
}

/* The roles that a change waits for.  Later than the start the helper and the spawner go on with
 * the settings in force. */
static const enum role at_start[] = {ROLE_LOGIN, ROLE_KEY, ROLE_AUTH, ROLE_DISPATCH, ROLE_SPAWNER};

static size_t
roles_concerned(const struct master *m)
{
	return m->state == MASTER_STARTING ? COUNT_OF(at_start) : 2;
}

/* Can a role not work with what is coming?  Why is kept for the answer. */
static bool
is_refused(struct master *m)
{
	for (size_t i = 0; i < roles_concerned(m); i++) {
		const struct role_trouble *t = &m->trouble[at_start[i]];

		if (t->refused) {
			memcpy(m->change->why, t->why, sizeof(m->change->why));
			return true;
		}
		if (t->lost >= LOST_MAX) {
			log_refusal(m, "%s ended %u times before it was ready",
				    role_program(at_start[i]), t->lost);
			return true;
		}
	}
	return false;
}

/* ---- reading ---- */

static void
conf_hear(void *arg, bool is_fault, const char *line)
{
	if (is_fault)
		log_refusal(arg, "%s", line);
	else
		log_warn(0, "%s", line);
}

static struct conf *
conf_read(struct master *m)
{
	const struct conf_hearer hearer = {conf_hear, m};
	struct conf *c = calloc(1, sizeof(*c));
	int64_t now = (int64_t)time(NULL);

	if (c != NULL && conf_load(m->conf_path, c, &hearer) == 0) {
		m->conf_read = now;
		return c;
	}
	free(c);
	return NULL;
}

int
change_find_accounts(struct master *m, const struct conf *c)
{
	const struct account_names names = {c->login_user, c->key_user, c->auth_user,
					    c->control_group, c->metrics_group};
	char why[MSG_PATH_SIZE];

	if (users_find_accounts(&m->accounts, &names, m->rootless, why, sizeof(why)) == 0)
		return 0;
	log_refusal(m, "%s", why);
	return -1;
}

/* What holds from start to end keeps its former value. */
static void
keep_start_settings(const struct master *m, struct conf *c)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} kept[] = {
	    {"log", offsetof(struct conf, log), sizeof(c->log)},
	    {"runtime_dir", offsetof(struct conf, runtime_dir), sizeof(c->runtime_dir)},
	    {"state_dir", offsetof(struct conf, state_dir), sizeof(c->state_dir)},
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const char *old = (const char *)m->conf + kept[i].offset;
		char *new = (char *)c + kept[i].offset;

		if (memcmp(old, new, kept[i].size) == 0)
			continue;
		log_warn(0, "%s: the change takes effect at the next start", kept[i].name);
		memcpy(new, old, kept[i].size);
	}
}

int
change_prepare(struct master *m, const struct conf *c)
{
	char why[MSG_PATH_SIZE];

	if (servers_prepare(m, c, why) == 0)
		return 0;
	log_refusal(m, "%s", why);
	return -1;
}

/* Everything that has to be right before a worker is started for it.  NULL: it is not, and why was
 * logged. */
static struct conf *
settings_take(struct master *m)
{
	char why[MSG_PATH_SIZE];
	struct conf *c;

	if (programs_open(why, sizeof(why)) == -1) {
		log_refusal(m, "%s", why);
		return NULL;
	}
	if ((c = conf_read(m)) == NULL)
		return NULL;
	m->change->former = m->accounts;
	if (change_find_accounts(m, c) == -1 || change_prepare(m, c) == -1) {
		m->accounts = m->change->former;
		free(c);
		return NULL;
	}
	keep_start_settings(m, c);
	return c;
}

/* ---- asked for ---- */

uint64_t
change_settings(struct master *m)
{
	m->change->settings_wanted = true;
	settle_soon(m->settle);
	return m->change->number + 1;
}

uint64_t
change_number(const struct master *m)
{
	return m->change->number;
}

void
change_workers(struct master *m)
{
	m->change->workers_wanted = true;
	settle_soon(m->settle);
}

/* ---- the end, good or bad ---- */

static void
tell_refused(struct master *m)
{
	notify_send("READY=1\nSTATUS=serving, the last reload was refused");
	waiters_wake(m->waiters, WAIT_GENERATION, 0, m->change->why);
}

static void
adopt_settings(struct master *m)
{
	free(m->conf);
	m->conf = m->change->next;
	m->change->next = NULL;
	log_set_level(m->conf->log_level);
	sessions_renew(m);
	notify_send("READY=1\nSTATUS=serving");
	log_info(0, "reloaded %s", m->conf_path);
}

/* The new generation is ready: it serves, and what it was started for is in force from here. */
static void
adopt(struct master *m)
{
	m->change->under_way = false;
	workers_switch(m);
	servers_adopt(m, has_settings(m));
	change_serve(m);
	if (m->state == MASTER_STARTING) {
		m->state = MASTER_SERVING;
		return;
	}
	if (m->change->next != NULL)
		adopt_settings(m);
	helper_configure(m);
	waiters_wake(m->waiters, WAIT_GENERATION, 0, NULL);
}

/* All stays as it was; at the start that is: nothing. */
static void
abandon(struct master *m)
{
	struct change *c = m->change;

	c->under_way = false;
	if (m->state == MASTER_STARTING) {
		c->failed = true;
		return;
	}
	workers_abandon(m);
	servers_abandon(m);
	log_error(0, c->next != NULL ? "reload refused, the settings stay as they were"
				     : "certificate refused, the one in use stays");
	if (c->next != NULL)
		m->accounts = c->former;
	free(c->next);
	c->next = NULL;
	tell_refused(m);
}

void
change_serve(struct master *m)
{
	struct server *s;

	TAILQ_FOREACH (s, servers_all(m), next)
		if (s->wanted_up && s->coming == NULL && workers_know(m, s))
			server_serve(m, s);
}

void
change_start(struct master *m)
{
	workers_begin_generation(m, m->conf);
	certificates_told(m);
	settle_soon(m->settle);
}

/* ---- settling ---- */

static bool
all_ready(const struct master *m)
{
	return workers_ready(m) &&
	       (m->state != MASTER_STARTING || (helper_ready(m) && sessions_ready(m)));
}

static uint32_t
limit_ms(const struct master *m)
{
	return m->state == MASTER_STARTING ? START_LIMIT_MS : LIMIT_MS;
}

static bool
is_too_late(const struct master *m)
{
	uint64_t age = clock_ms() - m->change->begun, limit = limit_ms(m);

	if (age >= limit)
		return true;
	settle_in(m->settle, (uint32_t)(limit - age));
	return false;
}

static void
go_on(struct master *m)
{
	if (is_refused(m))
		abandon(m);
	else if (all_ready(m))
		adopt(m);
	else if (is_too_late(m)) {
		log_refusal(m, "not ready after %u seconds", limit_ms(m) / 1000);
		abandon(m);
	}
}

/* Too many old generations stand: the oldest is closed when the change has waited long enough. */
static bool
may_begin(struct master *m)
{
	struct change *c = m->change;
	uint64_t waited;

	if (workers_old_generations(m) >= OLD_GENERATIONS) {
		if (c->wanted_since == 0)
			c->wanted_since = clock_ms();
		waited = clock_ms() - c->wanted_since;
		if (waited < TURN_MS) {
			settle_in(m->settle, (uint32_t)(TURN_MS - waited));
			return false;
		}
		log_warn(0, "closing the connections of the oldest workers for a reload");
		workers_close_oldest(m);
	}
	c->wanted_since = 0;
	return true;
}

static void
begin(struct master *m)
{
	struct change *c = m->change;

	c->number++;
	c->why[0] = '\0';
	if (c->settings_wanted) {
		c->settings_wanted = false;
		notify_send("RELOADING=1");
		if ((c->next = settings_take(m)) == NULL) {
			log_error(0, "reload refused, the settings stay as they were");
			tell_refused(m);
			return;
		}
	}
	c->workers_wanted = false;
	c->under_way = true;
	c->begun = clock_ms();
	servers_join(m);
	workers_begin_generation(m, conf_to_come(m));
	certificates_told(m);
}

void
change_settle(struct master *m)
{
	const struct change *c = m->change;

	if (m->state == MASTER_STOPPING || c->failed)
		return;
	if (c->under_way)
		go_on(m);
	change_serve(m);
	while (!c->under_way && !c->failed && is_wanted(m) && may_begin(m))
		begin(m);
}
