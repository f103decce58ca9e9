#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/maildir_list.h"
#include "worker/store/maildir_name.h"
#include "worker/store/natural.h"
#include "worker/store/scan.h"

enum {
	SCAN_TRIES = 4, /* readings of cur/ while others keep changing it */
	FIRST_ENTRIES = 256,
	FIRST_ARENA = 16384
};

void
maildir_list_init(struct maildir_list *l, int new_fd, int cur_fd)
{
	*l = (struct maildir_list){.fd = {new_fd, cur_fd}};
}

void
maildir_list_free(struct maildir_list *l)
{
	free(l->entries);
	free(l->arena);
	maildir_list_init(l, -1, -1);
}

/* Append octets to the arena; their place, or -1 with errno. */
static int64_t
arena_put(struct maildir_list *l, const void *octets, size_t len)
{
	size_t at = l->arena_len;

	if (len > l->arena_room - at) {
		size_t room = l->arena_room > 0 ? 2 * l->arena_room : FIRST_ARENA;
		char *grown;

		if (at > UINT32_MAX - len) {
			errno = EOVERFLOW;
			return -1;
		}
		if ((grown = realloc(l->arena, room)) == NULL)
			return -1;
		l->arena = grown;
		l->arena_room = room;
	}
	memcpy(l->arena + at, octets, len);
	l->arena_len += len;
	return (int64_t)at;
}

static int
list_add(struct maildir_list *l, const char *name, enum maildir_dir dir)
{
	size_t len = strlen(name);
	int64_t at;

	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (l->count == l->room) {
		size_t room = l->room > 0 ? 2 * l->room : FIRST_ENTRIES;
		struct maildir_entry *grown = realloc(l->entries, room * sizeof(*grown));

		if (grown == NULL)
			return -1;
		l->entries = grown;
		l->room = room;
	}
	if ((at = arena_put(l, name, len + 1)) == -1)
		return -1;
	l->entries[l->count++] =
	    (struct maildir_entry){.seconds = maildir_seconds(name),
				   .name = (uint32_t)at,
				   .flags = dir == MAILDIR_CUR ? ENTRY_IN_CUR : 0};
	return 0;
}

/* A place to add the names of a directory to. */
struct adding {
	struct maildir_list *list;
	enum maildir_dir dir;
};

static int
add_name(void *arg, const char *name)
{
	struct adding *a = arg;

	return maildir_name_counts(name) ? list_add(a->list, name, a->dir) : 0;
}

/* Read one directory whole. */
static int
scan_dir(struct maildir_list *l, enum maildir_dir dir, bool again)
{
	struct adding a = {l, dir};

	if (again && lseek(l->fd[dir], 0, SEEK_SET) == -1)
		return -1;
	return scan_files(l->fd[dir], add_name, &a);
}

static bool
times_equal(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*
 * Names of both directories.  new/ before cur/, so that a message on its way
 * there is seen at least once.  A file renamed within cur/ while that is read
 * may be missed: then it is read again.
 */
static int
scan_dirs(struct maildir_list *l)
{
	struct stat before, after;
	size_t count, arena_len;

	if (scan_dir(l, MAILDIR_NEW, l->scanned) == -1)
		return -1;
	count = l->count;
	arena_len = l->arena_len;
	if (fstat(l->fd[MAILDIR_CUR], &before) == -1)
		return -1;
	for (int try = 0; try < SCAN_TRIES; try++) {
		if (scan_dir(l, MAILDIR_CUR, l->scanned) == -1 ||
		    fstat(l->fd[MAILDIR_CUR], &after) == -1)
			return -1;
		l->scanned = true;
		l->quiet = times_equal(&before, &after);
		if (l->quiet)
			break;
		before = after;
		if (try + 1 < SCAN_TRIES) {
			l->count = count;
			l->arena_len = arena_len;
		}
	}
	return 0;
}

static int
base_compare(const struct maildir_list *la, const struct maildir_entry *a,
	     const struct maildir_list *lb, const struct maildir_entry *b)
{
	const char *x = la->arena + a->name, *y = lb->arena + b->name;

	if (a->seconds != b->seconds)
		return a->seconds < b->seconds ? -1 : 1;
	return natural_compare(x, maildir_base_len(x), y, maildir_base_len(y));
}

static int
entry_compare(const void *a, const void *b, void *arg)
{
	const struct maildir_list *l = arg;
	const struct maildir_entry *x = a, *y = b;
	int order = base_compare(l, x, l, y);

	if (order != 0)
		return order;
	order = strcmp(l->arena + x->name, l->arena + y->name);
	return order != 0 ? order : (x->flags > y->flags) - (x->flags < y->flags);
}

static bool
list_is_sorted(struct maildir_list *l)
{
	for (size_t i = 1; i < l->count; i++)
		if (entry_compare(&l->entries[i - 1], &l->entries[i], l) > 0)
			return false;
	return true;
}

uint64_t
maildir_entry_inode(const struct maildir_list *l, size_t i)
{
	const char *name = maildir_entry_name(l, i);
	uint64_t inode;

	memcpy(&inode, name + strlen(name) + 1, sizeof(inode));
	return inode;
}

/* Give an entry a name of its own in the arena, with an inode behind it if it is a twin. */
static int
entry_rename(struct maildir_list *l, struct maildir_entry *e, const char *name, uint64_t inode)
{
	char record[NAME_MAX + 1 + sizeof(inode)];
	size_t len = strlen(name) + 1;
	int64_t at;

	memcpy(record, name, len);
	if ((e->flags & ENTRY_TWIN) != 0) {
		memcpy(record + len, &inode, sizeof(inode));
		len += sizeof(inode);
	}
	if ((at = arena_put(l, record, len)) == -1)
		return -1;
	e->name = (uint32_t)at;
	return 0;
}

/* An entry with its inode, while names that occur twice are settled. */
struct twin {
	struct maildir_entry entry;
	uint64_t inode;
	dev_t device;
};

static int
twin_compare(const void *a, const void *b)
{
	const struct twin *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* Of `n` entries with one base name keep the files that there are, each one once: sets *n. */
static void
twins_look(struct maildir_list *l, struct twin *twins, size_t *n)
{
	size_t have = 0, kept = 0;
	struct stat st;

	for (size_t i = 0; i < *n; i++) {
		const struct maildir_entry *e = &twins[i].entry;
		int fd = l->fd[(e->flags & ENTRY_IN_CUR) != 0 ? MAILDIR_CUR : MAILDIR_NEW];

		if (fstatat(fd, l->arena + e->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			twins[have].inode = st.st_ino;
			twins[have].device = st.st_dev;
			twins[have++].entry = *e;
		}
	}
	qsort(twins, have, sizeof(twins[0]), twin_compare);
	for (size_t i = 0; i < have; i++)
		if (kept > 0 && twins[kept - 1].inode == twins[i].inode &&
		    twins[kept - 1].device == twins[i].device)
			twins[kept - 1].entry.flags |= ENTRY_LINKED;
		else
			twins[kept++] = twins[i];
	*n = kept;
}

/*
 * The `n` entries from `from` on have one base name.  What is left of them goes
 * to `to`, which advances.  The lowest inode keeps the base name as its
 * unique-id, the others get one made of name and inode: each stays the same
 * as long as these files are there.
 */
static int
twins_settle(struct maildir_list *l, size_t from, size_t n, size_t *to)
{
	struct twin *twins = calloc(n, sizeof(*twins));

	if (twins == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		twins[i].entry = l->entries[from + i];
	twins_look(l, twins, &n);
	for (size_t i = 0; i < n; i++) {
		struct maildir_entry *e = &twins[i].entry;
		char name[NAME_MAX + 1];

		if (n > 1) {
			e->flags |= i == 0 ? ENTRY_TWIN : ENTRY_TWIN | ENTRY_MADE_UID;
			memcpy(name, l->arena + e->name, strlen(l->arena + e->name) + 1);
			if (entry_rename(l, e, name, twins[i].inode) == -1) {
				free(twins);
				return -1;
			}
		}
		l->entries[(*to)++] = *e;
	}
	free(twins);
	return 0;
}

/* Find names that occur twice in the sorted list. */
static int
list_settle(struct maildir_list *l)
{
	size_t to = 0, n;

	for (size_t i = 0; i < l->count; i += n) {
		n = 1;
		while (i + n < l->count &&
		       base_compare(l, &l->entries[i], l, &l->entries[i + n]) == 0)
			n++;
		if (n == 1)
			l->entries[to++] = l->entries[i];
		else if (twins_settle(l, i, n, &to) == -1)
			return -1;
	}
	l->count = to;
	return 0;
}

int
maildir_list_scan(struct maildir_list *l)
{
	if (scan_dirs(l) == -1)
		return -1;
	if (!list_is_sorted(l))
		qsort_r(l->entries, l->count, sizeof(l->entries[0]), entry_compare, l);
	return list_settle(l);
}

/* Is entry j of the fresh list the file of entry i of the old one?  Base names are equal. */
static bool
entry_is_same(const struct maildir_list *old, size_t i, const struct maildir_list *now, size_t j)
{
	bool was_twin = (old->entries[i].flags & ENTRY_TWIN) != 0;
	bool is_twin = (now->entries[j].flags & ENTRY_TWIN) != 0;
	struct stat st;

	if (was_twin && is_twin)
		return maildir_entry_inode(old, i) == maildir_entry_inode(now, j);
	if (was_twin)
		return fstatat(maildir_entry_fd(now, j), maildir_entry_name(now, j), &st,
			       AT_SYMLINK_NOFOLLOW) == 0 &&
		       st.st_ino == maildir_entry_inode(old, i);
	/* Twins that came since: which of them it was cannot be told, so none is touched. */
	return !is_twin;
}

/* Take over name and directory. */
static int
entry_follow(struct maildir_list *old, size_t i, const struct maildir_list *now, size_t j)
{
	struct maildir_entry *e = &old->entries[i];
	const char *name = maildir_entry_name(now, j);
	uint64_t inode = (e->flags & ENTRY_TWIN) != 0 ? maildir_entry_inode(old, i) : 0;

	e->flags &= ~(uint32_t)(ENTRY_IN_CUR | ENTRY_GONE);
	e->flags |= now->entries[j].flags & (ENTRY_IN_CUR | ENTRY_LINKED);
	if (strcmp(maildir_entry_name(old, i), name) == 0)
		return 0;
	return entry_rename(old, e, name, inode);
}

/* Both lists are in the same order: go through them side by side. */
static int
list_merge(struct maildir_list *old, const struct maildir_list *now)
{
	size_t j = 0;

	for (size_t i = 0; i < old->count; i++) {
		bool base_there = false, found = false;
		size_t k;

		while (j < now->count &&
		       base_compare(now, &now->entries[j], old, &old->entries[i]) < 0)
			j++;
		for (k = j; k < now->count && !found &&
			    base_compare(now, &now->entries[k], old, &old->entries[i]) == 0;
		     k++) {
			base_there = true;
			if ((found = entry_is_same(old, i, now, k)) &&
			    entry_follow(old, i, now, k) == -1)
				return -1;
		}
		/* A twin is known by its inode; without one an unclear case is left alone. */
		if (!found && now->quiet &&
		    (!base_there || (old->entries[i].flags & ENTRY_TWIN) != 0))
			old->entries[i].flags |= ENTRY_GONE;
	}
	return 0;
}

int
maildir_list_refresh(struct maildir_list *l)
{
	struct maildir_list now;
	int result;

	maildir_list_init(&now, l->fd[MAILDIR_NEW], l->fd[MAILDIR_CUR]);
	now.scanned = true;
	result = maildir_list_scan(&now);
	if (result == 0)
		result = list_merge(l, &now);
	maildir_list_free(&now);
	return result;
}
