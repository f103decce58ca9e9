#include "config.h"

#include "worker/store/maildir_build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/maildir_list.h"
#include "worker/store/maildir_name.h"
#include "worker/store/maildir_table.h"
#include "worker/store/scan.h"
#include "worker/store/uids.h"

enum {
	SCAN_TRIES = 4,	       /* readings of directories that others keep changing */
	SETTLED_NS = 50000000, /* two changes may have one time stamp if they are as close ... */
	SETTLED_SECONDS = 3    /* ... or, where stamps are in seconds, as close as this */
};

struct build {
	const struct maildir_place *place;
	const struct store *store;	    /* for the log */
	const struct maildir_index *former; /* NULL: none */
	struct maildir_index *index;
	struct maildir_list list;
	bool named;	   /* it is to last; else it is only looked at what names there are */
	bool has_uids;	   /* unique-ids were taken over */
	bool same_uids;	   /* the former index knows of them */
	struct uids *uids; /* NULL: not needed yet */
	struct maildir_table table; /* of the former index */
	size_t matched;		    /* its messages that are there */
};

/* ---- time stamps ---- */

int
build_stamps(const struct maildir_place *p, struct index_stamp dirs[MAILDIR_DIRS],
	     struct index_stamp *uids)
{
	struct stat st;

	for (int d = 0; d < MAILDIR_DIRS; d++) {
		if (fstat(p->dirs[d], &st) == -1)
			return -1;
		dirs[d] = index_stamp_of(&st);
	}
	*uids = (struct index_stamp){0};
	if (p->dir_fd == -1)
		return 0;
	if (fstatat(p->dir_fd, UIDS_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*uids = index_stamp_of(&st);
	else if (errno != ENOENT)
		return -1;
	return 0;
}

static bool
is_settled(const struct maildir_index *ix, int dir)
{
	return (ix->head.settled >> dir & 1) != 0;
}

bool
build_is_current(const struct maildir_place *p, const struct maildir_index *ix)
{
	struct index_stamp dirs[MAILDIR_DIRS], uids;

	if (build_stamps(p, dirs, &uids) == -1 || !index_stamps_equal(&uids, &ix->head.uids))
		return false;
	for (int d = 0; d < MAILDIR_DIRS; d++)
		if (!is_settled(ix, d) || !index_stamps_equal(&dirs[d], &ix->head.dirs[d]))
			return false;
	return true;
}

static bool
time_is_older(int64_t seconds, int64_t ns, const struct index_stamp *now, bool fine)
{
	int64_t age = now->mtime - seconds;

	if (!fine || age < 0 || age > SETTLED_SECONDS)
		return age >= SETTLED_SECONDS;
	return age * 1000000000 + now->mtime_ns - ns >= SETTLED_NS;
}

/* Had the directory stood still for a while when it was looked at, by its own file system's
 * clock?  Then a later change cannot leave it with the same stamp. */
static bool
stamp_settles(const struct index_stamp *stamp, const struct index_stamp *now)
{
	bool fine = stamp->mtime_ns != 0 || stamp->ctime_ns != 0;

	return now->inode != 0 && time_is_older(stamp->mtime, stamp->mtime_ns, now, fine) &&
	       time_is_older(stamp->ctime, stamp->ctime_ns, now, fine);
}

/* ---- names ---- */

/* What the former index says of the unique-id of a message.  1; 0: nothing; -1 with errno. */
static int
recall_uid(struct build *b, struct maildir_message *m, size_t base_len)
{
	const uint32_t flags = ENTRY_RANKED | ENTRY_DIGEST_UID;
	struct maildir_message was;
	size_t at;

	if (!b->same_uids)
		return 0;
	if (table_find(&b->table, m->name, base_len, &at) == -1)
		return -1;
	if (at == TABLE_NONE || !table_has(&b->table, at, m->name, base_len, &was) ||
	    (was.flags & ENTRY_MADE_UID) != 0)
		return 0;
	m->flags |= was.flags & flags;
	m->rank = was.rank;
	memcpy(m->uid, was.uid, sizeof(m->uid));
	return 1;
}

/* An unreadable list of unique-ids is an error: clients would fetch everything again. */
static int
load_uids(struct build *b)
{
	if (b->uids == NULL)
		b->uids = uids_load(b->place->dir_fd, b->store);
	return b->uids == NULL ? -1 : 0;
}

/* Was the unique-id of a message taken over from another server, or its own given to another? */
static int
find_uid(struct build *b, struct maildir_message *m)
{
	size_t base_len = maildir_base_len(m->name);
	int known = recall_uid(b, m, base_len);
	char own[STORE_UID_SIZE];

	if (known != 0)
		return known == 1 ? 0 : -1;
	if (load_uids(b) == -1)
		return -1;
	if (uids_find(b->uids, m->name, base_len, &m->rank, m->uid)) {
		m->flags |= ENTRY_RANKED;
		return 0;
	}
	m->uid[0] = '\0';
	maildir_uid(m->name, base_len, own);
	if (uids_taken(b->uids, own))
		m->flags |= ENTRY_DIGEST_UID;
	return 0;
}

/* Add a message whose name and directory are in *m. */
static int
build_add(struct build *b, struct maildir_message *m)
{
	m->name_len = strlen(m->name);
	m->uid[0] = '\0';
	m->rank = 0;
	if (b->has_uids && find_uid(b, m) == -1)
		return -1;
	return list_add(&b->list, m);
}

struct adding {
	struct build *build;
	uint32_t flags;
};

static int
add_name(void *arg, const char *name)
{
	struct adding *a = arg;
	struct maildir_message m = {.flags = a->flags};
	size_t len = strlen(name);

	if (!maildir_name_counts(name))
		return 0;
	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(m.name, name, len + 1);
	return build_add(a->build, &m);
}

static int
add_scanned(struct build *b, int dir)
{
	struct adding a = {b, dir == MAILDIR_CUR ? ENTRY_IN_CUR : 0};
	int fd = b->place->dirs[dir];

	return lseek(fd, 0, SEEK_SET) == -1 ? -1 : scan_files(fd, add_name, &a);
}

/* Take the names of an unchanged directory from the former index.  1; 0: it is damaged, or does not
 * have all names, since a file with two counts once; -1 with errno. */
static int
add_former(struct build *b, int dir)
{
	struct maildir_message m;

	for (size_t i = 0; i < b->former->head.count; i++) {
		if (index_message(b->former, i, &m) == -1 || (m.flags & ENTRY_LINKED) != 0)
			return 0;
		if (((m.flags & ENTRY_IN_CUR) != 0) != (dir == MAILDIR_CUR) ||
		    (m.flags & (ENTRY_GONE | ENTRY_REMOVED)) != 0)
			continue;
		m.flags &= ENTRY_IN_CUR;
		if (build_add(b, &m) == -1)
			return -1;
	}
	return 1;
}

/* Add the names of both directories; `keep` tells which of them are taken from the former index,
 * and is set to false where that cannot be: what a damaged one told is dropped.  1: nothing was
 * missed; 0: perhaps; -1 with errno. */
static int
read_names(struct build *b, bool keep[MAILDIR_DIRS])
{
	struct index_head *h = &b->index->head;
	struct index_stamp after[MAILDIR_DIRS], uids;
	bool quiet = true;
	int had;

	if (build_stamps(b->place, h->dirs, &uids) == -1)
		return -1;
	/* new/ before cur/, so that a message on its way there is seen at least once */
	for (int d = 0; d < MAILDIR_DIRS; d++) {
		keep[d] = keep[d] && index_stamps_equal(&h->dirs[d], &b->former->head.dirs[d]);
		had = keep[d] ? add_former(b, d) : add_scanned(b, d);
		if (had == -1)
			return -1;
		if (keep[d] && had == 0) {
			keep[d] = quiet = false;
			b->list.count = 0;
			index_rewind(b->index);
		}
	}
	if (build_stamps(b->place, after, &uids) == -1)
		return -1;
	/* a name that changed in cur/ meanwhile may have been missed, as one put back into new/ */
	if (!index_stamps_equal(&after[MAILDIR_CUR], &h->dirs[MAILDIR_CUR]))
		keep[MAILDIR_CUR] = quiet = false;
	return quiet ? 1 : 0;
}

/*
 * Names until none can have been missed, or others change them all the time: then
 * what one reading has missed another has seen, and a message seen under several
 * names is one when the list is settled.
 */
static int
read_quietly(struct build *b)
{
	const struct maildir_index *former = b->former;
	bool keep[MAILDIR_DIRS] = {false, false};
	int quiet = 0;

	for (int d = 0; former != NULL && d < MAILDIR_DIRS; d++)
		keep[d] = b->same_uids && is_settled(former, d);
	for (int try = 0; try < SCAN_TRIES && quiet == 0; try++)
		quiet = read_names(b, keep);
	b->index->quiet = quiet == 1;
	return quiet == -1 ? -1 : 0;
}

/* ---- what was known ---- */

bool
build_is_same(const struct maildir_place *p, const struct maildir_message *was,
	      const struct maildir_message *is)
{
	int dir = (is->flags & ENTRY_IN_CUR) != 0 ? MAILDIR_CUR : MAILDIR_NEW;
	struct stat st;

	/* Duplicates that came since: which of them it was cannot be told. */
	if ((was->flags & ENTRY_DUPLICATE) == 0)
		return (is->flags & ENTRY_DUPLICATE) == 0;
	if ((is->flags & ENTRY_DUPLICATE) != 0)
		return was->inode == is->inode;
	return fstatat(p->dirs[dir], is->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == was->inode;
}

/* What the former index knows of a message. */
static int
recall(struct build *b, const struct maildir_message *m, uint64_t *octets, uint32_t *fetched)
{
	size_t len = maildir_base_len(m->name), at;
	struct maildir_message was;

	*octets = STORE_NO_SIZE;
	*fetched = 0;
	if (b->former == NULL)
		return 0;
	if (table_find(&b->table, m->name, len, &at) == -1)
		return -1;
	for (; at != TABLE_NONE && table_has(&b->table, at, m->name, len, &was); at++) {
		if (!build_is_same(b->place, &was, m))
			continue;
		*octets = index_kept_size(b->former, at);
		*fetched = index_fetched(b->former, at);
		b->matched += (was.flags & ENTRY_REMOVED) == 0;
	}
	return 0;
}

/* How many messages the former index has that we did not remove, and how many of them others have.
 */
static void
count_vanished(struct build *b)
{
	size_t had = 0;

	for (size_t i = 0; b->former != NULL && i < b->former->head.count; i++)
		had += (index_flags(b->former, i) & ENTRY_REMOVED) == 0;
	b->index->former = had;
	b->index->vanished = had > b->matched ? had - b->matched : 0;
}

/* A record for each message of the list. */
static int
write_records(struct build *b)
{
	uint64_t octets, sum = 0;
	struct maildir_message m;
	bool known = true;
	uint32_t fetched;

	for (size_t i = 0; i < b->list.count; i++) {
		const struct list_entry *e = &b->list.entries[i];

		if (index_block(b->index, e->block, e->flags, &m) == -1) {
			errno = EIO; /* somebody writes to it */
			return -1;
		}
		if (recall(b, &m, &octets, &fetched) == -1 ||
		    index_put_record(b->index, i, e->block, &m, octets, fetched) == -1)
			return -1;
		known = known && octets != STORE_NO_SIZE;
		sum += octets;
	}
	b->index->head.octets = known ? sum : STORE_NO_SIZE;
	count_vanished(b);
	return 0;
}

/* ---- all of it ---- */

static int
read_list(struct build *b)
{
	struct index_head *h = &b->index->head;
	struct index_stamp dirs[MAILDIR_DIRS];
	int result = build_stamps(b->place, dirs, &h->uids);

	b->has_uids = b->named && h->uids.inode != 0;
	b->same_uids = b->former != NULL && index_stamps_equal(&b->former->head.uids, &h->uids);
	if (result == 0)
		result = read_quietly(b);
	if (b->uids != NULL && result == 0 && (errno = uids_error(b->uids)) != 0)
		result = -1;
	uids_free(b->uids);
	b->uids = NULL;
	return result;
}

/* Into a file of the Maildir at `file_fd`, or with -1 into memory. */
static int
build_into(struct build *b, int file_fd)
{
	struct maildir_index *ix = b->index;
	int result;

	if (index_begin(ix, file_fd) == -1)
		return -1;
	if (file_fd != -1 && !b->named)
		index_forget_file(file_fd);
	list_init(&b->list, b->place->dirs, ix);
	table_init(&b->table, b->former);
	b->matched = 0;
	result = read_list(b);
	if (result == 0)
		result = list_settle(&b->list);
	if (result == 0)
		result = write_records(b);
	for (int d = 0; d < MAILDIR_DIRS; d++)
		if (ix->quiet && stamp_settles(&ix->head.dirs[d], &ix->made))
			ix->head.settled |= UINT64_C(1) << d;
	if (result == 0)
		result = index_finish(ix, b->named ? file_fd : -1);
	list_free(&b->list);
	table_free(&b->table);
	if (result == -1)
		index_close(ix);
	return result;
}

static int
build_anywhere(struct build *b)
{
	int fd = b->place->dir_fd;

	if (fd != -1) {
		if (build_into(b, fd) == 0)
			return 0;
		log_line(errno == EROFS || errno == EACCES ? LOG_DEBUG : LOG_WARNING, b->store->id,
			 "maildir %s: no index can be written: %s", b->store->path,
			 strerror(errno));
		index_forget_file(fd);
	}
	return build_into(b, -1);
}

int
build_index(const struct maildir_place *p, struct maildir_index *ix,
	    const struct maildir_index *former, const struct store *s)
{
	struct build b = {.place = p, .store = s, .former = former, .index = ix, .named = true};

	return build_anywhere(&b);
}

int
build_list(const struct maildir_place *p, struct maildir_index *ix, const struct store *s)
{
	struct build b = {.place = p, .store = s, .index = ix};

	return build_anywhere(&b);
}
