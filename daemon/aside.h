/*
 * Work that may have to wait for a disk, in a process of its own: a fork of this one, which has its
 * memory as it is then, and none of its descriptors.  Master waits for no file that it writes.
 */
#ifndef POP3D_ASIDE_H
#define POP3D_ASIDE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <sys/types.h>

/* In the other process: 0 or an errno.  It logs nothing, and what it changes in memory is lost. */
typedef int aside_work_fn(void);

/* In this one: what came of it; ECANCELED if the process was killed or crashed. */
typedef void aside_done_fn(int error);

/* One kind of work, which is done once at a time; zeroed at first. */
struct aside {
	LIST_ENTRY(aside) next;
	pid_t pid; /* 0: nothing is being done */
	aside_done_fn *done;
};

/* Begin.  The process ends with this one, and is stopped by no signal but KILL.  0, or -1 with
 * errno of fork(2). */
int aside_start(struct aside *a, aside_work_fn *work, aside_done_fn *done);

/* A process of ours ended, with a status of waitpid(2): call done().  False: it was none of these.
 */
bool aside_reaped(pid_t pid, int status);

/* Have it killed: done() is called when it has gone, which may wait for the disk. */
void aside_kill(const struct aside *a);

/* Wait for its end, and call done(); nothing if nothing is being done. */
void aside_wait(struct aside *a);

#endif
