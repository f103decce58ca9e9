/*
 * Log lines of every role.  Master writes to syslog or standard error; every
 * other role sends its lines over its channel, and the reader adds who it was.
 */
#ifndef POP3D_LOG_H
#define POP3D_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

#include "common/channel.h"

/*
 * Where lines go from now on, without waiting for who reads them.  Before any of these: standard
 * error. stderr: "2025-01-31T23:59:59+0100 pop3d[PID]: TEXT", or "<PRIO>TEXT" if it is the
 * journal's stream (JOURNAL_STREAM, systemd.exec(5)), which adds the rest; opened as outlet_open()
 * does, before privs_become().  terminal: standard error, the text alone, for a command that waits
 * for who reads it.  syslog: facility mail.  While the reader is behind some lines wait for it.
 * channel: MSG_LOG. A line that finds no room is dropped, and a later line tells how many were. The
 * channel is borrowed.
 */
void log_to_stderr(void);
void log_to_terminal(void);
void log_to_syslog(const char *ident);
void log_to_channel(struct channel *c);

/* Errors go to standard error, too, until log_leave_stderr(): from then on nothing does, and what
 * would goes to syslog. */
void log_echo_errors(void);
void log_leave_stderr(const char *ident);

/* Lines less important than `prio` (syslog(3)) are not written.  Default LOG_INFO. */
void log_set_level(int prio);

/*
 * One line about connection `id` (0: about the process), without line end; up to MSG_TEXT_MAX - 1
 * octets.  " conn=ID" is appended unless the text has a " conn=" of its own.  Control and 8-bit
 * octets are written as \xNN; client text goes through log_quote all the same.
 */
void log_line(int prio, conn_id id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* One line for whoever started this process: the text alone, escaped, on standard error, at every
 * level.  Like the others it waits for nobody; log_finish() before the process ends. */
void log_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line that must not get lost, to syslog or standard error.  0: it is written (or left out by its
 * level); -1: the log takes none now.  Then log_wait_fd() gives a descriptor, the caller's, that
 * can be written to when it may (-1 with errno: there is none).
 */
int log_try(int prio, conn_id id, const char *text);
int log_wait_fd(void);

/* Once a second: write what waits for a reader that is behind. */
void log_flush(void);

/* The last line was written: give a reader that is behind a second to take what waits. */
void log_finish(void);

#define log_error(id, ...) log_line(LOG_ERR, id, __VA_ARGS__)
#define log_warn(id, ...)  log_line(LOG_WARNING, id, __VA_ARGS__)
#define log_info(id, ...)  log_line(LOG_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_line(LOG_DEBUG, id, __VA_ARGS__)

/*
 * How much a process may log: so many lines at once, and so many a second
 * afterwards.  Whoever was taken over must not fill the disk.  Begins zeroed.
 */
struct log_bucket {
	uint64_t filled; /* clock_ms() */
	uint32_t lines;	 /* that it may still write */
	uint32_t dropped;
};

/* May process `pid` of `role` write one line more at `now` (clock_ms())?  What was left out is
 * told in a line of its own. */
bool log_admit(struct log_bucket *b, enum role role, long pid, uint64_t now);

/*
 * A line that came over a channel from process `pid` of `role`, written as
 * "role=ROLE pid=PID conn=ID TEXT".  Its text is escaped, "role=", "pid=" and "conn=" in it too, so
 * that no process can write another's line; line->id is believed: the caller checks that the
 * connection is that process's.  Warnings and errors with the same text from the same role
 * within ten seconds are counted and told as "repeated N times".  Lines of ROLE_AUTH that begin
 * with "login-failed " or "role=auth-child " stand as they came: it is trusted with them.
 */
void log_foreign(enum role role, long pid, const struct msg_log *line);

/* One traced protocol line as `trace conn=ID < "RETR 1"` ("<" from the client, ">" to it);
 * secrets are masked already.  Written at every level. */
void log_trace(const struct msg_trace *line);

/* Where traced lines go from now on, instead; NULL: to the log. */
void log_trace_to(void (*sink)(const struct msg_trace *line));

/*
 * Write octets as a value of key=value: bare if they are all of
 * [A-Za-z0-9_.@:/+-], else in double quotes with \" \\ and \xNN.  Always
 * terminated; cut at a whole escape, with "..." as the value's last characters
 * (before the closing quote); empty if cap is under 6.  Returns dst, for use as an argument.
 */
const char *log_quote(char *dst, size_t cap, const char *octets, size_t len);

enum { LOG_QUOTED_SIZE = 4 * MSG_NAME_SIZE + 8 }; /* fits a quoted name */

/* A connection's id as it stands in the log; into dst of LOG_ID_SIZE. Returns dst. */
enum { LOG_ID_SIZE = 20 };
const char *log_conn(char *dst, conn_id id);

/* "192.0.2.1:1234", "[2001:db8::1]:1234", "-"; into dst of LOG_ADDR_SIZE. Returns dst. */
enum { LOG_ADDR_SIZE = 64 };
const char *log_addr(char *dst, const struct msg_addr *a);
/* The address without port or brackets. */
const char *log_host(char *dst, const struct msg_addr *a);

#endif
