#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/process.h"
#include "daemon/auth/children.h"
#include "daemon/auth/spawn.h"

enum {
	CHILD_LOGINS_MAX = 100,	  /* then replaced */
	CHILD_AGE = 600000,	  /* milliseconds, then replaced */
	CHILD_AGE_SPREAD = 60000, /* less up to this, so that not all go at once */
	CHILD_GRACE = 5000,	  /* milliseconds to end by itself */
	CHILD_QUEUE = 16	  /* messages on their way to it */
};

struct auth_env auth_env;

static void child_message(struct evchannel *ec, struct msg *m, void *arg);
static void child_lost(struct evchannel *ec, int error, void *arg);

void
timer_set(struct event *timer, uint64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	evtimer_add(timer, &tv);
}

static void
child_kill(struct child *c)
{
	c->state = CHILD_ENDING;
	evtimer_del(c->on_time);
	evchannel_close(&c->ec);
	/* with what its modules have started */
	if (kill(-c->pid, SIGKILL) < 0)
		kill(c->pid, SIGKILL);
}

void
child_retire(struct child *c)
{
	c->state = CHILD_ENDING;
	c->expected = true;
	evchannel_close(&c->ec);
	timer_set(c->on_time, CHILD_GRACE);
}

void
child_rest(struct child *c)
{
	uint64_t age = clock_ms() - c->born;
	uint64_t limit = CHILD_AGE - (uint64_t)c->pid * 7919 % CHILD_AGE_SPREAD;

	c->state = CHILD_IDLE;
	if (c->stale || c->served >= CHILD_LOGINS_MAX || age >= limit ||
	    pool_in_use(c->pool) > auth_env.settings->conf.children)
		child_retire(c);
	else
		timer_set(c->on_time, limit - age);
}

/* Its request comes to this end. */
static void
child_decide(struct child *c, enum login_result result, const char *why,
	     const struct msg_child_answer *answer, struct child *keeper)
{
	struct check *check = c->check;

	c->check = NULL;
	auth_env.calls.decided(check, result, why, answer, keeper);
}

static void
child_time(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CHILD_IDLE) {
		child_retire(c);
		return;
	}
	if (c->state == CHILD_BUSY) {
		conn_id id = c->check->conn.id;

		log_warn(id, "auth child %d gave no answer in %u s, killed", (int)c->pid,
			 auth_env.settings->conf.deadline);
		c->expected = true; /* slow, not broken: its place is filled at once */
		child_kill(c);
		child_decide(c, LOGIN_TEMP, "deadline", NULL, NULL);
		return;
	}
	if (c->state == CHILD_KEEPER)
		log_warn(c->keeps, "auth child %d did not close its PAM session, killed",
			 (int)c->pid);
	child_kill(c);
}

static void
child_free(struct child *c)
{
	evchannel_close(&c->ec);
	if (c->on_exit != NULL)
		event_free(c->on_exit);
	if (c->on_time != NULL)
		event_free(c->on_time);
	if (c->pidfd >= 0)
		close(c->pidfd);
	free(c);
}

/* Nobody owns it any more but its list. */
static void
child_forget(struct child *c)
{
	struct pool *p = c->pool;

	if (p == NULL) {
		TAILQ_REMOVE(&auth_env.keepers, c, link);
		auth_env.calls.gone(c->keeps, c);
		child_free(c);
		return;
	}
	TAILQ_REMOVE(&p->children, c, link);
	p->nchildren--;
	child_free(c);
	pool_settle(p);
}

/* The process has ended (pidfd readable). */
static void
child_exited(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	char text[160];
	int status;

	(void)fd;
	(void)what;
	c->stale = true; /* nothing more for it, whatever its last words are */
	if (c->state != CHILD_ENDING)
		evchannel_read_dry(&c->ec);
	if (!c->expected && c->state != CHILD_ENDING)
		child_kill(c); /* what is left of its group; the pid is still its own */
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	if (!c->expected) {
		log_warn(c->check != NULL ? c->check->conn.id : c->keeps,
			 "auth child %d (%s) ended by itself, %s", (int)c->pid,
			 c->pool != NULL ? c->pool->conf.auth : "session",
			 process_status_text(text, sizeof(text), status));
		if (c->pool != NULL)
			pool_crashed(c->pool);
	}
	if (c->check != NULL)
		child_decide(c, LOGIN_TEMP, "child ended", NULL, NULL);
	child_forget(c);
}

/* What child_start has got so far is undone, except for the process. */
static struct child *
child_new(struct pool *p, pid_t pid, int fd)
{
	struct child *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->pool = p;
	c->pid = pid;
	c->born = clock_ms();
	c->ec.ch.fd = -1;
	c->pidfd = pidfd_open(pid, 0);
	c->on_time = evtimer_new(auth_env.base, child_time, c);
	if (c->pidfd >= 0)
		c->on_exit =
		    event_new(auth_env.base, c->pidfd, EV_READ | EV_PERSIST, child_exited, c);
	if (c->on_exit == NULL || c->on_time == NULL || event_add(c->on_exit, NULL) < 0) {
		close(fd);
		child_free(c);
		return NULL;
	}
	if (evchannel_open(&c->ec, auth_env.base, fd, ROLE_AUTH, ROLE_AUTH_CHILD, CHILD_QUEUE,
			   child_message, child_lost, c) < 0) {
		child_free(c);
		return NULL;
	}
	return c;
}

/* 0, or -1 with errno. */
int
child_start(struct pool *p)
{
	struct child *c;
	pid_t pid;
	int fd[2], saved;

	if (channel_pair(fd) < 0)
		return -1;
	pid = spawn_child(fd[1]);
	saved = errno;
	close(fd[1]);
	if (pid < 0) {
		close(fd[0]);
		errno = saved;
		return -1;
	}
	c = child_new(p, pid, fd[0]);
	if (c == NULL) {
		saved = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0); /* killed: does not last */
		errno = saved;
		return -1;
	}
	TAILQ_INSERT_TAIL(&p->children, c, link);
	p->nchildren++;
	child_rest(c);
	evchannel_put(&c->ec, MSG_CHILD_CONF, &p->conf, sizeof(p->conf));
	return 0;
}

int
child_ask(struct child *c, struct check *check)
{
	struct msg_child_ask ask;
	char host[LOG_ADDR_SIZE];
	int result;

	memset(&ask, 0, sizeof(ask));
	ask.id = check->conn.id;
	ask.mech = check->ask.mech;
	ask.lookup = check->lookup;
	memcpy(ask.user, check->ask.user, sizeof(ask.user));
	ask.password = check->ask.password;
	if (check->ask.mech == MECH_APOP)
		memcpy(ask.challenge, check->conn.stamp, sizeof(check->conn.stamp));
	(void)snprintf(ask.rhost, sizeof(ask.rhost), "%s", log_host(host, &check->conn.peer));
	check->asked = clock_ms();
	result = evchannel_put(&c->ec, MSG_CHILD_ASK, &ask, sizeof(ask));
	explicit_bzero(&ask, sizeof(ask));
	if (result < 0) {
		child_kill(c);
		return -1;
	}
	secret_wipe(&check->ask.password);
	c->state = CHILD_BUSY;
	c->check = check;
	TAILQ_REMOVE(&c->pool->children, c, link);
	TAILQ_INSERT_HEAD(&c->pool->children, c, link);
	timer_set(c->on_time, (uint64_t)auth_env.settings->conf.deadline * 1000);
	return 0;
}

/* The child leaves its pool with its PAM session; another takes its place. */
static void
child_keep(struct child *c)
{
	struct pool *p = c->pool;

	TAILQ_REMOVE(&p->children, c, link);
	p->nchildren--;
	TAILQ_INSERT_TAIL(&auth_env.keepers, c, link);
	c->pool = NULL;
	c->state = CHILD_KEEPER;
	c->keeps = c->check->conn.id;
	evtimer_del(c->on_time);
}

static void
child_answered(struct child *c, struct msg_child_answer *a)
{
	struct pool *p = c->pool;
	bool keeps = a->result == LOGIN_OK && p->conf.pam_session && p->backend->close != NULL &&
		     !c->check->lookup;

	c->served++;
	pool_answered(p);
	if (p->backend->accounts != NULL)
		pool_answer(p, a, c->check->ask.user);
	if (keeps)
		child_keep(c);
	else
		child_rest(c);
	child_decide(c, (enum login_result)a->result, a->why, a, keeps ? c : NULL);
	pool_settle(p);
}

/* ---- what a child says ---- */

enum {
	CHILD_SILENT = 1,  /* was asked nothing */
	CHILD_ASKED = 2,   /* owes the answer to this request */
	CHILD_FOREIGN = 4, /* speaks of another's */
};

static int
child_says(const void *who, const struct msg *m)
{
	const struct child *c = who;

	if (c->state != CHILD_BUSY)
		return CHILD_SILENT;
	if (m->type == MSG_CHILD_ANSWER && m->u.child_answer.id != c->check->conn.id)
		return CHILD_FOREIGN;
	return CHILD_ASKED;
}

static int
child_logs(void *who, struct msg *m)
{
	const struct child *c = who;

	log_forward(ROLE_AUTH_CHILD, (long)c->pid, &m->u.log);
	return 0;
}

static int
child_answers(void *who, struct msg *m)
{
	child_answered(who, &m->u.child_answer);
	return 0;
}

static const struct inbox_row child_rows[] = {
    {MSG_LOG, INBOX_ALWAYS, 0, child_logs},
    {MSG_CHILD_ANSWER, CHILD_ASKED, 0, child_answers},
};

static const struct inbox child_inbox = {child_rows, COUNT_OF(child_rows), child_says};

static void
child_message(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(&child_inbox, arg, m) == -1)
		child_lost(ec, EBADMSG, arg);
}

/* Its channel has ended.  The process follows; the request need not wait for that. */
static void
child_lost(struct evchannel *ec, int error, void *arg)
{
	struct child *c = arg;
	struct pool *p = c->pool;

	(void)ec;
	if (error == EBADMSG)
		log_warn(c->keeps, "auth child %d broke a rule, killed", (int)c->pid);
	if (c->expected)
		child_retire(c); /* a keeper that has done its work */
	else
		child_kill(c);
	if (c->check != NULL) {
		child_decide(c, LOGIN_TEMP, "child ended", NULL, NULL);
		pool_run(p);
	}
}

void
child_release(struct child *keeper)
{
	if (keeper->state != CHILD_KEEPER)
		return;
	keeper->expected = true;
	timer_set(keeper->on_time, (uint64_t)auth_env.settings->conf.deadline * 1000);
	evchannel_put(&keeper->ec, MSG_CHILD_CLOSE, NULL, 0);
}
