/*
 * pop3ctl(8) log errors: what was logged lately.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>

#include "common/clock.h"
#include "daemon/control/commands.h"
#include "daemon/log/recent.h"

enum { ERRORS_SHOWN = 20 };

/* As the setting log_level has them. */
static const char *const priorities[] = {[LOG_EMERG] = "emergency",
					 [LOG_ALERT] = "alert",
					 [LOG_CRIT] = "critical",
					 [LOG_ERR] = "error",
					 [LOG_WARNING] = "warning"};

static void
say_line(struct ctl *c, const struct recent *r)
{
	char when[CLOCK_UTC_SIZE];

	ctl_say(c, "%s\t%s\t%lu\t%s\t%s\n", clock_utc(when, r->time), priorities[r->prio], r->count,
		role_name(r->role), r->text);
}

void
command_log_errors(struct master *m, struct ctl *c, size_t n, char *words[])
{
	unsigned long count = ERRORS_SHOWN;
	char *end;

	(void)m;
	errno = 0;
	if (n > 2)
		count = strtoul(words[2], &end, 10);
	if (n > 2 && (words[2][0] < '0' || words[2][0] > '9' || *end != '\0' || errno != 0 ||
		      count == 0 || count > RECENT_MAX)) {
		ctl_fail(c, CONTROL_USAGE, "bad count \"%s\": must be 1 to %d", words[2],
			 RECENT_MAX);
		return;
	}
	ctl_say(c, "time\tpriority\tcount\trole\ttext\n");
	while (count-- > 0) {
		const struct recent *r = recent_line(count);

		if (r != NULL)
			say_line(c, r);
	}
	ctl_end(c, CONTROL_DONE);
}
