#include "config.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/build.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/names.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "daemon/log/foreign.h"
#include "daemon/roles/child.h"
#include "daemon/roles/programs.h"
#include "daemon/roles/sandbox_watch.h"

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

struct child *
child_new(void)
{
	struct child *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->ec.ch.fd = -1;
	return c;
}

int
child_start(struct child *c, struct event_base *base, enum role role, evchannel_msg_fn *msg,
	    evchannel_end_fn *end, void *arg)
{
	char *argv[] = {(char *)role_program(role), NULL};
	struct process *p;
	int pair[2];

	memset(c, 0, sizeof(*c));
	c->role = role;
	c->started = clock_ms();
	c->ec.ch.fd = -1;
	/* first: a process that is in no list would not be known when it is reaped */
	if ((p = malloc(sizeof(*p))) == NULL)
		return -1;
	if (channel_pair(pair) == -1) {
		free(p);
		return -1;
	}
	c->pid = process_start(programs_descriptor(role), "", argv, pair[1], NULL);
	close(pair[1]);
	if (c->pid == -1) {
		close(pair[0]);
		free(p);
		c->pid = 0;
		return -1;
	}
	*p = (struct process){.pid = c->pid, .role = role, .child = c};
	LIST_INSERT_HEAD(&processes, p, next);
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
			 process_status_text(text, sizeof(text), status));
	if (p->child != NULL)
		p->child->pid = 0;
	LIST_REMOVE(p, next);
	free(p);
	return true;
}

/* As a subreaper we also inherit what others left behind: a shell that a PAM module started.  Only
 * /proc names these; without it they stay. */
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
		kill(c->pid, SIGKILL); /* not its group: a spawner's sessions live on */
	child_let_go(c);
}

bool
child_may_log(struct child *c)
{
	return log_admit(&c->bucket, c->role, c->pid, clock_ms());
}

void
child_log(struct child *c, const struct msg_log *line)
{
	if (child_may_log(c))
		log_foreign(c->role, c->pid, line);
}

void
child_sandbox_log(struct child *c, struct msg *m)
{
	if (c->may_report)
		sandbox_watch(event_get_base(c->ec.on_read), msg_take_fd(m, 0));
	c->may_report = false;
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

void
role_refused(struct role_trouble *t, enum role role, const char *why)
{
	char text[LOG_QUOTED_SIZE];

	log_error(0, "%s refused: %s", role_program(role),
		  log_quote(text, sizeof(text), why, strlen(why)));
	if (!t->refused)
		(void)snprintf(t->why, sizeof(t->why), "%s", why);
	t->refused = true;
}

void
role_ended(struct role_trouble *t, const struct child *c, int error)
{
	if (error == EPROTO && !c->ready)
		role_refused(t, c->role, build_differs);
}

void
backoff_lost(struct backoff *b, uint64_t now)
{
	if (now < b->due)
		return;
	if (b->due == 0 || now - b->due > BACKOFF_FORGET)
		b->delay = 0;
	else if (b->delay == 0)
		b->delay = BACKOFF_FIRST;
	else
		b->delay = b->delay < BACKOFF_LAST / 2 ? b->delay * 2 : BACKOFF_LAST;
	b->due = now + b->delay;
}

bool
backoff_is_over(const struct backoff *b, struct settle *s)
{
	uint64_t now = clock_ms();

	if (now >= b->due)
		return true;
	settle_in(s, (uint32_t)(b->due - now));
	return false;
}
