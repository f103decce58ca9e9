/*
 * What stands above the table of `pop3ctl top`, out of the answer to "status".  No terminal here.
 */
#ifndef POP3D_CTL_TOP_HEAD_H
#define POP3D_CTL_TOP_HEAD_H

#include <stdio.h>
#include <time.h>

#include "daemon/ctl/top_table.h"

/* Over the refreshes. */
struct top_logins {
	struct top_rate done, failed;
};

/* Take the counts of logins of a status that came at the time `ms` of clock_ms(). */
void top_logins_add(struct top_logins *l, const char *status, uint64_t ms);

/* What the daemon is and does, a line each, for top_flow().  `rate`: octets that it sends in a
 * second. */
void top_head_words(FILE *out, const char *status, const char *host, const struct top_logins *l,
		    double rate);

/* What an administrator should look after, a line each; nothing if all is well.  `now`: time(2). */
void top_head_warnings(FILE *out, const char *status, time_t now);

#endif
