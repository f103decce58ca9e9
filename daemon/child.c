#include "config.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/title.h"
#include "daemon/child.h"
#include "daemon/master.h"

enum {
	QUEUE_MAX = 16384, /* messages that may wait for one role */
	HEARTBEATS_MISSED = 3,
	READY_LIMIT = 60000, /* milliseconds to get ready */
	BACKOFF_FIRST = 100, /* milliseconds */
	BACKOFF_LAST = 30000,
	BACKOFF_FORGET = 60000 /* a role that ran so long starts afresh */
};

/* Every process started and not reaped yet; outlives struct child, whose owner may give it up. */
struct process {
	LIST_ENTRY(process) next;
	pid_t pid;
	enum role role;
	struct child *child; /* NULL: given up */
};

static LIST_HEAD(, process) processes = LIST_HEAD_INITIALIZER(processes);

/* Room behind argv for setproctitle(3bsd), which can use no more than it finds. */
static char title_room[sizeof(TITLE_PADDING) + 256];

/* What a role process finds in its environment.  Sanitizers' options pass in builds with them. */
static void
environment_fill(char *env[], size_t cap)
{
	static const char *const passed[] = {
#ifdef SANITIZE
	    "ASAN_OPTIONS", "UBSAN_OPTIONS",
#endif
	    "TZ"};
	static char *room[sizeof(passed) / sizeof(passed[0])];
	size_t n = 0;

	memset(title_room, 'x', sizeof(title_room) - 1);
	memcpy(title_room, TITLE_PADDING "=", sizeof(TITLE_PADDING));
	env[n++] = title_room;
	env[n++] = (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	env[n++] = (char *)"LANG=C";
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]) && n + 1 < cap; i++) {
		const char *value = getenv(passed[i]);

		free(room[i]);
		room[i] = NULL;
		if (value != NULL && asprintf(&room[i], "%s=%s", passed[i], value) != -1)
			env[n++] = room[i];
	}
	env[n] = NULL;
}

/* Between fork and exec: only async-signal-safe calls. */
static void
child_exec(const char *path, const char *program, int channel, char *env[], bool quiet)
{
	char *argv[] = {(char *)program, NULL};
	sigset_t none;
	int null;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if ((null = open("/dev/null", O_RDWR)) == -1)
		_exit(127);
	if (channel == CHANNEL_FD) {
		if (fcntl(channel, F_SETFD, 0) == -1)
			_exit(127);
	} else if (dup2(channel, CHANNEL_FD) == -1)
		_exit(127);
	if (dup2(null, 0) == -1 || dup2(null, 1) == -1 || (quiet && dup2(null, 2) == -1))
		_exit(127);
	closefrom(CHANNEL_FD + 1);
	execve(path, argv, env);
	_exit(127);
}

struct child *
child_new(void)
{
	struct child *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->ec.ch.fd = -1;
	return c;
}

int
child_start(struct child *c, struct event_base *base, enum role role, const char *program,
	    evchannel_msg_fn *msg, evchannel_end_fn *end, void *arg)
{
	char path[MSG_PATH_SIZE], *env[8];
	/* Roles log over their channel; only a sanitizer's report needs standard error. */
#ifdef SANITIZE
	const bool quiet = false;
#else
	const bool quiet = true;
#endif
	struct process *p;
	int pair[2];

	memset(c, 0, sizeof(*c));
	c->role = role;
	c->started = clock_ms();
	c->ec.ch.fd = -1;
	snprintf(path, sizeof(path), "%s/%s", PKGLIBEXECDIR, program);
	environment_fill(env, sizeof(env) / sizeof(env[0]));
	if (channel_pair(pair) == -1)
		return -1;
	if ((c->pid = fork()) == 0)
		child_exec(path, program, pair[1], env, quiet);
	close(pair[1]);
	if (c->pid == -1) {
		close(pair[0]);
		c->pid = 0;
		return -1;
	}
	if ((p = malloc(sizeof(*p))) != NULL) {
		*p = (struct process){.pid = c->pid, .role = role, .child = c};
		LIST_INSERT_HEAD(&processes, p, next);
	}
	return evchannel_open(&c->ec, base, pair[0], ROLE_MASTER, role, QUEUE_MAX, msg, end, arg);
}

bool
child_reaped(pid_t pid, int status)
{
	struct process *p;
	char text[160];

	LIST_FOREACH (p, &processes, next)
		if (p->pid == pid)
			break;
	if (p == NULL)
		return false;
	/* After we gave it up a kill is our own. */
	if (status != 0 &&
	    (p->child != NULL || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
		log_warn(0, "%s pid=%ld %s", role_name(p->role), (long)pid,
			 child_status_text(text, sizeof(text), status));
	if (p->child != NULL)
		p->child->pid = 0;
	LIST_REMOVE(p, next);
	free(p);
	return true;
}

/* As a subreaper we also inherit what others left behind: a shell that a PAM module started. */
static void
kill_adopted(void)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long)getpid());
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fscanf(f, "%d", &pid) == 1)
		if (pid > 1)
			kill(pid, SIGKILL);
	fclose(f);
}

void
child_kill_left(void)
{
	struct process *p;

	LIST_FOREACH (p, &processes, next)
		kill(p->pid, SIGKILL);
	kill_adopted();
}

void
child_let_go(struct child *c)
{
	struct process *p;

	LIST_FOREACH (p, &processes, next)
		if (p->child == c)
			p->child = NULL;
	c->pid = 0;
	evchannel_close(&c->ec);
}

void
child_kill(struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	child_let_go(c);
}

bool
child_common_msg(struct child *c, struct msg *m)
{
	switch (m->type) {
	case MSG_LOG:
		if (log_admit(&c->bucket, c->role, c->pid, clock_ms()))
			log_foreign(c->role, c->pid, &m->u.log);
		return true;
	case MSG_TRACE:
		if (c->may_trace)
			log_trace(&m->u.trace);
		return true;
	case MSG_PONG:
		c->unanswered = 0;
		return true;
	case MSG_SANDBOX_LOG:
		if (c->may_report && !c->ready)
			master_watch_sandbox(msg_take_fd(m, 0));
		c->may_report = false;
		return true;
	default:
		return false;
	}
}

bool
child_heartbeat(struct child *c)
{
	struct msg_ping ping = {c->unanswered};

	if (!c->ready)
		return clock_ms() - c->started < READY_LIMIT;
	if (c->unanswered >= HEARTBEATS_MISSED)
		return false;
	c->unanswered++;
	evchannel_put(&c->ec, MSG_PING, &ping, sizeof(ping));
	return true;
}

uint32_t
backoff_next(struct backoff *b, uint64_t now)
{
	if (b->started == 0 || now - b->started > BACKOFF_FORGET)
		b->delay = 0;
	else if (b->delay == 0)
		b->delay = BACKOFF_FIRST;
	else if (b->delay < BACKOFF_LAST)
		b->delay = b->delay * 2 < BACKOFF_LAST ? b->delay * 2 : BACKOFF_LAST;
	b->started = now + b->delay;
	return b->delay;
}

const char *
child_status_text(char *dst, size_t cap, int status)
{
	if (WIFSIGNALED(status))
		snprintf(dst, cap, "killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGSYS
			     ? ": a call outside its sandbox, see sandbox = \"log\""
			     : "");
	else
		snprintf(dst, cap, "exited with status %d", WEXITSTATUS(status));
	return dst;
}
