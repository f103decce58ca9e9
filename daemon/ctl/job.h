/*
 * Mailbox jobs: box, uidl, history.  The daemon has a session do them as the
 * mailbox's owner and hands over its stream; all that comes over it is that
 * user's word, and is escaped before it reaches the terminal.
 */
#ifndef POP3D_CTL_JOB_H
#define POP3D_CTL_JOB_H

#include <stdbool.h>

#include "daemon/ctl/print.h"

/* Is that the first word of a job? */
bool job_is_one(const char *word);

/* Run it.  The exit status. */
int job_command(const char *socket_path, enum answer_form form, int argc, char *argv[]);

/* Send the words of a job to the daemon, which are as its `job` wants them, and write what its
 * session says to `to`, escaped; a line of what went wrong begins with `mark`, as the daemon's
 * refusal does.  The exit status. */
int job_gather(const char *socket_path, size_t n, char *const words[], FILE *to, const char *mark);

/* The same; `input` is a file that the job may read. */
int job_gather_with(const char *socket_path, size_t n, char *const words[], int input, FILE *to,
		    const char *mark);

#endif
