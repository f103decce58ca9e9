#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/ctl_words.h"
#include "common/log.h"
#include "common/title.h"
#include "worker/session/score.h"
#include "worker/session/lock_conflict.h"
#include "worker/session/job.h"

enum {
	SAY_MAX = 4096, /* octets of a line that is said */
	WORDS_MAX = 64	/* of a job */
};

static const struct job_entry jobs[] = {
    {"box", "add", 0, 0, 0, job_box_add_prepare, job_box_add},
    {"box", "exists", 0, 0, 0, NULL, job_box_exists},
    {"box", "list", 0, 0, 0, job_box_list_prepare, job_box_list},
    {"box", "locked", 0, 0, JOB_OPEN, NULL, job_box_locked},
    {"box", "move", 1, 1, JOB_OPEN | JOB_LOCK, job_box_move_prepare, job_box_move},
    {"box", "remove", 0, 1, JOB_OPEN | JOB_LOCK | JOB_LIST, job_box_remove_prepare, job_box_remove},
    {"doctor", NULL, 0, 0, 0, job_doctor_prepare, job_doctor},
    {"history", NULL, 0, 2, JOB_OPEN, NULL, job_history},
    {"uidl", "import", 2, 3, JOB_OPEN | JOB_LOCK | JOB_LIST, NULL, job_uidl_import},
    {"uidl", "verify", 0, 1, JOB_OPEN | JOB_LOCK | JOB_LIST, NULL, job_uidl_verify},
};

static bool __attribute__((format(printf, 3, 0)))
line_put(struct session *ss, char kind, const char *fmt, va_list ap)
{
	char text[SAY_MAX + 2];
	int n;

	text[0] = kind;
	n = vsnprintf(text + 1, SAY_MAX, fmt, ap);
	if (n < 0)
		n = 0;
	if (n > SAY_MAX - 1)
		n = SAY_MAX - 1;
	for (char *p = text + 1; p < text + 1 + n; p++)
		if (*p == '\n')
			*p = '?';
	text[1 + n] = '\n';
	stream_put(&ss->stream, text, (size_t)n + 2);
	return !stream_is_over(&ss->stream);
}

bool
job_say(struct session *ss, const char *fmt, ...)
{
	va_list ap;
	bool heard;

	va_start(ap, fmt);
	heard = line_put(ss, JOB_TEXT, fmt, ap);
	va_end(ap);
	return heard;
}

bool
job_fail(struct session *ss, const char *fmt, ...)
{
	va_list ap;
	bool heard;

	va_start(ap, fmt);
	heard = line_put(ss, JOB_ERROR, fmt, ap);
	va_end(ap);
	return heard;
}

int
job_line(struct session *ss, const char **line, size_t *len)
{
	static const char ask[] = {JOB_ASK, '\n'};
	enum stream_event event;

	if (!ss->job_asked)
		stream_put(&ss->stream, ask, sizeof(ask));
	ss->job_asked = true;
	event = stream_line(&ss->stream, line, len);
	if (event == STREAM_LINE && *len > 0 && (*line)[0] == JOB_TEXT) {
		(*line)++;
		(*len)--;
		return 1;
	}
	if (event == STREAM_LINE && *len == 1 && (*line)[0] == JOB_END)
		return 0;
	if (event == STREAM_LONG || ss->stream.over == STREAM_ABUSE)
		job_fail(ss, "a line of the input is longer than %d octets", JOB_LINE_MAX - 2);
	else
		job_fail(ss, "the input was cut off");
	return -1;
}

/* ---- running one ---- */

/* Cut the words that came; their number was checked with the message. */
static size_t
words_cut(struct msg_job *order, char *words[WORDS_MAX])
{
	size_t n = 0;

	for (char *p = order->words; n < order->argc && n < WORDS_MAX; p += strlen(p) + 1)
		words[n++] = p;
	return n;
}

/* The job, *skip being the words that name it. */
static const struct job_entry *
job_find(size_t n, char *const words[], size_t *skip)
{
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		const struct job_entry *e = &jobs[i];

		if (strcmp(e->word, words[0]) != 0 ||
		    (e->second != NULL && (n < 2 || strcmp(e->second, words[1]) != 0)))
			continue;
		*skip = e->second != NULL ? 2 : 1;
		return e;
	}
	return NULL;
}

const char *
job_holder(struct session *ss, char dst[JOB_HOLDER_SIZE])
{
	const struct msg_lock_answer *h = &ss->holder;
	char host[LOG_ADDR_SIZE], since[CLOCK_UTC_SIZE];

	lock_conflict_look(ss);
	(void)snprintf(dst, JOB_HOLDER_SIZE, "maildrop is in use by %s",
		       h->holder == LOCK_HOLDER_OTHER ? "a session of another user name"
						      : "another job, program or host");
	if (h->holder == LOCK_HOLDER_OWN)
		(void)snprintf(dst, JOB_HOLDER_SIZE,
			       "maildrop is in use since %s from %s, idle for %u s",
			       clock_utc(since, h->since), log_host(host, &h->peer), h->idle);
	return dst;
}

/* What a store's trouble is to who asked. */
static int
trouble(struct session *ss, enum store_result result)
{
	char who[JOB_HOLDER_SIZE];

	if (result == STORE_OK)
		return JOB_DONE;
	if (result == STORE_IN_USE)
		job_fail(ss, "%s", job_holder(ss, who));
	else
		job_fail(ss, "%s: the mailbox cannot be opened; the daemon's log says why",
			 ss->grant.mailbox);
	return JOB_FAILED;
}

static int
mailbox_open(struct session *ss)
{
	struct stat st;

	if (stat(ss->grant.mailbox, &st) == -1) {
		if (errno == ENOENT)
			job_fail(ss, "mailbox %s does not exist", ss->grant.mailbox);
		else
			job_fail(ss, "%s: %s", ss->grant.mailbox, strerror(errno));
		return JOB_FAILED;
	}
	return trouble(ss, ss->store.backend->open(&ss->store, false));
}

enum store_result
job_lock(struct session *ss)
{
	enum store_result result = ss->store.backend->lock(&ss->store);

	if (result != STORE_OK || !ss->store.lock_claim)
		return result;
	lock_conflict_look(ss);
	return ss->holder.holder == LOCK_HOLDER_UNKNOWN ? STORE_OK : STORE_IN_USE;
}

static int
mailbox_take(struct session *ss, unsigned needs)
{
	enum store_result result = STORE_OK;

	if ((needs & JOB_LOCK) != 0)
		result = job_lock(ss);
	if (result == STORE_OK && (needs & JOB_LIST) != 0)
		result = ss->store.backend->list(&ss->store);
	return trouble(ss, result);
}

static int
job_run(struct session *ss, const struct msg_spawn_conf *conf, const struct job_entry *e,
	size_t argc, char *const argv[])
{
	char text[CTL_TEXT_SIZE];
	int status = JOB_DONE;
	uint32_t abi;

	if (argc < e->min || argc > e->max) {
		job_fail(ss, "wrong # args: should be \"pop3ctl %s\"",
			 ctl_synopsis(text, e->word, e->second));
		return JOB_USAGE;
	}
	title_set("session", "%s %s%s%s", ss->grant.account.user, e->word,
		  e->second != NULL ? " " : "", e->second != NULL ? e->second : "");
	score_state(ss, SCOREBOARD_TRANS);
	score_command(ss, e->word);
	if ((status = trouble(ss, session_find_store(ss))) == JOB_DONE &&
	    (e->needs & JOB_OPEN) != 0)
		status = mailbox_open(ss);
	if (status == JOB_DONE && e->prepare != NULL)
		status = e->prepare(ss, argc, argv);
	if (status == JOB_DONE)
		status = trouble(ss, session_confine(ss, conf, &abi));
	if (status == JOB_DONE)
		status = mailbox_take(ss, e->needs);
	return status == JOB_DONE ? e->run(ss, argc, argv) : status;
}

void
job_serve(struct session *ss, const struct msg_spawn_conf *conf, bool became)
{
	struct msg_job_end end = {.id = ss->grant.id, .status = JOB_FAILED};
	char *words[WORDS_MAX], last[16];
	size_t n = words_cut(&ss->job, words), skip;
	const struct job_entry *e = n > 0 ? job_find(n, words, &skip) : NULL;

	ss->stream.line_max = JOB_LINE_MAX;
	ss->stream.trace = 0;
	if (!became)
		job_fail(ss, "cannot become the mailbox's owner; the daemon's log says why");
	else if (e == NULL)
		job_fail(ss, "no such job");
	else
		end.status = (uint32_t)job_run(ss, conf, e, n - skip, words + skip);
	/* Whoever has read the end finds the mailbox free. */
	session_close(ss);
	stream_report(&ss->stream, MSG_JOB_END, &end, sizeof(end));
	stream_put(&ss->stream, last,
		   (size_t)snprintf(last, sizeof(last), "%c%u\n", JOB_END, end.status));
}
