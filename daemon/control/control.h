/*
 * The control socket: pop3ctl(8) sends the number of its words and the words,
 * each ended by a NUL; the answer is as common/answer.h says; with the answer to a job comes a
 * descriptor, the stream of the job (jobs.h, common/job.h).  One request, one answer.  A client
 * that says nothing holds up nobody.
 */
#ifndef POP3D_CONTROL_H
#define POP3D_CONTROL_H

#include "common/answer.h"
#include "common/msg.h"
#include "daemon/base.h"
#include "daemon/waiters.h"

struct control *control_new(struct master *m);

/* What may be asked at a socket: the right is the listener's. */
enum control_right { CONTROL_ALL, CONTROL_METRICS, CONTROL_RIGHTS };

/* Listen at runtime_dir/control and runtime_dir/metrics.  0, or -1 (logged). */
int control_open(struct master *m);

/* With new settings: the group of each socket, and nobody else but root, may connect from now on.
 */
void control_settle(struct master *m);

void control_close(struct master *m);

/* ---- for the commands ---- */

enum { CONTROL_WORDS_MAX = 64 };

/* Exit status of pop3ctl. */
enum control_status { CONTROL_DONE = 0, CONTROL_FAILED = 1, CONTROL_USAGE = 2 };

struct ctl;

/* What the answer is if the command succeeds; before anything is added to it. */
void ctl_answers(struct ctl *c, enum answer_kind kind);

/* Add to the answer. */
void ctl_say(struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The answer is complete. */
void ctl_end(struct ctl *c, enum control_status status);

/* Throw away what was said, say this instead, end. */
void ctl_fail(struct ctl *c, enum control_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* It is that something was done, and a descriptor, borrowed, that goes with the status' octet. */
void ctl_end_with(struct ctl *c, int fd);

/*
 * Wait for something (waiters.h).  When it comes, or after `seconds` (0: no limit), `then` goes on
 * with `what`, which is its own; `in_time` says which it was, and `result` what came.
 */
typedef void ctl_then_fn(struct master *m, struct ctl *c, uint64_t what, bool in_time,
			 const void *result);
void ctl_wait(struct ctl *c, enum wait_kind kind, uint64_t id, uint64_t what, unsigned seconds,
	      ctl_then_fn *then);

/* Run the words, if the right allows that.  The command answers, now or later (commands.c). */
void control_run(struct master *m, struct ctl *c, enum control_right right, bool may_change,
		 size_t n, char *words[]);

#endif
