/*
 * pop3ctl doctor SERVER USER, as the mailbox's owner: the steps of a login, then all messages, each
 * with what it found.  A line is a level, what was found, and what to do, parted by TAB.  What the
 * store logs on the way is said in place of being logged.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/session/elsewhere.h"
#include "worker/session/job.h"

enum {
	HEARD_MAX = 20,		/* lines of the store; it may have one for each message */
	TRIAL = 64 * 1024,	/* octets that must find room */
	FREE_PERCENT = 5,	/* of the file system: less is a warning */
	LINE_MAX_OCTETS = 2048, /* that mail programs are known to take */
};

static struct session *asked; /* for the log */
static size_t heard, told;    /* lines of the store; lines that were no "ok" */
static bool opened;
static char elsewhere[MSG_PATH_SIZE]; /* another place with mail of this user; empty: none */

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
hear(int prio, conn_id id, const char *text)
{
	(void)id;
	if (heard++ < HEARD_MAX)
		say(prio <= LOG_ERR	  ? "critical"
		    : prio <= LOG_WARNING ? "warning"
					  : "ok",
		    "", "%s", text);
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

static const struct log_sink hearer = {hear, is_ready, wait_fd, is_ready};

/* Is the step done?  What failed was mostly told by the log, since `before`. */
static bool
step(enum store_result result, size_t before, const char *what)
{
	if (result != STORE_OK && told == before)
		say("critical", "", "%s: %s", asked->grant.mailbox, what);
	return result == STORE_OK;
}

/* ---- room */

/* Write a file without a name.  0 or -1 with errno. */
static int
trial_write(int dir_fd)
{
	static const char zeros[4096];
	int fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), error = 0;

	if (fd == -1)
		return errno == EOPNOTSUPP || errno == EISDIR ? 0 : -1;
	for (size_t n = 0; n < TRIAL && error == 0; n += sizeof(zeros))
		if (write(fd, zeros, sizeof(zeros)) != sizeof(zeros))
			error = errno;
	close(fd);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* A file system without free inodes says the same as a full one. */
static void
room_lacks(const struct store *s, int error)
{
	struct statvfs fs;

	if (error == ENOSPC && fstatvfs(s->history_fd, &fs) == 0 && fs.f_files > 0 &&
	    fs.f_favail == 0)
		say("critical", "remove files there, or make the file system with more inodes",
		    "%s: the file system has no inodes left for new files", s->path);
	else
		say("critical",
		    store_is_full(error) ? "make room, or raise the quota"
					 : "let the user write there",
		    "%s: %s: a test of %d octets cannot be written", s->path, strerror(error),
		    TRIAL);
}

static void
look_at_room(const struct store *s)
{
	struct statvfs fs;

	if (s->history_fd == -1)
		return;
	if (trial_write(s->history_fd) == -1)
		room_lacks(s, errno);
	else if (fstatvfs(s->history_fd, &fs) == 0 &&
		 fs.f_bavail / FREE_PERCENT < fs.f_blocks / 100)
		say("warning", "make room", "%s: less than %d %% of the file system are free",
		    s->path, FREE_PERCENT);
}

static void
look_elsewhere(const struct store *s)
{
	if (s->backend != &store_none && s->count == 0 && elsewhere[0] != '\0')
		say("warning",
		    "see where mail is delivered: let that program deliver here, or set storage to "
		    "that place",
		    "%s: no mail is here, but there is some in %s", s->path, elsewhere);
}

int
job_doctor_prepare(struct session *ss, size_t argc, char *const argv[])
{
	struct store *s = &ss->store;
	struct stat st;

	(void)argc, (void)argv;
	asked = ss;
	log_to(&hearer);
	opened = step(s->backend->open(s, ss->grant.missing_maildir == MISSING_EMPTY), told,
		      "cannot be opened");
	if (!opened)
		return JOB_DONE;
	if (s->backend != &store_none && stat(s->path, &st) == -1)
		say("warning", "see where mail is delivered; pop3ctl box add makes a Maildir",
		    "%s: %s: it counts as empty until the first delivery", s->path,
		    errno == ENOENT ? "does not exist" : strerror(errno));
	look_at_room(s);
	elsewhere_find(&ss->store, ss->grant.account.user, elsewhere);
	return JOB_DONE;
}

/* ---- messages */

/* Those that have something in common. */
struct kind {
	const char *what, *action;
	size_t count, first;
	char why[128]; /* of the first */
};

struct scan {
	struct kind unread, empty, nul, lines;
};

static void
note(struct kind *k, size_t i, const char *why)
{
	if (k->count++ > 0)
		return;
	k->first = i;
	(void)snprintf(k->why, sizeof(k->why), "%s%s", why[0] != '\0' ? ": " : "", why);
}

static void
tell(const struct kind *k, size_t of)
{
	if (k->count > 0)
		say("warning", k->action, "%zu of %zu messages %s, message %zu first%s", k->count,
		    of, k->what, k->first + 1, k->why);
}

/* What its octets have. */
struct octets {
	bool any, nul, lines;
};

/* 0 or -1 with errno: it cannot be read to its end. */
static int
octets_look(struct store_reader *r, struct octets *o)
{
	size_t column = 0;
	char block[16384];
	ssize_t n;

	while ((n = store_read(r, block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			column = block[i] == '\n' ? 0 : column + (block[i] != '\r');
			o->any = true;
			o->nul |= block[i] == '\0';
			o->lines |= column > LINE_MAX_OCTETS;
		}
	return n == 0 ? 0 : -1;
}

static void
message_look(struct store *s, size_t i, struct scan *scan)
{
	enum store_result result;
	struct store_reader r;
	struct octets o = {false, false, false};

	if ((result = s->backend->get(s, i, &r)) != STORE_OK) {
		if (result != STORE_MISSING)
			note(&scan->unread, i, strerror(errno));
		return;
	}
	if (octets_look(&r, &o) == -1)
		note(&scan->unread, i, store_reader_why(&r));
	else if (!o.any)
		note(&scan->empty, i, "");
	store_reader_end(&r);
	if (o.nul)
		note(&scan->nul, i, "");
	if (o.lines)
		note(&scan->lines, i, "");
}

static void
look_at_messages(struct store *s)
{
	struct scan scan = {
	    .unread = {.what = "cannot be read",
		       .action = "give them to the user, or move them "
				 "out of the mailbox"},
	    .empty = {.what = "are empty",
		      .action = "their content is lost, as by a full disk or a crash while they "
				"were delivered: remove their files"},
	    .nul = {.what = "hold NUL octets",
		    .action = "none on this host: they are sent as they "
			      "are, and some mail programs cut there"},
	    .lines = {.what = "have lines of more than 2048 octets",
		      .action = "none on this host: they are sent as they are, and some mail "
				"programs refuse them"},
	};

	for (size_t i = 0; i < s->count && !s->lost; i++)
		message_look(s, i, &scan);
	tell(&scan.unread, s->count);
	tell(&scan.empty, s->count);
	tell(&scan.nul, s->count);
	tell(&scan.lines, s->count);
	if (s->backend->examine != NULL)
		s->backend->examine(s);
}

int
job_doctor(struct session *ss, size_t argc, char *const argv[])
{
	struct store *s = &ss->store;
	size_t before = told;
	enum store_result result;
	char who[JOB_HOLDER_SIZE];

	(void)argc, (void)argv;
	if (!opened)
		return JOB_DONE;
	if ((result = job_lock(ss)) == STORE_IN_USE)
		say("warning", "wait for its end, or end it by pop3ctl conn kill",
		    "%s; its messages were not looked at", job_holder(ss, who));
	else if (step(result, before, "cannot be locked") &&
		 step(s->backend->list(s), before, "cannot be listed")) {
		look_at_messages(s);
		look_elsewhere(s);
		say("ok", "", "%s: %zu messages", s->path, s->count);
	}
	if (heard > HEARD_MAX)
		say("warning", "", "%zu more lines like these", heard - HEARD_MAX);
	return JOB_DONE;
}
