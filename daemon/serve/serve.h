/*
 * One-user mode (pop3d --serve PATH): one archive of mail, one user, in the
 * foreground, without root and without a configuration.  All roles run as in
 * rootless mode; what is different is here.
 *
 *   serve.c          the command line, the settings made of it, the start
 *   serve_find.c     what the archive is
 *   serve_report.c   what is told on standard output, and the log of lines
 */
#ifndef POP3D_SERVE_H
#define POP3D_SERVE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/archive.h"
#include "daemon/base.h"
#include "daemon/serve/serve_find.h"

struct serve {
	/* from the command line */
	const char *path; /* absolute */
	bool exit_when_done;
	uint32_t exit_when_quiet; /* seconds without a client after all was fetched; 0: never */
	/* the archive */
	int table, flags; /* memfds */
	struct archive archive;
	char below[SERVE_BELOW_SIZE]; /* folders with mail that is not served; "": none */
	/* what is told */
	FILE *out;	      /* standard output */
	FILE *log;	      /* lines; `out` or a file */
	bool terminal;	      /* standard output is one: a bar is shown */
	bool complete;	      /* it was said that all is done */
	uint64_t begun;	      /* clock_ms(); 0: it does not serve yet */
	uint64_t first;	      /* clock_ms() when the first client came; 0: none has */
	uint64_t quiet_since; /* clock_ms() when all was fetched and the last client gone; 0: not */
};

/* Is this command line for the one-user mode? */
bool serve_is_asked(int argc, char *argv[]);

/* Read it and the archive, become its owner; the settings to run with.  Ends the process with the
 * reason if that cannot be. */
struct conf *serve_prepare(int argc, char *argv[], char *envp[]);

/* What is told goes to standard output from now on, without waiting for who reads it (outlet.h:
 * before privs_become()).  Ends the process if there is no memory. */
void serve_report_begin(struct serve *s);

/* Lines are logged to a file from now on, which is appended to.  0, or -1 with errno. */
int serve_report_log_to(const char *path);

/* The run is over: tell what was left, if it ever served.  A reader that is behind is given some
 * seconds. */
void serve_report_end(void);

/* What tells it: report.h. */
extern const struct report_sink serve_sink;

#endif
