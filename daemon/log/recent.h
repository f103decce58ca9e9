/*
 * The last errors and warnings, of master and of the roles whose lines it writes, for "pop3ctl log
 * errors": kept in memory, so that they are there when the log daemon is not.
 */
#ifndef POP3D_RECENT_H
#define POP3D_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum { RECENT_MAX = 256 /* lines that are kept */ };

/* One line, or equal ones in a row. */
struct recent {
	int64_t time; /* time(2) of the last of them */
	unsigned long count;
	int prio; /* syslog(3) */
	enum role role;
	char *text; /* escaped, without the role; the ring's */
};

/* Keep what goes to the log from now on (log_also()). */
void recent_open(void);

/* The line that was written `back` lines before the last one, 0: the last.  Valid until the next
 * line.  NULL: none is kept. */
const struct recent *recent_line(size_t back);

/* Forget all. */
void recent_clear(void);

#endif
