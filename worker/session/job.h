/*
 * Mailbox jobs: what an administrator has a session do with one mailbox
 * instead of serving a client (DESIGN 3.6).  The session is the mailbox's owner
 * and confined as for a client; its stream goes to pop3ctl(8).
 * A new job is a row in the table of job.c, and one in common/ctl_words.c.
 */
#ifndef POP3D_SESSION_JOB_H
#define POP3D_SESSION_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "common/job.h"
#include "worker/session/session.h"

/*
 * Do it.  argv: the `argc` words behind the user's name, terminated strings; as many as the table
 * allows.  ss->store is open, locked and listed as far as the table says.  The exit status, JOB_…
 * of common/job.h.  What is said goes out in full; there is no other end than a return.
 */
typedef int job_fn(struct session *ss, size_t argc, char *const argv[]);

enum job_needs {
	JOB_OPEN = 1, /* the mailbox, which must be there: only what a session may reach */
	JOB_LOCK = 2, /* and its lock; without it: "maildrop is in use ..." */
	JOB_LIST = 4  /* and the list of its messages */
};

struct job_entry {
	const char *word, *second; /* second: NULL: it has no second word */
	size_t min, max;	   /* words behind the user's name */
	unsigned needs;		   /* enum job_needs */
	/* Before the process is confined: open what the job needs beside that, and name it by
	 * store_confine().  JOB_DONE, or what the job ends with.  NULL: it needs nothing. */
	job_fn *prepare;
	job_fn *run;
};

/* Say one line of output, or of what went wrong; a line end within it becomes "?".  False: nobody
 * listens any more, and the job had better end. */
bool job_say(struct session *ss, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool job_fail(struct session *ss, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The next line of input, without its end (LF or CRLF); it may hold any octet, points into the
 * stream and is good until the next call.  1: a line; 0: the input is at its end, whole; -1: it was
 * cut off, or a line was longer than JOB_LINE_MAX: what was read must not be taken for all (said).
 */
int job_line(struct session *ss, const char **line, size_t *len);

/* Lock the mailbox against sessions, or, with store.lock_look, see whether one has it.  OK, IN_USE,
 * TEMP, PERM. */
enum store_result job_lock(struct session *ss);

/* Run the job of ss->job, say how it ended, give up the mailbox.  `became`: this process is the
 * mailbox's owner.  The stream is the caller's to finish. */
void job_serve(struct session *ss, const struct msg_spawn_conf *conf, bool became);

/* Somebody has the lock, as job_lock() said: who?  Returns dst. */
enum { JOB_HOLDER_SIZE = 128 };
const char *job_holder(struct session *ss, char dst[JOB_HOLDER_SIZE]);

/* job_doctor.c */
extern job_fn job_doctor, job_doctor_prepare;

/* job_history.c */
extern job_fn job_history;

/* job_box.c */
extern job_fn job_box_add, job_box_add_prepare, job_box_exists, job_box_list, job_box_list_prepare,
    job_box_locked, job_box_move, job_box_move_prepare, job_box_remove, job_box_remove_prepare;

/* job_uidl.c */
extern job_fn job_uidl_import, job_uidl_verify;

#endif
