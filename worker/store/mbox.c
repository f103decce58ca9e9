/*
 * One file with all messages, mbox(5).  The locks of delivery agents are held
 * while it is read through at login and while it is rewritten at UPDATE; in
 * between only our own session lock, so that mail can be delivered.  What others
 * change in the session is noticed when a message is read and before UPDATE.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/digest.h"
#include "worker/store/lock.h"
#include "worker/store/mbox.h"
#include "worker/store/absent.h"
#include "worker/store/fault.h"
#include "worker/store/mbox_anew.h"
#include "worker/store/mbox_guard.h"
#include "worker/store/mbox_journal.h"
#include "worker/store/mbox_place.h"
#include "worker/store/mbox_reserve.h"
#include "worker/store/mbox_table.h"
#include "worker/store/path.h"
#include "worker/store/store.h"
#include "worker/store/duplicates.h"

enum { OPEN_WAIT_MS = 15000, UPDATE_WAIT_MS = 30000 /* for the locks */ };

struct mbox {
	struct mbox_style style;
	struct mbox_place place;
	int fd;		/* of the mbox; -1: there is none, and it counts as empty */
	int state_fd;	/* the directory for lock and journal; -1: read-only, or no room for it */
	int spare_fd;	/* one for a journal that has no room there; -1: none */
	int lock_fd;	/* carries the session lock */
	bool read_only; /* the user may not write to it */
	bool shared;	/* other hosts may write to it */
	struct stat seen;
	struct mbox_guard guard;
	struct mbox_table table;
	uint32_t *numbers;  /* of each message among those with equal digests */
	uint64_t shortened; /* what was marked from this offset on is gone, even if the rest is not;
			     * UINT64_MAX: nothing */
};

struct state_name {
	char text[64];
};

/* Open the file, which must be the user's; what may not be written is read at least. */
static int
mbox_open_file(struct mbox *m)
{
	int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	m->fd = openat(m->place.dir_fd, m->place.name, O_RDWR | flags);
	if (m->fd == -1 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		m->read_only = true;
		m->fd = openat(m->place.dir_fd, m->place.name, O_RDONLY | flags);
	}
	if (m->fd == -1 || path_check_owner(m->fd) == -1 || fstat(m->fd, &m->seen) == -1)
		return -1;
	m->shared = mbox_is_shared(m->fd);
	if (S_ISREG(m->seen.st_mode))
		return 0;
	errno = EINVAL;
	return -1;
}

/* The name of a file in the state directory. */
static struct state_name
mbox_state_name(const struct mbox *m, const char *what)
{
	struct state_name name;

	(void)snprintf(name.text, sizeof(name.text), "mbox-%" PRIx64 ".%s",
		       (uint64_t)m->seen.st_ino, what);
	return name;
}

/* By name and not by inode: a delivery agent may remove an mbox that is empty, and make it again.
 */
static void
mbox_keep_history(struct store *s, const struct mbox *m)
{
	char name[sizeof(s->history)];

	(void)snprintf(name, sizeof(name), "%.200s.history", m->place.name);
	store_keep_history(s, m->state_fd, name);
}

/* Find the directory for lock and journal, where there is room for one.  0 or -1 with errno. */
static int
mbox_open_state(struct store *s, struct mbox *m)
{
	m->state_fd = mbox_place_state(&m->place, s->home);
	if (m->state_fd == -1) {
		if (!store_is_full(errno))
			return -1;
		log_warn(s->id, "mbox %s: directory for lock and journal: %s", s->path,
			 strerror(errno));
		return 0;
	}
	/* the mbox itself is open and needs no permission any more */
	store_confine(s, m->state_fd, SANDBOX_WRITE);
	mbox_keep_history(s, m);
	return 0;
}

/* What somebody else has taken the user's name with holds no journal of his. */
static bool
is_taken(int error)
{
	return error == EACCES || error == ENOTDIR || error == ELOOP;
}

/* The directory that the setting mbox_journal names.  While it is not there the mbox is not to be
 * looked at: its journal may be in it. */
static int
mbox_open_spare(struct store *s, struct mbox *m)
{
	if (s->mbox_journal == NULL || s->mbox_journal[0] == '\0')
		return 0;
	m->spare_fd = mbox_place_spare(s->mbox_journal);
	if (m->spare_fd != -1) {
		store_confine(s, m->spare_fd, SANDBOX_WRITE);
		return 0;
	}
	if (!is_taken(errno) && !store_is_full(errno))
		return -1;
	log_warn(s->id, "mbox %s: mbox_journal %s: uid %u: %s", s->path, s->mbox_journal, geteuid(),
		 strerror(errno));
	return 0;
}

/* A missing file is an empty mailbox in any case: delivery agents remove empty ones. */
static enum store_result
mbox_open(struct store *s, bool missing_is_empty)
{
	struct mbox *m = store_room(s, sizeof(*m));
	enum store_result result;

	(void)missing_is_empty;
	m->style = mbox_style_of(s->mbox_format, s->mbox_split);
	m->shortened = UINT64_MAX;
	m->place.dir_fd = m->fd = m->state_fd = m->spare_fd = m->lock_fd = -1;
	if (mbox_place_find(&m->place, s->path) == -1)
		return errno == ENOENT && (result = absent_judge_home(s)) != STORE_OK
			   ? result
			   : fault_log(s, NULL, "open");
	if (mbox_open_file(m) == -1)
		return errno == ENOENT && m->fd == -1 ? absent_judge_home(s)
						      : fault_log(s, NULL, "open");
	mbox_guard_init(&m->guard, s, &m->place, m->fd, m->read_only);
	if (m->read_only)
		return STORE_OK;
	if (mbox_open_state(s, m) == -1)
		return fault_log(s, NULL, "no directory for lock and journal");
	if (mbox_open_spare(s, m) == -1)
		return fault_log(s, NULL, "mbox_journal");
	if (m->place.writable)
		store_confine(s, m->place.dir_fd, SANDBOX_MAKE);
	return STORE_OK;
}

/* Master agrees, since this mbox may have another lock file in another user's home, or none where
 * there was no room for it. */
static enum store_result
mbox_lock(struct store *s)
{
	struct mbox *m = s->data;
	enum store_result result = STORE_OK;

	if (m->fd == -1)
		return STORE_OK;
	if (m->read_only) { /* nothing may be made, so nothing but the file is there to lock */
		lock_note(s, m->fd);
		if (flock(m->fd, LOCK_EX | LOCK_NB) == 0 || lock_is_unknown(errno))
			return STORE_OK;
		return errno == EWOULDBLOCK ? STORE_IN_USE : fault_log(s, NULL, "lock");
	}
	if (m->state_fd != -1)
		result = lock_named(s, m->state_fd, mbox_state_name(m, "lock").text, &m->lock_fd);
	lock_note(s, m->fd);
	s->lock_claim = true;
	return result;
}

/* Is the file that we have open still the one of that name? */
static enum store_result
mbox_check_name(const struct store *s, const struct mbox *m)
{
	struct stat st;

	if (fstatat(m->place.dir_fd, m->place.name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return fault_log(s, NULL, "stat");
	if (st.st_ino == m->seen.st_ino && st.st_dev == m->seen.st_dev)
		return STORE_OK;
	log_error(s->id, "mbox %s: replaced by another file", s->path);
	return STORE_TEMP;
}

/* Under the locks, before anything is believed of the file: it is the one of that name, and what
 * this host remembers of it is forgotten. */
static enum store_result
mbox_renew(const struct store *s, const struct mbox *m)
{
	if (m->shared && mbox_read_anew(m->fd) == -1)
		return fault_log(s, NULL, "reading anew");
	return mbox_check_name(s, m);
}

static void
mbox_journal_begin(struct mbox *m, struct mbox_journal *j, int dir_fd)
{
	mbox_journal_init(j, &m->style, dir_fd, m->fd, m->seen.st_ino, mbox_guard_tick, &m->guard);
}

/* Finish an UPDATE that was cut off and has its journal in this directory (-1: none). */
static enum store_result
mbox_recover_from(struct store *s, int dir_fd)
{
	struct mbox *m = s->data;
	struct mbox_journal j;

	if (dir_fd == -1)
		return STORE_OK;
	mbox_journal_begin(m, &j, dir_fd);
	switch (mbox_journal_run(&j)) {
	case 0:
		return STORE_OK;
	case 1:
		log_warn(s->id, "mbox %s: finished an update that had been cut off", s->path);
		return STORE_OK;
	case 2:
		log_error(s->id,
			  "mbox %s: an update was cut off, and the file has been changed since: "
			  "what it was to keep is in %s beside the session lock",
			  s->path, j.fresh);
		return STORE_OK;
	default:
		return fault_log(s, NULL, "finishing an update that had been cut off");
	}
}

static enum store_result
mbox_recover(struct store *s)
{
	const struct mbox *m = s->data;
	enum store_result result = mbox_recover_from(s, m->state_fd);

	return result == STORE_OK ? mbox_recover_from(s, m->spare_fd) : result;
}

/* Under the locks: read the file through into a table.  What another host has written may be seen
 * in part, so that a shared file which is no mbox may be one a moment later. */
static enum store_result
mbox_scan(struct store *s, struct mbox_table *t)
{
	struct mbox *m = s->data;
	struct rows_place place = {.dir_fd = m->state_fd};
	bool garbled;

	(void)snprintf(place.name, sizeof(place.name), "%s", mbox_state_name(m, "rows").text);
	if (fstat(m->fd, &m->seen) == -1)
		return fault_log(s, NULL, "stat");
	if (mbox_table_scan(t, &m->style, m->fd, (uint64_t)m->seen.st_size, &place, mbox_guard_tick,
			    &m->guard) == 0)
		return STORE_OK;
	garbled = m->shared && errno == EILSEQ;
	return fault_log(s, NULL, "read") == STORE_TEMP || garbled ? STORE_TEMP : STORE_PERM;
}

/* Perhaps several messages are served as one. */
static void
mbox_tell_alike(const struct store *s, const struct mbox *m)
{
	if (m->table.alike > 0)
		log_info(s->id,
			 "mbox %s: %" PRIu64 " lines begin with \"From \" as if a message began "
			 "there, and are taken for text (mbox_split)",
			 s->path, m->table.alike);
}

/* The entry of message i. */
static size_t
mbox_entry(const struct mbox *m, size_t i)
{
	return i + (m->table.internal ? 1 : 0);
}

/* Of message i; NULL with errno. */
static const struct mbox_entry *
mbox_message(struct mbox *m, size_t i)
{
	return mbox_table_entry(&m->table, mbox_entry(m, i));
}

static const uint8_t *
message_digest(void *arg, size_t i)
{
	const struct mbox_entry *e = mbox_message(arg, i);

	return e != NULL ? e->digest : NULL;
}

static struct digests
mbox_digests(struct mbox *m)
{
	return (struct digests){
	    .count = m->table.count - mbox_entry(m, 0), .get = message_digest, .arg = m};
}

/* Number the messages and add up their sizes.  0 or -1 with errno. */
static int
mbox_count(struct store *s)
{
	struct mbox *m = s->data;
	struct digests all = mbox_digests(m);
	const struct mbox_entry *e;

	m->numbers = duplicates_number(m->state_fd, mbox_state_name(m, "uids").text, &all);
	if (m->numbers == NULL)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		if ((e = mbox_message(m, i)) == NULL)
			return -1;
		s->octets += e->octets;
	}
	s->count = all.count;
	return 0;
}

static enum store_result
mbox_list(struct store *s)
{
	struct mbox *m = s->data;
	enum store_result result;

	s->count = 0;
	s->octets = 0;
	if (m->fd == -1)
		return STORE_OK;
	if ((result = mbox_guard_take(&m->guard, OPEN_WAIT_MS)) != STORE_OK)
		return result;
	result = mbox_renew(s, m);
	if (result == STORE_OK)
		result = mbox_recover(s);
	if (result == STORE_OK) { /* before a long table takes the last room */
		mbox_reserve_make(m->state_fd);
		result = mbox_scan(s, &m->table);
	}
	mbox_guard_drop(&m->guard);
	if (result != STORE_OK)
		return result;
	mbox_tell_alike(s, m);
	return mbox_count(s) == 0 ? STORE_OK : fault_log(s, NULL, "table of messages");
}

/* The same when the client has the listing, which is lost with any part of it. */
static const struct mbox_entry *
mbox_listed(struct store *s, size_t i)
{
	const struct mbox_entry *e = s->lost ? NULL : mbox_message(s->data, i);

	if (e == NULL && !s->lost) {
		s->lost = true;
		(void)fault_log(s, NULL, "table of messages");
	}
	return e;
}

const uint8_t *
mbox_digest(struct store *s, size_t i)
{
	const struct mbox_entry *e = mbox_listed(s, i);

	return e != NULL ? e->digest : NULL;
}

static void
mbox_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	const struct mbox *m = s->data;
	const struct mbox_entry *e = mbox_listed(s, i);

	out[0] = '\0';
	if (e != NULL)
		digest_uid(e->digest, m->numbers[i], out);
}

static enum store_result
mbox_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	const struct mbox_entry *e = mbox_listed(s, i);

	(void)look;
	*octets = e != NULL ? e->octets : STORE_NO_SIZE;
	return e != NULL ? STORE_OK : STORE_TEMP;
}

static bool
stamps_equal(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* If the file was written to since it was read through, or may have been on another host without
 * this one knowing, the message is looked at first. */
static enum store_result
mbox_get(struct store *s, size_t i, struct store_reader *r)
{
	struct mbox *m = s->data;
	const struct mbox_entry *e = mbox_listed(s, i);
	uint64_t octets;
	struct stat st;

	if (e == NULL)
		return STORE_TEMP;
	if (fstat(m->fd, &st) == -1)
		return store_judge(errno);
	mbox_message_read(&m->style, m->fd, e->text, e->end, e->digest, r);
	if (!m->shared && stamps_equal(&st, &m->seen))
		return STORE_OK;
	if (store_measure(r, &octets, NULL) == -1) {
		log_warn(s->id, "mbox %s: message %zu was moved by another program", s->path,
			 i + 1);
		return STORE_MISSING;
	}
	mbox_message_read(&m->style, m->fd, e->text, e->end, e->digest, r);
	return STORE_OK;
}

/* They are all known. */
static void
mbox_keep_size(struct store *s, size_t i, uint64_t octets)
{
	(void)s;
	(void)i;
	(void)octets;
}

/* What is kept from the first removed message on, with mail that came since: into `kept`, which has
 * room for so many ranges; NULL: they are only counted.  *cut is where the first removed one
 * begins. The number of ranges, or -1 with errno. */
static ssize_t
mbox_kept(const struct mbox *m, struct mbox_table *now, size_t messages, const uint64_t *marked,
	  struct mbox_range *kept, size_t room, uint64_t *cut)
{
	struct mbox_range all, last = {.to = UINT64_MAX};
	size_t shift = mbox_entry(m, 0), n = 0;
	bool begun = false;

	for (size_t e = 0; e < now->count; e++) {
		if (mbox_table_range(now, e, &all) == -1)
			return -1;
		if (e >= shift && e - shift < messages && store_is_marked(marked, e - shift)) {
			if (!begun)
				*cut = all.from;
			begun = true;
			continue;
		}
		if (!begun)
			continue;
		if (last.to == all.from) {
			last.to = all.to;
		} else {
			last = all;
			n++;
		}
		if (kept != NULL && n > room) { /* the table has been written to */
			errno = EIO;
			return -1;
		}
		if (kept != NULL)
			kept[n - 1] = last;
	}
	return (ssize_t)n;
}

/* The file was read later than written to if it was before, since mail readers tell so whether
 * there is new mail.  Never by its mtime, from which other hosts know that what they remember is
 * stale. */
static void
mbox_keep_newness(const struct mbox *m)
{
	const struct timespec *read = &m->seen.st_atim, *written = &m->seen.st_mtim;
	bool is_new = read->tv_sec < written->tv_sec ||
		      (read->tv_sec == written->tv_sec && read->tv_nsec < written->tv_nsec);
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

	if (is_new)
		times[0] = *read;
	(void)futimens(m->fd, times);
}

/* What became of an attempt to remove, for the client and the log. */
static enum store_result
mbox_remove_fault(const struct store *s, const char *what)
{
	bool full = store_is_full(errno);
	enum store_result result = fault_log(s, NULL, what);

	return full ? STORE_FULL : result;
}

/* Nothing behind `end` stays: that is one step, which needs no journal and no room. */
static int
mbox_shorten(struct mbox *m, uint64_t end)
{
	if (ftruncate(m->fd, (off_t)end) == -1 || fsync(m->fd) == -1)
		return -1;
	m->shortened = end;
	return 0;
}

/* Write the journal where there is room for it: in the usual place, or where mbox_journal says.  As
 * mbox_journal_write(). */
static ssize_t
mbox_journal_put(struct mbox *m, struct mbox_journal *j, uint64_t cut, uint64_t end,
		 const struct mbox_range *kept, size_t count)
{
	const int dirs[] = {m->state_fd, m->spare_fd};
	ssize_t known = -1;

	errno = ENOSPC;
	/* one that has got its name may be found by the next login */
	for (size_t i = 0; i < 2 && known == -1 && store_is_full(errno) && !j->trusted; i++) {
		if (dirs[i] == -1)
			continue;
		mbox_journal_begin(m, j, dirs[i]);
		known = mbox_journal_write(j, cut, end, kept, count);
	}
	return known;
}

/* The same.  Where there is no room what is marked at the end of the file goes first, which makes
 * some. */
static ssize_t
mbox_journal_make(struct mbox *m, struct mbox_journal *j, uint64_t cut, uint64_t end,
		  const struct mbox_range *kept, size_t count)
{
	uint64_t last = kept[count - 1].to;
	ssize_t known = mbox_journal_put(m, j, cut, end, kept, count);

	if (known != -1 || !store_is_full(errno) || j->trusted || last == end ||
	    mbox_shorten(m, last) == -1)
		return known;
	return mbox_journal_put(m, j, cut, last, kept, count);
}

/* Take out what stands between the kept ranges: by a journal, or by several from the end on, unless
 * nothing is kept. */
static enum store_result
mbox_take_out(const struct store *s, uint64_t cut, uint64_t end, struct mbox_range *kept,
	      size_t count)
{
	struct mbox *m = s->data;
	struct stat st;

	if (count == 0)
		return mbox_shorten(m, cut) == 0 ? STORE_OK : mbox_remove_fault(s, "truncate");
	while (count > 0) {
		struct mbox_journal j = {0};
		ssize_t known = mbox_journal_make(m, &j, cut, end, kept, count);

		if (known == -1)
			return mbox_remove_fault(s, "journal");
		if (mbox_journal_run(&j) != 1 || fstat(m->fd, &st) == -1)
			return mbox_remove_fault(s, "rewrite");
		count -= (size_t)known;
		end = (uint64_t)st.st_size;
		if (count > 0) {
			m->shortened = kept[count - 1].to;
			kept[count - 1].to = end;
		}
	}
	return STORE_OK;
}

/* Under the locks.  `now` is given up before the journal is made, which may need its room on the
 * disk. */
static enum store_result
mbox_rewrite(struct store *s, struct mbox_table *now, const uint64_t *marked)
{
	struct mbox *m = s->data;
	struct mbox_range *kept = NULL;
	enum store_result result;
	uint64_t cut = 0, size = now->size;
	ssize_t n = mbox_kept(m, now, s->count, marked, NULL, 0, &cut);

	if (n != -1 && (kept = calloc((size_t)n + 1, sizeof(*kept))) != NULL)
		n = mbox_kept(m, now, s->count, marked, kept, (size_t)n, &cut);
	if (kept == NULL || n == -1) {
		free(kept);
		return mbox_remove_fault(s, "ranges");
	}
	mbox_table_free(now);
	result = mbox_take_out(s, cut, size, kept, (size_t)n);
	if (result == STORE_OK)
		mbox_keep_newness(m);
	free(kept);
	return result;
}

/* The file is still what was listed, and perhaps new mail. */
static enum store_result
mbox_check_same(const struct store *s, struct mbox_table *now)
{
	struct mbox *m = s->data;
	int same = mbox_table_continues(&m->table, now);

	if (same == 0)
		log_error(s->id, "mbox %s: changed by another program: nothing removed", s->path);
	if (same == -1)
		return fault_log(s, NULL, "table of messages");
	return same == 1 ? STORE_OK : STORE_TEMP;
}

/* Under the locks. */
static enum store_result
mbox_update(struct store *s, const uint64_t *marked)
{
	struct mbox *m = s->data;
	struct mbox_table now = {0};
	enum store_result result = mbox_renew(s, m);

	if (result == STORE_OK)
		result = mbox_scan(s, &now);
	if (result == STORE_OK)
		result = mbox_check_same(s, &now);
	if (result == STORE_OK)
		result = mbox_rewrite(s, &now, marked);
	mbox_table_free(&now);
	return result;
}

/* Take the locks, and rewrite the file without those that are marked. */
static enum store_result
mbox_remove_marked(struct store *s, const uint64_t *marked)
{
	struct mbox *m = s->data;
	struct digests all = mbox_digests(m);
	enum store_result result;

	if (m->read_only) {
		errno = EROFS;
		return fault_log(s, NULL, "remove");
	}
	if ((result = mbox_guard_take(&m->guard, UPDATE_WAIT_MS)) != STORE_OK)
		return result;
	result = mbox_update(s, marked);
	if (result == STORE_OK && duplicates_keep(m->state_fd, mbox_state_name(m, "uids").text,
						  &all, m->numbers, marked) == -1)
		log_warn(s->id, "mbox %s: equal messages may get other unique-ids: %s", s->path,
			 strerror(errno));
	mbox_guard_drop(&m->guard);
	return result;
}

/* All of them or none; on a full disk those at the end alone, perhaps. */
static enum store_result
mbox_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	struct mbox *m = s->data;
	enum store_result result = mbox_remove_marked(s, marked);
	const struct mbox_entry *e;

	*removed = 0;
	for (size_t i = 0; i < s->count; i++) {
		e = result != STORE_OK ? mbox_message(m, i) : NULL;
		if (result != STORE_OK && (e == NULL || e->start < m->shortened))
			store_unmark(marked, i);
		*removed += store_is_marked(marked, i);
	}
	return result;
}

static void
mbox_close(struct store *s)
{
	struct mbox *m = s->data;

	if (m == NULL)
		return;
	store_close_fd(m->lock_fd);
	store_close_fd(m->state_fd);
	store_close_fd(m->spare_fd);
	store_close_fd(m->fd);
	store_close_fd(m->place.dir_fd);
	mbox_table_free(&m->table);
	free(m->numbers);
	s->data = NULL;
	s->confine_count = 0;
}

const struct store_backend store_mbox = {
    .name = "mbox",
    .open = mbox_open,
    .lock = mbox_lock,
    .list = mbox_list,
    .uid = mbox_uid,
    .size = mbox_size,
    .get = mbox_get,
    .keep_size = mbox_keep_size,
    .remove = mbox_remove,
    .close = mbox_close,
};
