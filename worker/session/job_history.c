/*
 * pop3ctl history: what was deleted from a mailbox, when and from where.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/names.h"
#include "worker/session/job.h"
#include "worker/store/history.h"

static const char *const columns[] = {"uid",  "octets", "retrieved", "delivered", "conn",
				      "peer", "tls",	"mech",	     "server",	  "user"};

struct telling {
	struct session *ss;
	const char *since; /* the beginning of a time, or "" */
	bool heard;	   /* somebody listens */
};

/* Add TAB and a value, without the quotes around it and those within; \xNN stays. */
static size_t
column_add(char *line, size_t n, const char *words, const char *key)
{
	size_t len = 0;
	const char *value = history_value(words, key, &len);

	line[n++] = '\t';
	if (value == NULL)
		return n;
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		if (value[i] == '\\' && i + 1 < len &&
		    (value[i + 1] == '"' || value[i + 1] == '\\'))
			i++;
		line[n++] = value[i];
	}
	return n;
}

static void
tell(const struct history_event *e, void *arg)
{
	struct telling *t = arg;
	/* no value is longer than all of them, and none is told twice but in a file that lies */
	char line[HISTORY_LINE_MAX * 2];
	size_t n;

	if (!t->heard || strcmp(e->when, t->since) < 0)
		return;
	n = (size_t)snprintf(line, sizeof(line), "%s\t%s", e->when, e->what);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		n = column_add(line, n, e->words, columns[i]);
	t->heard = job_say(t->ss, "%.*s", (int)n, line);
}

static int
tell_file(struct telling *t, const char *name)
{
	const struct store *s = &t->ss->store;

	if (history_read(s->history_fd, name, tell, t) == 0)
		return JOB_DONE;
	job_fail(t->ss, "%s: cannot be read", name);
	return JOB_FAILED;
}

int
job_history(struct session *ss, size_t argc, char *const argv[])
{
	struct telling t = {ss, argc == 2 ? argv[1] : "", true};
	char old[sizeof(ss->store.history) + sizeof(HISTORY_OLD)];
	int status;

	if (argc == 1 || (argc == 2 && strcmp(argv[0], "--since") != 0)) {
		job_fail(ss, "wrong # args: should be \"--since time\"");
		return JOB_USAGE;
	}
	if (argc == 2 && !time_is_begun(argv[1])) {
		job_fail(ss, TIME_IS_NONE, argv[1]);
		return JOB_USAGE;
	}
	if (ss->store.history_fd == -1) {
		job_fail(ss, "mailbox %s has no history", ss->grant.mailbox);
		return JOB_FAILED;
	}
	(void)snprintf(old, sizeof(old), "%s" HISTORY_OLD, ss->store.history);
	job_say(
	    ss,
	    "time\tevent\tuid\toctets\tretrieved\tdelivered\tconn\tpeer\ttls\tmech\tserver\tuser");
	status = tell_file(&t, old);
	return status == JOB_DONE ? tell_file(&t, ss->store.history) : status;
}
