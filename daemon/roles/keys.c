#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/keys.h"
#include "daemon/settle.h"
#include "daemon/totals.h"

struct key_pair {
	STAILQ_ENTRY(key_pair) next;
	struct msg_key_pair is;
};

struct keys {
	TAILQ_HEAD(, key_process) list;
	uint64_t last; /* number of the process started last */
};

struct keys *
keys_new(void)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	if (keys != NULL)
		TAILQ_INIT(&keys->list);
	return keys;
}

static struct key_process *
find(const struct master *m, uint32_t generation)
{
	struct key_process *k;

	TAILQ_FOREACH (k, &m->keys->list, next)
		if (k->generation == generation)
			return k;
	return NULL;
}

/* ---- generations ---- */

static void
settings_fill(const struct master *m, const struct conf *conf, struct msg_key_conf *out)
{
	if (!m->rootless)
		snprintf(out->chroot_dir, sizeof(out->chroot_dir), "%.*s/empty",
			 (int)sizeof(out->chroot_dir) - 8, conf->runtime_dir);
	out->uid = m->accounts.key_uid;
	out->gid = m->accounts.key_gid;
	out->sandbox = conf->sandbox;
	out->landlock_abi_max = conf->landlock_abi_max;
	out->ps_titles = conf->ps_titles;
}

/* Several servers may have the same one. */
static bool
has_pair(const struct key_process *k, const char *certificate, const char *key)
{
	const struct key_pair *p;

	STAILQ_FOREACH(p, &k->pairs, next)
	if (strcmp(p->is.certificate, certificate) == 0 && strcmp(p->is.certificate_key, key) == 0)
		return true;
	return false;
}

static void
add_pair(struct key_process *k, const char *certificate, const char *key)
{
	struct key_pair *p;

	if (has_pair(k, certificate, key))
		return;
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		log_error(0, "no memory for certificate_key %s", key);
		return;
	}
	(void)snprintf(p->is.certificate, sizeof(p->is.certificate), "%s", certificate);
	(void)snprintf(p->is.certificate_key, sizeof(p->is.certificate_key), "%s", key);
	STAILQ_INSERT_TAIL(&k->pairs, p, next);
}

static void
key_free(struct key_process *k)
{
	struct key_pair *p;

	child_kill(&k->child);
	while ((p = STAILQ_FIRST(&k->pairs)) != NULL) {
		STAILQ_REMOVE_HEAD(&k->pairs, next);
		free(p);
	}
	free(k);
}

void
keys_begin_generation(struct master *m, uint32_t generation, const struct conf *conf)
{
	struct key_process *k = calloc(1, sizeof(*k));
	const struct server *s;

	m->trouble[ROLE_KEY] = (struct role_trouble){0};
	if (k == NULL) {
		log_error(0, "no memory for keys");
		return;
	}
	k->master = m;
	k->generation = k->conf.generation = generation;
	STAILQ_INIT(&k->pairs);
	settings_fill(m, conf, &k->conf);
	TAILQ_FOREACH (s, servers_all(m), next) {
		const struct conf_server *set = server_with_certificate(s);

		for (size_t i = 0; set != NULL && i < set->certificate.n; i++)
			add_pair(k, set->certificate.path[i], set->certificate_key.path[i]);
	}
	if (STAILQ_EMPTY(&k->pairs))
		free(k);
	else
		TAILQ_INSERT_TAIL(&m->keys->list, k, next);
}

void
keys_end_generation(struct master *m, uint32_t generation)
{
	struct key_process *k = find(m, generation);

	if (k == NULL)
		return;
	TAILQ_REMOVE(&m->keys->list, k, next);
	key_free(k);
}

/* ---- the process ---- */

static void
key_gone(struct key_process *k)
{
	struct master *m = k->master;

	/* A change waits for the newest one; others are restarted beside it. */
	if (TAILQ_NEXT(k, next) == NULL && !k->child.ready)
		m->trouble[ROLE_KEY].lost++;
	child_kill(&k->child);
	k->child.ready = k->refused = false;
	k->number = 0;
	backoff_lost(&k->backoff, clock_ms());
	settle_soon(m->settle);
}

/* A change looks at that of the newest generation. */
static struct role_trouble *
trouble_of(const struct key_process *k)
{
	static struct role_trouble former;

	return TAILQ_NEXT(k, next) == NULL ? &k->master->trouble[ROLE_KEY] : &former;
}

static void
key_end(struct evchannel *ec, int error, void *arg)
{
	struct key_process *k = arg;

	(void)ec;
	role_ended(trouble_of(k), &k->child, error);
	if (!k->refused && k->master->state != MASTER_STOPPING) {
		totals_add(TOTAL_LOST, ROLE_KEY, 0, 1);
		log_warn(0, "key process lost (%s) generation=%u", channel_end_text(error),
			 k->generation);
	}
	key_gone(k);
}

static void
key_msg(struct evchannel *ec, struct msg *msg, void *arg)
{
	struct key_process *k = arg;

	if (k->master->calls->key(k, msg) == -1)
		key_end(ec, EBADMSG, k);
}

static void
key_start(struct key_process *k)
{
	struct master *m = k->master;
	const struct key_pair *p;

	if (child_start(&k->child, m->base, ROLE_KEY, key_msg, key_end, k) == -1) {
		log_error(0, "cannot start pop3d-key: %s", strerror(errno));
		key_gone(k);
		return;
	}
	k->number = ++m->keys->last;
	k->child.may_report = k->conf.sandbox == SANDBOX_LOG;
	evchannel_put(&k->child.ec, MSG_KEY_CONF, &k->conf, sizeof(k->conf));
	STAILQ_FOREACH(p, &k->pairs, next)
	evchannel_put(&k->child.ec, MSG_KEY_PAIR, &p->is, sizeof(p->is));
	evchannel_put(&k->child.ec, MSG_KEY_START, NULL, 0);
}

void
keys_settle(struct master *m, bool (*is_needed)(const struct master *m, uint32_t generation))
{
	struct key_process *k, *t;

	TAILQ_FOREACH_SAFE (k, &m->keys->list, next, t)
		if (!is_needed(m, k->generation))
			keys_end_generation(m, k->generation);
		else if (!evchannel_is_open(&k->child.ec) &&
			 backoff_is_over(&k->backoff, m->settle))
			key_start(k);
}

void
key_is_ready(struct key_process *k, const struct msg_ready *ready)
{
	k->child.ready = true;
	k->confined = *ready;
	log_info(0, "keys ready generation=%u landlock_abi=%u seccomp=%u", k->generation,
		 ready->landlock_abi, ready->seccomp);
	settle_soon(k->master->settle);
}

void
key_is_refused(struct key_process *k, const char *why)
{
	k->refused = true;
	role_refused(trouble_of(k), ROLE_KEY, why);
	settle_soon(k->master->settle);
}

bool
keys_ready(const struct master *m, uint32_t generation)
{
	const struct key_process *k = find(m, generation);

	return k == NULL || k->child.ready;
}

uint64_t
keys_number(const struct master *m, uint32_t generation)
{
	const struct key_process *k = find(m, generation);

	return k != NULL ? k->number : 0;
}

void
keys_worker_new(struct master *m, uint32_t generation, uint32_t worker, int fd)
{
	struct msg_worker w = {worker, 0};
	struct key_process *k = find(m, generation);

	if (k != NULL)
		evchannel_send(&k->child.ec, MSG_WORKER_NEW, &w, sizeof(w), &fd, 1);
}

const struct key_process *
keys_next(const struct master *m, const struct key_process *k)
{
	return k == NULL ? TAILQ_FIRST(&m->keys->list) : TAILQ_NEXT(k, next);
}

void
keys_heartbeat(struct master *m)
{
	struct key_process *k;

	TAILQ_FOREACH (k, &m->keys->list, next)
		if (evchannel_is_open(&k->child.ec) && !child_heartbeat(&k->child)) {
			log_warn(0, "key process does not answer generation=%u", k->generation);
			key_end(&k->child.ec, ETIMEDOUT, k);
		}
}

void
keys_stop(struct master *m)
{
	struct key_process *k;

	while ((k = TAILQ_FIRST(&m->keys->list)) != NULL) {
		child_let_go(&k->child);
		keys_end_generation(m, k->generation);
	}
}
