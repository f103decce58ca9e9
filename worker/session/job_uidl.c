/*
 * pop3ctl uidl: taking over the unique-ids and the order of messages that another
 * server gave, and finding out what clients would fetch again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <md5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/session/job.h"
#include "worker/store/mbox_lines.h"
#include "worker/store/uids.h"
#include "worker/store/uids_foreign.h"
#include "worker/store/uids_import.h"
#include "worker/store/uids_listing.h"

enum { TOLD_MAX = 10, LINE_SHOWN = 120 };

/* ---- where unique-ids can come from ---- */

static void
base_uid(const char *base, size_t len, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%.*s", (int)len, base);
}

static void
md5_uid(const char *base, size_t len, char *out, size_t cap)
{
	char hex[MD5_DIGEST_STRING_LENGTH];

	(void)snprintf(out, cap, "%s", MD5Data((const uint8_t *)base, len, hex));
}

static const struct source {
	const char *name;
	const char *file; /* of the other server, in the Maildir; NULL: names are enough */
	foreign_line_fn *line;
	void (*make_uid)(const char *base, size_t len, char *out, size_t cap);
} sources[] = {
    {"basename", NULL, NULL, base_uid},
    {"courier", "courierpop3dsizelist", courier_line, NULL},
    {"dovecot", "dovecot-uidlist", dovecot_line, NULL},
    {"md5", NULL, NULL, md5_uid},
};

/* What is wanted. */
struct order {
	const struct source *source;
	const char *format; /* Dovecot's */
	bool force;
};

/* "NAME" or "dovecot:FORMAT". */
static int
source_parse(struct session *ss, const char *text, struct order *o)
{
	size_t len = strcspn(text, ":");
	const char *why;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strlen(sources[i].name) == len && memcmp(sources[i].name, text, len) == 0)
			o->source = &sources[i];
	if (o->source == NULL || (text[len] == ':' && o->source->line != dovecot_line)) {
		job_fail(ss,
			 "bad source \"%s\": must be basename, courier, dovecot, "
			 "dovecot:pop3_uidl_format or md5",
			 text);
		return JOB_USAGE;
	}
	o->format = text[len] == ':' ? text + len + 1 : UID_FORMAT_DEFAULT;
	if ((why = uid_format_check(o->format)) == NULL)
		return JOB_DONE;
	job_fail(ss, "unique-ids of pop3_uidl_format \"%s\" cannot be taken over: %s", o->format,
		 why);
	return JOB_FAILED;
}

static int
order_parse(struct session *ss, size_t argc, char *const argv[], struct order *o)
{
	int status = JOB_DONE;

	*o = (struct order){0};
	for (size_t i = 0; i < argc && status == JOB_DONE; i++) {
		if (strcmp(argv[i], "--force") == 0) {
			o->force = true;
		} else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) {
			status = source_parse(ss, argv[++i], o);
		} else {
			job_fail(ss, "bad option \"%s\": must be --from source or --force",
				 argv[i]);
			status = JOB_USAGE;
		}
	}
	if (status == JOB_DONE && o->source == NULL) {
		job_fail(ss, "--from is missing: basename, courier, dovecot, "
			     "dovecot:pop3_uidl_format or md5");
		status = JOB_USAGE;
	}
	return status;
}

/* ---- import ---- */

static int
failed(struct session *ss, const char *what)
{
	job_fail(ss, "%s: %s", what, strerror(errno));
	return JOB_FAILED;
}

/* Open the other server's file.  -1: said. */
static int
foreign_open(struct session *ss, int dir_fd, const char *name, uint64_t *size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd == -1 && errno == ENOENT) {
		job_fail(ss, "there is no %s in %s", name, ss->store.path);
		return -1;
	}
	if (fd == -1 || fstat(fd, &st) == -1) {
		failed(ss, name);
	} else if (!S_ISREG(st.st_mode)) {
		job_fail(ss, "%s: not a regular file", name);
	} else {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	store_close_fd(fd);
	return -1;
}

static int
foreign_broken_at(struct session *ss, const struct order *o, uint64_t number, const char *why)
{
	job_fail(ss, "%s: line %ju %s; nothing was taken over", o->source->file, (uintmax_t)number,
		 why);
	return JOB_FAILED;
}

/* Take one line of it, which ends with LF or CR LF. */
static int
foreign_take(struct session *ss, const struct order *o, struct foreign_reader *r,
	     struct uids_import *im, const char *line, size_t len, uint64_t number)
{
	static struct foreign_entry e;
	enum foreign_result result;

	len--;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	result = o->source->line(r, line, len, &e);
	if (result == FOREIGN_BROKEN)
		return foreign_broken_at(ss, o, number, r->wrong);
	if (result == FOREIGN_ENTRY &&
	    uids_import_add(im, e.base, e.base_len, e.order, e.uid) == -1)
		return failed(ss, o->source->file);
	return JOB_DONE;
}

/* The last line has no end, so a part of it may be missing that nothing else tells of. */
static int
foreign_cut(struct session *ss, const struct order *o, uint64_t number)
{
	if (number == 1)
		return foreign_broken_at(ss, o, number, "is cut off");
	job_fail(ss, "%s: line %ju is cut off: not taken over", o->source->file, (uintmax_t)number);
	return JOB_DONE;
}

/* Read the other server's file.  *cut: its last line was left out. */
static int
foreign_read(struct session *ss, const struct order *o, struct uids_import *im, int dir_fd,
	     bool *cut)
{
	static struct mbox_lines lines;
	struct foreign_reader r = {.format = o->format};
	uint64_t size, number = 0;
	int status = JOB_DONE, fd = foreign_open(ss, dir_fd, o->source->file, &size);
	const char *line;
	ssize_t n = 0;
	bool starts;

	if (fd == -1)
		return JOB_FAILED;
	mbox_lines_begin(&lines, fd, 0, size);
	while (status == JOB_DONE && (n = mbox_lines_next(&lines, &line, &starts)) > 0) {
		number += starts;
		*cut = line[n - 1] != '\n';
		if (!starts)
			status = foreign_broken_at(ss, o, number, "is too long");
		else if (!*cut)
			status = foreign_take(ss, o, &r, im, line, (size_t)n, number);
	}
	if (n == -1)
		status = failed(ss, o->source->file);
	else if (status == JOB_DONE && *cut)
		status = foreign_cut(ss, o, number);
	close(fd);
	return status;
}

/* Lines of which there may be too many to say them all. */
struct teller {
	struct session *ss;
	size_t count;
};

static void
tell_refused(void *arg, enum uids_import_refusal why, const char *base, const char *uid)
{
	static const char *const reasons[] = {
	    [IMPORT_INVALID] = "is not 1 to 70 printable ASCII characters",
	    [IMPORT_REPEATED] = "is that of an earlier message, too",
	};
	struct teller *t = arg;

	if (t->count++ < TOLD_MAX)
		job_fail(t->ss, "%s: the unique-id \"%.*s\" %s: not taken over", base, LINE_SHOWN,
			 uid, reasons[why]);
}

/* Messages that clients have fetched from us already, and would fetch again after this. */
static size_t
count_changed(struct store *s, const struct uids_import *im)
{
	char uid[STORE_UID_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < s->count && s->backend->fetched_at != NULL; i++) {
		if (s->backend->fetched_at(s, i) == 0)
			continue;
		s->backend->uid(s, i, uid);
		n += !uids_import_gives(im, uid);
	}
	return n;
}

static void
say_counts(struct session *ss, const struct order *o, const struct uids_import_counts *c)
{
	const char *what = o->source->file != NULL ? o->source->file : "their names";

	job_say(ss, "%zu of %zu messages: unique-id and place taken over from %s", c->taken,
		c->messages, what);
	if (c->taken < c->messages)
		job_say(ss,
			"%zu of %zu messages: behind the others, with unique-ids made of their "
			"names",
			c->messages - c->taken, c->messages);
	if (c->gone > 0)
		job_say(ss, "%zu messages of %s are not here any more", c->gone, what);
	log_info(ss->store.id, "maildir %s: unique-ids of %zu of %zu messages taken over from %s",
		 ss->store.path, c->taken, c->messages, what);
}

/* All is read: see what comes of it, and write it. */
static int
import_finish(struct session *ss, const struct order *o, struct uids_import *im, int dir_fd)
{
	struct teller teller = {.ss = ss};
	struct uids_import_counts counts;
	size_t changed;

	if (uids_import_settle(im, tell_refused, &teller, &counts) == -1)
		return failed(ss, UIDS_FILE);
	if (teller.count > TOLD_MAX)
		job_fail(ss, "and %zu others like that", teller.count - TOLD_MAX);
	changed = count_changed(&ss->store, im);
	if (changed > 0 && !o->force) {
		job_fail(ss,
			 "%zu messages that were fetched from this server already would be fetched "
			 "again: nothing was taken over; --force takes them over",
			 changed);
		return JOB_FAILED;
	}
	if (uids_import_write(im, dir_fd) == -1)
		return failed(ss, UIDS_FILE);
	say_counts(ss, o, &counts);
	return counts.refused == 0 ? JOB_DONE : JOB_FAILED;
}

int
job_uidl_import(struct session *ss, size_t argc, char *const argv[])
{
	struct uids_import *im = NULL;
	bool cut = false;
	struct order o;
	int status = order_parse(ss, argc, argv, &o), dir_fd;
	struct stat st;

	if (status != JOB_DONE)
		return status;
	if (ss->store.backend != &store_maildir) {
		job_fail(ss, "%s is no Maildir", ss->store.path);
		return JOB_FAILED;
	}
	dir_fd = ss->store.confine[0].fd;
	if (!o.force && fstatat(dir_fd, UIDS_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		job_fail(ss,
			 "unique-ids were taken over before (%s is there): --force puts others in "
			 "their place",
			 UIDS_FILE);
		return JOB_FAILED;
	}
	if ((im = uids_import_new(dir_fd)) == NULL)
		return failed(ss, ss->store.path);
	if (o.source->file != NULL)
		status = foreign_read(ss, &o, im, dir_fd, &cut);
	else if (uids_import_all(im, dir_fd, o.source->make_uid) == -1)
		status = failed(ss, ss->store.path);
	if (status == JOB_DONE)
		status = import_finish(ss, &o, im, dir_fd);
	uids_import_free(im);
	return status == JOB_DONE && cut ? JOB_FAILED : status;
}

/* ---- verify ---- */

static void
tell_difference(void *arg, const char *uid, bool now)
{
	struct teller *t = arg;

	if (now && t->count++ < TOLD_MAX)
		job_say(t->ss, "not in the listing: %s", uid);
}

/* Read the saved listing. */
static int
saved_read(struct session *ss, struct uids_listing *saved)
{
	const char *line, *uid;
	size_t len, uid_len;
	uint64_t number = 0;
	int more;

	while ((more = job_line(ss, &line, &len)) == 1) {
		enum listing_line kind = uids_listing_line(line, len, &uid, &uid_len);

		number++;
		if (kind == LISTING_BROKEN) {
			job_fail(ss, "line %ju of the listing is no \"number unique-id\"",
				 (uintmax_t)number);
			return JOB_FAILED;
		}
		if (kind == LISTING_UID && uids_listing_add(saved, uid, uid_len) == -1)
			return failed(ss, "listing");
	}
	return more == 0 ? JOB_DONE : JOB_FAILED;
}

static int
say_difference(struct session *ss, struct uids_listing *now, struct uids_listing *saved)
{
	struct teller teller = {.ss = ss};
	struct uids_difference d;

	if (uids_listing_compare(now, saved, tell_difference, &teller, &d) == -1)
		return failed(ss, "listing");
	if (teller.count > TOLD_MAX)
		job_say(ss, "and %zu others", teller.count - TOLD_MAX);
	job_say(ss, "%zu of %zu messages would be fetched again", d.again, now->count);
	if (d.fresh > 0)
		job_say(ss, "%zu of %zu messages are new since the listing", d.fresh, now->count);
	job_say(ss, "%zu of %zu messages of the listing are not here any more", d.gone,
		saved->count);
	job_say(ss, "the order is %s", d.moved ? "not the same" : "the same");
	return d.again == 0 ? JOB_DONE : JOB_FAILED;
}

int
job_uidl_verify(struct session *ss, size_t argc, char *const argv[])
{
	struct uids_listing now = {0}, saved = {0};
	int status = saved_read(ss, &saved);
	char uid[STORE_UID_SIZE];

	(void)argc, (void)argv;
	for (size_t i = 0; i < ss->store.count && status == JOB_DONE; i++) {
		ss->store.backend->uid(&ss->store, i, uid);
		if (uids_listing_add(&now, uid, strlen(uid)) == -1)
			status = failed(ss, "listing");
	}
	if (status == JOB_DONE)
		status = say_difference(ss, &now, &saved);
	uids_listing_free(&now);
	uids_listing_free(&saved);
	return status;
}
