#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/table/conns_priv.h"
#include "daemon/roles/helper.h"
#include "daemon/table/jobs.h"
#include "daemon/ports/servers.h"
#include "daemon/table/report.h"
#include "daemon/roles/sessions.h"
#include "daemon/waiters.h"

enum { STATUS_FAILED = 1 };

struct job {
	struct msg_job order;
	bool ended; /* its session said how it ended, in `status` */
	uint32_t status;
	char why[MSG_NAME_SIZE]; /* why it came to nothing; empty: it has not */
};

/* 0, or -1: they do not fit. */
static int
words_join(struct msg_job *order, size_t argc, char *const words[])
{
	for (size_t i = 0; i < argc; i++) {
		size_t size = strlen(words[i]) + 1;

		if (size > sizeof(order->words) - order->len)
			return -1;
		memcpy(order->words + order->len, words[i], size);
		order->len += (uint32_t)size;
		order->argc++;
	}
	return 0;
}

/* Its row, with the user's name as it was asked for, until the helper has found the account. */
static struct conn *
row_make(struct master *m, struct server *server, const char *user, struct job *job)
{
	struct conn_login *login = calloc(1, sizeof(*login));
	struct conn *c = login != NULL ? conns_add(m, server) : NULL;

	if (c == NULL) {
		free(login);
		return NULL;
	}
	(void)snprintf(login->user, sizeof(login->user), "%s", user);
	c->login = login;
	c->job = job;
	conns_set_state(m, c, CONN_LOOKUP);
	job->order.id = c->row.id;
	m->conns->njobs++;
	return c;
}

conn_id
jobs_begin(struct master *m, struct server *server, const char *user, const char *other,
	   size_t argc, char *const words[], char why[MSG_PATH_SIZE])
{
	struct msg_lookup ask = {.server = server->slot};
	struct job *job;

	why[0] = '\0';
	if (m->conns->njobs >= JOBS_MAX)
		(void)snprintf(why, MSG_PATH_SIZE, "%d jobs are under way already", JOBS_MAX);
	else if (server->state == SERVER_EXITING)
		(void)snprintf(why, MSG_PATH_SIZE, "server \"%s\" is exiting", server->set.name);
	else if (strlen(user) >= sizeof(ask.user) || strlen(other) >= sizeof(ask.other))
		(void)snprintf(why, MSG_PATH_SIZE, "no user has such a name");
	if (why[0] != '\0')
		return 0;
	if ((job = calloc(1, sizeof(*job))) == NULL)
		(void)snprintf(why, MSG_PATH_SIZE, "no memory");
	else if (words_join(&job->order, argc, words) == -1)
		(void)snprintf(why, MSG_PATH_SIZE, "the arguments are too long");
	else if (row_make(m, server, user, job) == NULL)
		(void)snprintf(why, MSG_PATH_SIZE, "no memory");
	if (why[0] != '\0') {
		free(job);
		return 0;
	}
	ask.id = job->order.id;
	(void)snprintf(ask.user, sizeof(ask.user), "%s", user);
	(void)snprintf(ask.other, sizeof(ask.other), "%s", other);
	if (helper_lookup(m, &ask) == 0)
		return ask.id;
	(void)snprintf(why, MSG_PATH_SIZE, "the auth helper is not there; try again");
	conns_free(m, conns_find(m, ask.id));
	return 0;
}

void
jobs_fail(struct master *m, struct conn *c, const char *why)
{
	(void)snprintf(c->job->why, sizeof(c->job->why), "%s", why);
	conns_free(m, c);
}

void
jobs_abandon(struct master *m, conn_id id)
{
	struct conn *c = conns_find(m, id);

	if (c == NULL)
		return;
	(void)snprintf(c->job->why, sizeof(c->job->why), "requester disconnected");
	conns_kill(m, c);
}

/* The grant that a login would have got from the helper. */
static struct msg_grant *
grant_of(const struct msg_found *found)
{
	struct msg_grant *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->id = found->id;
	g->job = 1;
	memcpy(g->storage, found->storage, sizeof(g->storage));
	memcpy(g->mailbox, found->mailbox, sizeof(g->mailbox));
	memcpy(&g->account, &found->account,
	       offsetof(struct msg_account, groups) +
		   found->account.ngroups * sizeof(found->account.groups[0]));
	return g;
}

bool
jobs_found(struct master *m, const struct msg_found *found)
{
	struct conn *c = conns_find(m, found->id);
	struct msg_grant *grant;

	if (c == NULL || c->state != CONN_LOOKUP)
		return false;
	if (found->result != LOGIN_OK) {
		jobs_fail(m, c, found->why);
		return true;
	}
	if ((grant = grant_of(found)) == NULL) {
		jobs_fail(m, c, "no memory");
		return true;
	}
	/* as a login of this user has it: the name that was asked for may be another form of it */
	memcpy(c->login->user, found->account.user, sizeof(c->login->user));
	memcpy(c->job->order.target, found->target, sizeof(found->target));
	conns_grant(m, c, grant);
	return true;
}

void
jobs_helper_lost(struct master *m)
{
	struct conn *c, *t;

	if (m->conns->nlookups == 0)
		return;
	RB_FOREACH_SAFE (c, conn_tree, &m->conns->tree, t)
		if (c->state == CONN_LOOKUP)
			jobs_fail(m, c, "the auth helper was lost; try again");
}

int
jobs_send(const struct conn *c, struct session *s)
{
	const struct msg_job *order = &c->job->order;

	return evchannel_put(&s->ec, MSG_JOB, order, offsetof(struct msg_job, words) + order->len);
}

void
jobs_taken(struct master *m, struct conn *c)
{
	waiters_wake(m->waiters, WAIT_JOB, c->row.id, NULL);
}

void
jobs_ended(struct conn *c, const struct msg_job_end *end)
{
	c->job->ended = true;
	c->job->status = end->status;
}

static void
job_report(const struct conn *c)
{
	char words[MSG_NAME_SIZE];
	const struct job *j = c->job;
	size_t len = j->order.len < sizeof(words) ? j->order.len : sizeof(words);

	memcpy(words, j->order.words, len);
	for (size_t i = 0; i + 1 < len; i++)
		if (words[i] == '\0')
			words[i] = ' ';
	words[len - 1] = '\0';
	report_job(c, words, j->ended ? j->status : STATUS_FAILED, j->why);
}

void
jobs_forget(struct master *m, struct conn *c)
{
	struct job *j = c->job;

	if (!j->ended && j->why[0] == '\0')
		(void)snprintf(j->why, sizeof(j->why), "%s",
			       c->state == CONN_SESSION ? "killed" : "no session began it");
	job_report(c);
	if (c->state != CONN_SESSION)
		waiters_wake(m->waiters, WAIT_JOB, c->row.id, j->why);
	m->conns->njobs--;
	c->job = NULL;
	free(j);
}
