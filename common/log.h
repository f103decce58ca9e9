/*
 * Log lines of a process: how it writes its own.  Master writes to syslog (daemon/log/syslog.h) or
 * standard error; every other role sends its lines over its channel, and master adds who it was
 * (daemon/log/foreign.h).
 */
#ifndef POP3D_LOG_H
#define POP3D_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

#include "common/channel.h"
#include "common/log_text.h"

/* Where lines go.  None of these waits for the reader. */
struct log_sink {
	/* A line without line end; `id` is not in it.  While the reader is behind it waits, or is
	 * lost and counted. */
	void (*put)(int prio, conn_id id, const char *text);
	bool (*is_ready)(void); /* would a line be taken at once, or is nobody there any more? */
	int (*wait_fd)(void);	/* as log_wait_fd() */
	bool (*flush)(void);	/* write what waits; true: nothing waits any more */
};

/* Lines go there from now on, errors to standard error as well if they did before.  Borrowed. */
void log_to(const struct log_sink *sink);

/*
 * Before any of these: standard error.  stderr: "2025-01-31T23:59:59+0100 pop3d[PID]: TEXT", or
 * "<PRIO>TEXT" if it is the journal's stream (JOURNAL_STREAM, systemd.exec(5)), which adds the
 * rest; opened as outlet_open() does, before privs_become().  terminal: standard error, the text
 * alone, or "<PRIO>TEXT" as above, for a command that waits for who reads it.  channel: MSG_LOG.  A
 * line that finds no room is dropped, and a later line tells how many were.  The channel is
 * borrowed.
 */
void log_to_stderr(void);
void log_to_terminal(void);
void log_to_channel(struct channel *c);

/* `fn` gets each line that is written from now on, as put() of a sink does; NULL: nobody does. */
typedef void log_also_fn(int prio, conn_id id, const char *text);
void log_also(log_also_fn *fn);

/* Errors go to standard error, too, until log_leave_stderr(): from then on nothing does.  True:
 * all lines went there, and log_to() is due. */
void log_echo_errors(void);
bool log_leave_stderr(void);

/* Lines less important than `prio` (syslog(3)) are not written.  Default LOG_INFO. */
void log_set_level(int prio);
bool log_is_wanted(int prio);

/*
 * One line, without line end, up to MSG_TEXT_MAX - 1 octets.  About connection `id`: " conn=ID" is
 * appended; 0: about the process, or the line names the connection where it has to.  Control and
 * 8-bit octets are written as \xNN; client text goes through log_quote all the same.
 */
void log_line(int prio, conn_id id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same of a text that is there already, of any length, at every level. */
void log_put(int prio, conn_id id, const char *text);

/* One line for whoever started this process: the text alone, escaped, on standard error, at every
 * level.  Like the others it waits for nobody; log_finish() before the process ends. */
void log_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line that must not get lost, to syslog or standard error.  0: it is written (or left out by its
 * level); -1: the log takes none now.  Then log_wait_fd() gives a descriptor, the caller's, that
 * can be written to when it may (-1 with errno: there is none).
 */
int log_try(int prio, const char *text);
int log_wait_fd(void);

/* Once a second: write what waits for a reader that is behind. */
void log_flush(void);

/* The last line was written: give a reader that is behind a second to take what waits. */
void log_finish(void);

/* A line of process `pid` of `role`, whose log this process reads: it goes on over our channel. */
void log_forward(enum role role, long pid, struct msg_log *line);

#define log_error(id, ...) log_line(LOG_ERR, id, __VA_ARGS__)
#define log_warn(id, ...)  log_line(LOG_WARNING, id, __VA_ARGS__)
#define log_info(id, ...)  log_line(LOG_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_line(LOG_DEBUG, id, __VA_ARGS__)

/* ---- for sinks ---- */

enum { LOG_OUT_MAX = 8192 + 32 /* octets of one line as written, escapes included */ };

/* The line as a reader sees it: escaped, with its connection.  Into dst of LOG_OUT_MAX. */
const char *log_compose(char *dst, conn_id id, const char *text);

/* common/log_stderr.c */
extern const struct log_sink log_stderr;
void log_stderr_open(bool terminal);
void log_stderr_close(void);
void log_stderr_tell(const char *text); /* the text alone */

#endif
