#include "config.h"

#include "worker/store/uids_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/grow.h"
#include "worker/store/maildir_name.h"
#include "worker/store/natural.h"
#include "worker/store/scan.h"
#include "worker/store/uids.h"

enum { SUBDIRS = 2, NO_TAKE = -1 };

static const char *const subdirs[SUBDIRS] = {"new", "cur"};

/* Words of all kinds, each with its NUL, known by where they begin. */
struct text {
	char *octets;
	size_t len, room;
};

/* A message that is there. */
struct present {
	size_t name; /* whole; its base name is found by maildir_base_len() */
	int subdir;
	int64_t mtime; /* seconds */
	ssize_t take;  /* NO_TAKE: none */
};

/* A unique-id to be taken over. */
struct take {
	uint64_t order;
	size_t number; /* as added, counted from 0 */
	size_t present;
	size_t uid;
	bool refused;
};

struct uids_import {
	struct text text;
	struct present *present; /* in the order of base names, octet by octet */
	size_t present_count, present_room;
	struct take *takes; /* after settling: in the order of the messages */
	size_t take_count, take_room;
	size_t added; /* takes, those that were replaced included */
	size_t gone;
	size_t *given; /* unique-ids of all that are present, sorted */
};

static int
text_add(struct text *t, const char *word, size_t len, size_t *at)
{
	if (grow(&t->octets, &t->room, t->len + len + 1, 1) == -1)
		return -1;
	*at = t->len;
	memcpy(t->octets + t->len, word, len);
	t->octets[t->len + len] = '\0';
	t->len += len + 1;
	return 0;
}

static const char *
present_name(const struct uids_import *im, const struct present *p)
{
	return im->text.octets + p->name;
}

static int
octets_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int
present_compare(const void *a, const void *b, void *arg)
{
	const char *x = present_name(arg, a), *y = present_name(arg, b);

	return octets_compare(x, maildir_base_len(x), y, maildir_base_len(y));
}

/* ---- reading names */

struct adding {
	struct uids_import *im;
	int subdir;
};

static int
add_name(void *arg, const char *name)
{
	const struct adding *a = arg;
	struct uids_import *im = a->im;
	struct present *p;

	if (!maildir_name_counts(name))
		return 0;
	if (grow(&im->present, &im->present_room, im->present_count + 1, sizeof(*p)) == -1)
		return -1;
	p = &im->present[im->present_count];
	*p = (struct present){.subdir = a->subdir, .take = NO_TAKE};
	if (text_add(&im->text, name, strlen(name), &p->name) == -1)
		return -1;
	im->present_count++;
	return 0;
}

static int
subdir_open(int dir_fd, int subdir)
{
	return openat(dir_fd, subdirs[subdir], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Sort by base name, and leave out a second file with one that is there already. */
static void
present_settle(struct uids_import *im)
{
	size_t kept = 0;

	if (im->present_count > 0)
		qsort_r(im->present, im->present_count, sizeof(im->present[0]), present_compare,
			im);
	for (size_t i = 0; i < im->present_count; i++)
		if (kept == 0 || present_compare(&im->present[kept - 1], &im->present[i], im) != 0)
			im->present[kept++] = im->present[i];
	im->present_count = kept;
}

struct uids_import *
uids_import_new(int dir_fd)
{
	struct uids_import *im = calloc(1, sizeof(*im));
	int result = im != NULL ? 0 : -1;

	for (int i = 0; i < SUBDIRS && result == 0; i++) {
		struct adding a = {im, i};
		int fd = subdir_open(dir_fd, i);

		result = fd != -1 ? scan_files(fd, add_name, &a) : -1;
		store_close_fd(fd);
	}
	if (result == 0) {
		present_settle(im);
		return im;
	}
	uids_import_free(im);
	return NULL;
}

void
uids_import_free(struct uids_import *im)
{
	int error = errno;

	if (im == NULL)
		return;
	free(im->text.octets);
	free(im->present);
	free(im->takes);
	free(im->given);
	free(im);
	errno = error;
}

/* ---- adding */

static struct present *
present_find(const struct uids_import *im, const char *base, size_t len)
{
	size_t from = 0, to = im->present_count;

	while (from < to) {
		size_t at = from + (to - from) / 2;
		const char *name = present_name(im, &im->present[at]);
		int order = octets_compare(name, maildir_base_len(name), base, len);

		if (order == 0)
			return &im->present[at];
		if (order < 0)
			from = at + 1;
		else
			to = at;
	}
	return NULL;
}

/* A later unique-id of the same message replaces the earlier one. */
static int
take_add(struct uids_import *im, struct present *p, uint64_t order, const char *uid)
{
	struct take t = {.order = order, .number = im->added, .present = (size_t)(p - im->present)};

	if (grow(&im->takes, &im->take_room, im->take_count + 1, sizeof(t)) == -1 ||
	    text_add(&im->text, uid, strlen(uid), &t.uid) == -1)
		return -1;
	if (p->take == NO_TAKE)
		p->take = (ssize_t)im->take_count++;
	im->takes[p->take] = t;
	im->added++;
	return 0;
}

int
uids_import_add(struct uids_import *im, const char *base, size_t len, uint64_t order,
		const char *uid)
{
	struct present *p = present_find(im, base, len);

	if (p == NULL) {
		im->gone++;
		return 0;
	}
	return take_add(im, p, order, uid);
}

static int
mtime_compare(const void *a, const void *b, void *arg)
{
	const struct uids_import *im = arg;
	const struct present *x = &im->present[*(const size_t *)a],
			     *y = &im->present[*(const size_t *)b];
	const char *p = present_name(im, x), *q = present_name(im, y);
	uint64_t p_seconds = maildir_seconds(p), q_seconds = maildir_seconds(q);

	if (x->mtime != y->mtime)
		return x->mtime < y->mtime ? -1 : 1;
	if (p_seconds != q_seconds)
		return p_seconds < q_seconds ? -1 : 1;
	return natural_compare(p, maildir_base_len(p), q, maildir_base_len(q));
}

/* Find when each file was written.  One that has gone meanwhile comes first. */
static int
read_mtimes(struct uids_import *im, int dir_fd)
{
	int fd[SUBDIRS] = {subdir_open(dir_fd, 0), subdir_open(dir_fd, 1)};
	int result = fd[0] == -1 || fd[1] == -1 ? -1 : 0;
	struct stat st;

	for (size_t i = 0; i < im->present_count && result == 0; i++) {
		struct present *p = &im->present[i];

		if (fstatat(fd[p->subdir], present_name(im, p), &st, AT_SYMLINK_NOFOLLOW) == 0)
			p->mtime = st.st_mtim.tv_sec;
		else if (errno != ENOENT)
			result = -1;
	}
	store_close_fd(fd[0]);
	store_close_fd(fd[1]);
	return result;
}

int
uids_import_all(struct uids_import *im, int dir_fd,
		void (*make_uid)(const char *base, size_t len, char *out, size_t cap))
{
	size_t *order = calloc(im->present_count + 1, sizeof(*order));
	int result = order != NULL ? read_mtimes(im, dir_fd) : -1;
	char uid[3 * NAME_MAX + 1];

	for (size_t i = 0; i < im->present_count && result == 0; i++)
		order[i] = i;
	if (result == 0)
		qsort_r(order, im->present_count, sizeof(*order), mtime_compare, im);
	for (size_t i = 0; i < im->present_count && result == 0; i++) {
		struct present *p = &im->present[order[i]];
		const char *name = present_name(im, p);

		make_uid(name, maildir_base_len(name), uid, sizeof(uid));
		result = take_add(im, p, 0, uid);
	}
	free(order);
	return result;
}

/* ---- settling */

static int
take_compare(const void *a, const void *b)
{
	const struct take *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static int
uid_compare(const void *a, const void *b, void *arg)
{
	const struct uids_import *im = arg;
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	int order = strcmp(im->text.octets + im->takes[i].uid, im->text.octets + im->takes[j].uid);

	return order != 0 ? order : (i > j) - (i < j);
}

/* Mark the takes that an earlier one with the same unique-id rules out. */
static int
find_repeated(const struct uids_import *im, bool *repeated)
{
	size_t *order = calloc(im->take_count + 1, sizeof(*order));
	const char *uid, *last = NULL;
	size_t count = 0;

	if (order == NULL)
		return -1;
	for (size_t i = 0; i < im->take_count; i++)
		if (!im->takes[i].refused)
			order[count++] = i;
	qsort_r(order, count, sizeof(*order), uid_compare, (void *)(uintptr_t)im);
	for (size_t k = 0; k < count; k++, last = uid) {
		uid = im->text.octets + im->takes[order[k]].uid;
		repeated[order[k]] = last != NULL && strcmp(last, uid) == 0;
	}
	free(order);
	return 0;
}

static void
take_refuse(struct uids_import *im, struct take *t, enum uids_import_refusal why,
	    uids_import_tell_fn *tell, void *arg)
{
	const char *name = present_name(im, &im->present[t->present]);
	char base[NAME_MAX + 1] = "";

	memcpy(base, name, maildir_base_len(name));
	t->refused = true;
	tell(arg, why, base, im->text.octets + t->uid);
}

/* Every message has one unique-id that it may have, or none.  The takes have been sorted. */
static void
settle_each(struct uids_import *im, uids_import_tell_fn *tell, void *arg)
{
	for (size_t i = 0; i < im->take_count; i++) {
		struct take *t = &im->takes[i];
		struct present *p = &im->present[t->present];
		const char *uid = im->text.octets + t->uid;

		p->take = (ssize_t)i;
		if (!uids_is_valid(uid, strlen(uid))) {
			p->take = NO_TAKE;
			take_refuse(im, t, IMPORT_INVALID, tell, arg);
		}
	}
}

/* No two messages have the same. */
static int
settle_repeated(struct uids_import *im, uids_import_tell_fn *tell, void *arg)
{
	bool *repeated = calloc(im->take_count + 1, sizeof(*repeated));
	int result = repeated != NULL ? find_repeated(im, repeated) : -1;

	for (size_t i = 0; i < im->take_count && result == 0; i++) {
		if (repeated[i]) {
			im->present[im->takes[i].present].take = NO_TAKE;
			take_refuse(im, &im->takes[i], IMPORT_REPEATED, tell, arg);
		}
	}
	free(repeated);
	return result;
}

static int
given_compare(const void *a, const void *b, void *arg)
{
	const struct uids_import *im = arg;

	return strcmp(im->text.octets + *(const size_t *)a, im->text.octets + *(const size_t *)b);
}

/* Note what unique-id each message is going to have. */
static int
settle_given(struct uids_import *im)
{
	char uid[STORE_UID_SIZE];

	if ((im->given = calloc(im->present_count + 1, sizeof(*im->given))) == NULL)
		return -1;
	for (size_t i = 0; i < im->present_count; i++) {
		const struct present *p = &im->present[i];
		const char *name = present_name(im, p);

		if (p->take != NO_TAKE) {
			im->given[i] = im->takes[p->take].uid;
			continue;
		}
		maildir_uid(name, maildir_base_len(name), uid);
		if (text_add(&im->text, uid, strlen(uid), &im->given[i]) == -1)
			return -1;
	}
	qsort_r(im->given, im->present_count, sizeof(*im->given), given_compare, im);
	return 0;
}

int
uids_import_settle(struct uids_import *im, uids_import_tell_fn *tell, void *arg,
		   struct uids_import_counts *counts)
{
	*counts = (struct uids_import_counts){.messages = im->present_count, .gone = im->gone};
	if (im->take_count > 0)
		qsort(im->takes, im->take_count, sizeof(im->takes[0]), take_compare);
	settle_each(im, tell, arg);
	if (settle_repeated(im, tell, arg) == -1 || settle_given(im) == -1)
		return -1;
	for (size_t i = 0; i < im->take_count; i++) {
		counts->taken += !im->takes[i].refused;
		counts->refused += im->takes[i].refused;
	}
	return 0;
}

bool
uids_import_gives(const struct uids_import *im, const char *uid)
{
	size_t from = 0, to = im->present_count;

	while (from < to) {
		size_t at = from + (to - from) / 2;
		int order = strcmp(im->text.octets + im->given[at], uid);

		if (order == 0)
			return true;
		if (order < 0)
			from = at + 1;
		else
			to = at;
	}
	return false;
}

int
uids_import_write(const struct uids_import *im, int dir_fd)
{
	struct uids_writer w;
	int result = uids_write_begin(&w, dir_fd);

	for (size_t i = 0; i < im->take_count && result == 0; i++) {
		const struct take *t = &im->takes[i];
		const char *name = present_name(im, &im->present[t->present]);

		if (!t->refused)
			result = uids_write_line(&w, im->text.octets + t->uid, name,
						 maildir_base_len(name));
	}
	if (result == 0)
		return uids_write_end(&w);
	uids_write_abort(&w);
	return -1;
}
