/*
 * pop3ctl doctor SERVER USER, as the mailbox's owner: the steps of a login, each with what it
 * found. A line is a level, what was found, and what to do, parted by TAB.  What the store logs on
 * the way says more than its result, so it goes there too.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "worker/session/job.h"

static struct session *asked; /* for the log */
static size_t told;	      /* lines that were no "ok" */
static bool opened;

static void say(const char *level, const char *action, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
say(const char *level, const char *action, const char *fmt, ...)
{
	char what[MSG_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (char *p = what; (p = strchr(p, '\t')) != NULL;)
		*p = ' ';
	told += strcmp(level, "ok") != 0;
	job_say(asked, "%s\t%s\t%s", level, what, action);
}

/* ---- the log of this process */

static void
heard(int prio, conn_id id, const char *text)
{
	(void)id;
	say(prio <= LOG_ERR ? "critical" : prio <= LOG_WARNING ? "warning" : "ok", "", "%s", text);
}

static bool
is_ready(void)
{
	return true;
}

static int
wait_fd(void)
{
	return -1;
}

static const struct log_sink hearer = {heard, is_ready, wait_fd, is_ready};

/* ---- the steps */

/* What is not told by the log. */
static bool
step(enum store_result result, const char *what)
{
	if (result != STORE_OK && told == 0)
		say("critical", "", "%s: %s", asked->grant.mailbox, what);
	return result == STORE_OK;
}

int
job_doctor_prepare(struct session *ss, size_t argc, char *const argv[])
{
	(void)argc, (void)argv;
	asked = ss;
	log_to(&hearer);
	opened =
	    step(ss->store.backend->open(&ss->store, ss->grant.missing_maildir == MISSING_EMPTY),
		 "cannot be opened");
	return JOB_DONE;
}

int
job_doctor(struct session *ss, size_t argc, char *const argv[])
{
	struct store *s = &ss->store;
	enum store_result result;

	(void)argc, (void)argv;
	if (!opened)
		return JOB_DONE;
	if ((result = job_lock(ss)) == STORE_IN_USE) {
		job_tell_holder(ss);
		return JOB_DONE;
	}
	if (step(result, "cannot be locked") && step(s->backend->list(s), "cannot be listed"))
		say("ok", "", "%s: %zu messages", s->path, s->count);
	return JOB_DONE;
}
