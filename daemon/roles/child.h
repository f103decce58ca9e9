/*
 * One long-lived role process of master: started by fork and exec, spoken to
 * over its channel, watched by heartbeat, restarted with back-off.
 */
#ifndef POP3D_CHILD_H
#define POP3D_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/channel_event.h"
#include "daemon/log/admit.h"
#include "daemon/settle.h"

struct master;

struct child {
	enum role role;
	pid_t pid; /* 0: not running, or reaped */
	struct evchannel ec;
	bool ready;	     /* it said MSG_READY */
	unsigned unanswered; /* heartbeats */
	uint64_t started;    /* clock_ms() */
	bool may_report; /* sandbox = log: it may send one seccomp listener before it is ready */
	bool may_trace;
	struct log_bucket bucket; /* what it may still log */
};

/* How long to wait before the next start of a role that keeps dying. */
struct backoff {
	uint64_t due;	/* clock_ms(): no start before; 0: none was lost yet */
	uint32_t delay; /* milliseconds that the last loss asked for */
};

struct key_process;
struct session;
struct worker;

/* What the processes say and what becomes of them; told to whom master serves with. */
struct role_calls {
	/* A message.  0; -1: it broke a rule, and the process is given up. */
	int (*worker)(struct worker *w, struct msg *m);
	int (*key)(struct key_process *k, struct msg *m);
	int (*helper)(struct child *c, struct msg *m);
	int (*session)(struct session *s, struct msg *m);
	/* It is gone, and freed on return. */
	void (*worker_lost)(struct worker *w);
	void (*session_gone)(struct session *s);
};

/* What a role's processes could not do; a change looks at it. */
struct role_trouble {
	unsigned lost; /* ended before they were ready */
	bool refused;  /* said that they cannot work with their settings: */
	char why[MSG_PATH_SIZE];
};

/* A process of this role refused its settings: logged, and written down. */
void role_refused(struct role_trouble *t, enum role role, const char *why);

/* The channel of a process ended with `error`, as evchannel_end_fn has it.  One whose program is of
 * another build is refused. */
void role_ended(struct role_trouble *t, const struct child *c, int error);

/* One that was not started yet, to be freed with free(3). NULL: no memory. */
struct child *child_new(void);

/*
 * Start a role's program.  Messages and the channel's end go to `msg` and `end`
 * with `arg`.  0, or -1 with errno.
 */
int child_start(struct child *c, struct event_base *base, enum role role, evchannel_msg_fn *msg,
		evchannel_end_fn *end, void *arg);

/*
 * A process of ours ended: say how, if that is news, and forget its pid.
 * False: it was none that child_start started.
 */
bool child_reaped(pid_t pid, int status);

/* Kill every child of this process, adopted ones included. */
void child_kill_left(void);

/* Close the channel: the process ends by itself, as its role does on EOF. */
void child_let_go(struct child *c);

/* Kill it at once, too. */
void child_kill(struct child *c);

/* May it write one line more into the log? */
bool child_may_log(struct child *c);
/* A line of its log, if it may. */
void child_log(struct child *c, const struct msg_log *line);

/* MSG_SANDBOX_LOG (sandbox = log): what it calls outside its filter is logged from now on. */
void child_sandbox_log(struct child *c, struct msg *m);

/* Send the next heartbeat.  False: it has missed so many, or is so long in getting ready, that it
 * has to go. */
bool child_heartbeat(struct child *c);

/* A process was lost at `now`, clock_ms().  The delay grows, once for all that are lost before it
 * is over; after a minute without a loss it begins anew. */
void backoff_lost(struct backoff *b, uint64_t now);

/* May one be started?  Else master settles again when it may. */
bool backoff_is_over(const struct backoff *b, struct settle *s);

#endif
