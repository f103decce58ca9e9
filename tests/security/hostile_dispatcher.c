/*
 * An auth dispatcher that has been taken, for tests: it speaks the real channels
 * with the real master, gate and workers, and does what the name of each login
 * says, WORD:NUMBER:NAME:
 *
 *   check:1:NAME    ask the gate, as an honest one does
 *   guess:N:NAME    N wrong passwords, one when the one before is answered
 *   burst:N:NAME    the same, all at once
 *   beside:N:NAME   the password that came, for the N connections that follow
 *   grant:UID:NAME  tell master that the client is NAME with this uid
 *   fail:1:NAME     tell the gate what only the gate may say
 *
 * When the gate has answered all it writes "hostile: judged=J granted=G refused=R"
 * into the log, and refuses the login.
 */
#include "config.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"

enum { WORKERS_MAX = 8, QUEUE_MAX_ITEMS = 4096 };

static struct channel master, gate, workers[WORKERS_MAX];
static struct msg_auth_conf conf;

/* What is being done, for this login. */
static struct {
	struct channel *worker;
	struct msg_login_ask ask;
	unsigned left, sent, judged, granted, refused;
} job;

static void
log_text(const char *text)
{
	static struct msg_log m;

	memset(&m, 0, sizeof(m));
	m.prio = 6;
	(void)snprintf(m.text, sizeof(m.text), "%s", text);
	channel_put(&master, MSG_LOG, &m, offsetof(struct msg_log, text) + strlen(m.text) + 1);
}

static void
check(conn_id id, bool wrong)
{
	struct msg_login_ask m = job.ask;

	m.id = id;
	job.sent++;
	if (wrong) {
		memset(&m.password, 0, sizeof(m.password));
		(void)snprintf(m.password.octets, sizeof(m.password.octets), "wrong-%u", job.sent);
	}
	channel_put(&gate, MSG_CHECK, &m, sizeof(m));
}

/* In the gate's name: the rules of this end are not asked. */
static void
forge(const struct channel *to, enum role self, enum role peer, enum msg_type type,
      const void *body, size_t len)
{
	struct channel c;

	channel_init(&c, dup(to->fd), self, peer, QUEUE_MAX_ITEMS);
	channel_put(&c, type, body, len);
	channel_close(&c);
}

static void
forge_grant(unsigned uid)
{
	static struct msg_grant g;

	memset(&g, 0, sizeof(g));
	g.id = job.ask.id;
	g.account.uid = g.account.gid = uid;
	memcpy(g.account.user, job.ask.user, sizeof(g.account.user));
	forge(&master, ROLE_AUTH, ROLE_MASTER, MSG_GRANT, &g,
	      offsetof(struct msg_grant, account.groups));
}

static void
job_end(void)
{
	const struct msg_login_refused m = {.id = job.ask.id, .result = LOGIN_BAD};
	char text[128];

	(void)snprintf(text, sizeof(text), "hostile: judged=%u granted=%u refused=%u", job.judged,
		       job.granted, job.refused);
	log_text(text);
	if (job.granted == 0)
		channel_put(job.worker, MSG_LOGIN_REFUSED, &m, sizeof(m));
	memset(&job, 0, sizeof(job));
}

static void
asked(struct channel *worker, const struct msg_login_ask *ask)
{
	char word[16] = "", name[MSG_NAME_SIZE] = "";
	unsigned n = 0;

	memset(&job, 0, sizeof(job));
	job.worker = worker;
	job.ask = *ask;
	if (sscanf(ask->user, "%15[a-z]:%u:%255s", word, &n, name) != 3)
		return;
	memset(job.ask.user, 0, sizeof(job.ask.user));
	(void)snprintf(job.ask.user, sizeof(job.ask.user), "%s", name);
	job.left = n;
	if (strcmp(word, "check") == 0)
		check(ask->id, false);
	else if (strcmp(word, "guess") == 0)
		check(ask->id, true);
	else if (strcmp(word, "burst") == 0)
		while (job.sent < n)
			check(ask->id, true);
	else if (strcmp(word, "beside") == 0)
		while (job.sent < n)
			check(ask->id + 1 + job.sent, false);
	else if (strcmp(word, "grant") == 0)
		forge_grant(n);
	else
		forge(&gate, ROLE_AUTH, ROLE_DISPATCH, MSG_CHECKED,
		      &(struct msg_checked){.id = ask->id}, sizeof(struct msg_checked));
	if (strcmp(word, "guess") != 0)
		job.left = job.sent;
}

static void
checked(const struct msg_checked *c)
{
	if (job.left == 0)
		return;
	job.judged += c->judged;
	job.granted += c->granted;
	job.refused += c->judged == 0;
	if (--job.left == 0)
		job_end();
	else if (job.sent < job.left + job.judged + job.refused)
		check(job.ask.id, true);
}

static void
begin(void)
{
	static const struct msg_ready ready;

	if (geteuid() == 0 && (setgid(conf.auth_gid) == -1 || setuid(conf.auth_uid) == -1))
		exit(EXIT_FAILURE);
	channel_put(&master, MSG_READY, &ready, sizeof(ready));
}

static void
worker_new(struct msg *m)
{
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (workers[i].fd == -1) {
			channel_init(&workers[i], msg_take_fd(m, 0), ROLE_DISPATCH, ROLE_LOGIN,
				     QUEUE_MAX_ITEMS);
			return;
		}
}

static void
heard(struct channel *from, struct msg *m)
{
	if (m->type == MSG_PING)
		channel_put(&master, MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	else if (m->type == MSG_CHECK_CHANNEL)
		channel_init(&gate, msg_take_fd(m, 0), ROLE_DISPATCH, ROLE_AUTH, QUEUE_MAX_ITEMS);
	else if (m->type == MSG_AUTH_CONF)
		conf = m->u.auth_conf;
	else if (m->type == MSG_AUTH_START)
		begin();
	else if (m->type == MSG_WORKER_NEW)
		worker_new(m);
	else if (m->type == MSG_LOGIN_ASK)
		asked(from, &m->u.login_ask);
	else if (m->type == MSG_CHECKED)
		checked(&m->u.checked);
	msg_discard(m);
}

static void
readable(struct channel *c)
{
	static struct msg m;
	int rc;

	while ((rc = channel_recv(c, &m)) == 1)
		heard(c, &m);
	if (rc == -1 && (c == &master || c == &gate))
		exit(EXIT_SUCCESS);
	if (rc == -1)
		channel_close(c);
}

int
main(void)
{
	channel_init(&master, CHANNEL_FD, ROLE_DISPATCH, ROLE_MASTER, QUEUE_MAX_ITEMS);
	gate.fd = -1;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		workers[i].fd = -1;
	for (;;) {
		struct channel *all[WORKERS_MAX + 2] = {&master, &gate};
		struct pollfd fds[WORKERS_MAX + 2];

		for (size_t i = 0; i < WORKERS_MAX + 2; i++) {
			if (i >= 2)
				all[i] = &workers[i - 2];
			fds[i] = (struct pollfd){.fd = all[i]->fd,
						 .events = all[i]->queued > 0 ? POLLIN | POLLOUT
									      : POLLIN};
		}
		if (poll(fds, WORKERS_MAX + 2, -1) == -1)
			return EXIT_FAILURE;
		for (size_t i = 0; i < WORKERS_MAX + 2; i++)
			if (fds[i].revents != 0 && all[i]->fd == fds[i].fd) {
				(void)channel_flush(all[i]);
				readable(all[i]);
			}
	}
}
