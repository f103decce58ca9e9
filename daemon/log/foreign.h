/*
 * Lines of other processes, as they come over a channel.
 */
#ifndef POP3D_LOG_FOREIGN_H
#define POP3D_LOG_FOREIGN_H

#include "common/msg.h"

/*
 * A line from process `pid` of `role`, written as "role=ROLE pid=PID conn=ID TEXT".  Its text is
 * escaped, "role=", "pid=" and "conn=" in it too, so that no process can write another's line;
 * line->id is believed: the caller checks that the connection is that process's.  The helper is
 * believed that a line is of a child of its own (line->role and pid).  Warnings and errors with the
 * same text from the same role within ten seconds are counted and told as "repeated N times".
 */
void log_foreign(enum role role, long pid, const struct msg_log *line);

/* Once a second: tell of the repeated lines whose time is over. */
void log_foreign_tick(void);

/* One traced protocol line as `trace conn=ID < "RETR 1"` ("<" from the client, ">" to it);
 * secrets are masked already.  Written at every level. */
void log_trace(const struct msg_trace *line);

/* Where traced lines go from now on, instead; NULL: to the log. */
void log_trace_to(void (*sink)(const struct msg_trace *line));

#endif
