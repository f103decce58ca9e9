#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/conns.h"
#include "daemon/control.h"
#include "daemon/helper.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/servers.h"
#include "daemon/sessions.h"
#include "daemon/users.h"
#include "daemon/workers.h"

enum {
	OLD_GENERATIONS = 4, /* that may drain at a time */
	RELOAD_WAIT = 600    /* seconds a reload waits for one of them to end */
};

static uint64_t reload_waits_since; /* clock_ms() */

/* ---- beginning ---- */

static struct conf *
conf_read(struct master *m)
{
	const char *path = m->conf_path;
	struct conf *c = calloc(1, sizeof(*c));
	char *text = NULL, *line, *rest;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);
	int r = -1;

	if (c != NULL && errors != NULL)
		r = conf_load(path, c, errors);
	if (errors != NULL)
		fclose(errors);
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;)
		if (line[0] != '\0' && r == -1 && strstr(line, ": warning: ") == NULL)
			master_log_refusal(m, "%s", line);
		else if (line[0] != '\0')
			log_warn(0, "%s", line);
	free(text);
	if (r == -1) {
		free(c);
		return NULL;
	}
	return c;
}

int
reload_find_accounts(struct master *m, const struct conf *c)
{
	static const char text[] = "no usable system user \"%s\": %s (systemd-sysusers or useradd "
				   "--system makes it)";

	if (c->control_group[0] != '\0' &&
	    users_find_group(c->control_group, &m->control_gid) == -1) {
		master_log_refusal(m, "control_group \"%s\": %s", c->control_group,
				   strerror(errno));
		return -1;
	}
	if (m->rootless) {
		m->login_uid = m->auth_uid = geteuid();
		m->login_gid = m->auth_gid = getegid();
		return 0;
	}
	if (users_find(c->login_user, &m->login_uid, &m->login_gid) == -1) {
		master_log_refusal(m, text, c->login_user, strerror(errno));
		return -1;
	}
	if (users_find(c->auth_user, &m->auth_uid, &m->auth_gid) == -1) {
		master_log_refusal(m, text, c->auth_user, strerror(errno));
		return -1;
	}
	return 0;
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

static void
start_generation(struct master *m)
{
	m->renewing = true;
	m->renew_again = false;
	workers_start_generation(m, m->next != NULL ? m->next : m->conf);
}

/* Not while another one gets ready, nor while too many old ones stand. */
static bool
may_start_generation(struct master *m)
{
	return m->state == MASTER_SERVING && !m->renewing &&
	       workers_old_generations(m) < OLD_GENERATIONS;
}

void
reload_workers(struct master *m)
{
	if (may_start_generation(m)) {
		start_generation(m);
		return;
	}
	if (!m->renew_again && !m->reload_again)
		reload_waits_since = clock_ms();
	m->renew_again = true;
}

void
reload_settings(struct master *m)
{
	struct conf *c;

	if (!may_start_generation(m)) {
		if (!m->renew_again && !m->reload_again)
			reload_waits_since = clock_ms();
		m->reload_again = true;
		return;
	}
	m->reload_again = false;
	m->refusal[0] = '\0';
	notify_send("RELOADING=1");
	if ((c = conf_read(m)) == NULL || reload_find_accounts(m, c) == -1 ||
	    servers_prepare(m, c) == -1) {
		free(c);
		log_error(0, "reload refused, the settings stay as they were");
		notify_send("READY=1\nSTATUS=serving, the last reload was refused");
		control_generation_refused(m, m->refusal);
		return;
	}
	keep_start_settings(m, c);
	m->next = c;
	start_generation(m);
}

void
reload_tick(struct master *m)
{
	if ((!m->reload_again && !m->renew_again) || m->renewing || m->state != MASTER_SERVING)
		return;
	if (workers_old_generations(m) >= OLD_GENERATIONS) {
		if (clock_ms() - reload_waits_since > RELOAD_WAIT * 1000) {
			log_warn(0, "closing the connections of the oldest workers for a reload");
			workers_close_oldest(m);
		}
	} else if (m->reload_again)
		reload_settings(m);
	else
		start_generation(m);
}

/* ---- the end, good or bad ---- */

static void
adopt_settings(struct master *m)
{
	free(m->conf);
	m->conf = m->next;
	m->next = NULL;
	log_set_level(m->conf->log_level);
	sessions_renew(m);
	control_protect(m);
	notify_send("READY=1\nSTATUS=serving");
	log_info(0, "reloaded %s", m->conf_path);
}

/* The new generation is ready: it serves, and what it was started for is in force from here. */
void
reload_adopt(struct master *m)
{
	m->renewing = false;
	workers_switch(m);
	servers_adopt(m);
	if (m->next != NULL)
		adopt_settings(m);
	helper_configure(m);
	conns_route(m);
	control_generation_ready(m);
}

void
reload_abandon(struct master *m, const char *why)
{
	workers_abandon(m);
	m->renewing = false;
	servers_abandon(m);
	log_error(0, m->next != NULL ? "reload refused, the settings stay as they were"
				     : "certificate refused, the one in use stays");
	free(m->next);
	m->next = NULL;
	notify_send("READY=1\nSTATUS=serving, the last reload was refused");
	control_generation_refused(m, why);
}
