/*
 * Maildir: new/ and cur/ of one directory, maildir(5).  Every file is opened
 * relative to a directory descriptor, without following a link, and must be a
 * regular file.  Sizes are found when they are first asked for.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/lock.h"
#include "worker/store/maildir_list.h"
#include "worker/store/maildir_quota.h"
#include "worker/store/maildir_name.h"
#include "worker/store/store.h"

enum { FIND_TRIES = 4 /* looks for a message that others keep renaming */ };

#define LOCK_FILE "pop3d-lock"

struct maildir {
	int dir_fd;  /* carries the flock; -1: there is no Maildir, and it counts as empty */
	int lock_fd; /* pop3d-lock; -1: none could be had */
	int sub_fd[MAILDIR_DIRS];
	struct maildir_list list;
	uint64_t *sizes; /* on the wire; NULL: none is known yet */
};

/* Log what could not be done with the mailbox, and judge it. */
static enum store_result
maildir_fail(const struct store *s, const char *what)
{
	int error = errno;

	log_error(s->id, "maildir %s: %s: %s", s->path, what, strerror(error));
	return store_judge(error);
}

static enum store_result
maildir_open(struct store *s, bool missing_is_empty)
{
	struct maildir *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return STORE_TEMP;
	m->dir_fd = m->lock_fd = m->sub_fd[MAILDIR_NEW] = m->sub_fd[MAILDIR_CUR] = -1;
	s->data = m;
	m->dir_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir_fd == -1) {
		if (errno == ENOENT && missing_is_empty && store_parent_exists(s->path))
			return STORE_OK;
		return maildir_fail(s, "open");
	}
	store_confine(s, m->dir_fd, SANDBOX_WRITE);
	return STORE_OK;
}

static enum store_result
maildir_lock(struct store *s)
{
	struct maildir *m = s->data;

	return m->dir_fd == -1 ? STORE_OK : lock_directory(s, m->dir_fd, LOCK_FILE, &m->lock_fd);
}

static enum store_result
maildir_list(struct store *s)
{
	static const char *const names[MAILDIR_DIRS] = {"new", "cur"};
	struct maildir *m = s->data;

	s->count = 0;
	s->octets = m->dir_fd == -1 ? 0 : STORE_NO_SIZE;
	if (m->dir_fd == -1)
		return STORE_OK;
	for (int i = 0; i < MAILDIR_DIRS; i++) {
		m->sub_fd[i] =
		    openat(m->dir_fd, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (m->sub_fd[i] == -1)
			return maildir_fail(s, names[i]);
	}
	maildir_list_init(&m->list, m->sub_fd[MAILDIR_NEW], m->sub_fd[MAILDIR_CUR]);
	if (maildir_list_scan(&m->list) == -1)
		return maildir_fail(s, "read");
	s->count = m->list.count;
	return STORE_OK;
}

static void
maildir_tell_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	struct maildir *m = s->data;
	const char *name = maildir_entry_name(&m->list, i);
	size_t len = maildir_base_len(name);

	if ((m->list.entries[i].flags & ENTRY_MADE_UID) != 0)
		maildir_twin_uid(name, len, maildir_entry_inode(&m->list, i), out);
	else
		maildir_uid(name, len, out);
}

/* The message's file was not where it was.  OK: look again. */
static enum store_result
maildir_look_again(struct maildir *m, size_t i)
{
	if ((m->list.entries[i].flags & ENTRY_GONE) != 0)
		return STORE_MISSING;
	if (maildir_list_refresh(&m->list) == -1)
		return store_judge(errno);
	return (m->list.entries[i].flags & ENTRY_GONE) != 0 ? STORE_MISSING : STORE_OK;
}

static enum store_result
maildir_get(struct store *s, size_t i, struct store_reader *r)
{
	struct maildir *m = s->data;
	enum store_result result;

	for (int try = 0; try < FIND_TRIES; try++) {
		result = store_open_file(maildir_entry_fd(&m->list, i),
					 maildir_entry_name(&m->list, i), r);
		if (result != STORE_MISSING || (result = maildir_look_again(m, i)) != STORE_OK)
			return result;
	}
	return STORE_TEMP; /* it is renamed faster than we can look */
}

static enum store_result
maildir_measure(struct store *s, size_t i, uint64_t *octets)
{
	const struct maildir *m = s->data;
	enum store_result result;
	struct store_reader r;

	*octets = 0;
	result = maildir_get(s, i, &r);
	if (result == STORE_MISSING || result == STORE_PERM) {
		log_warn(s->id, "maildir %s: %s %s: its size is told as 0", s->path,
			 maildir_entry_name(&m->list, i),
			 result == STORE_MISSING ? "vanished" : "cannot be read");
		return STORE_OK;
	}
	if (result != STORE_OK)
		return result;
	if (store_measure(&r, octets, NULL) == -1)
		result = STORE_TEMP;
	store_reader_end(&r);
	return result;
}

/* The table of sizes, made on first use.  NULL: no memory. */
static uint64_t *
maildir_sizes(struct store *s)
{
	struct maildir *m = s->data;

	if (m->sizes == NULL && (m->sizes = malloc(s->count * sizeof(*m->sizes))) != NULL)
		memset(m->sizes, 0xff, s->count * sizeof(*m->sizes)); /* STORE_NO_SIZE each */
	return m->sizes;
}

static enum store_result
maildir_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	struct maildir *m = s->data;
	enum store_result result;

	*octets = m->sizes != NULL ? m->sizes[i] : STORE_NO_SIZE;
	if (*octets != STORE_NO_SIZE || !look)
		return STORE_OK;
	if (maildir_sizes(s) == NULL)
		return STORE_TEMP;
	result = maildir_measure(s, i, octets);
	if (result == STORE_OK)
		m->sizes[i] = *octets;
	return result;
}

static void
maildir_keep_size(struct store *s, size_t i, uint64_t octets)
{
	uint64_t *sizes = maildir_sizes(s);

	if (sizes != NULL)
		sizes[i] = octets;
}

/* What an UPDATE has done so far. */
struct removal {
	bool touched[MAILDIR_DIRS];
	int quota_fd; /* maildirsize; -1: nobody counts */
	uint64_t octets;
	size_t count; /* of our own removals: who removed the others has counted them */
};

/* unlinkat(2), and the count of what it takes away. */
static int
unlink_counted(struct removal *r, int fd, const char *name)
{
	struct stat st = {.st_size = 0};

	if (r->quota_fd != -1 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	if (unlinkat(fd, name, 0) == -1)
		return -1;
	r->octets += (uint64_t)st.st_size;
	r->count++;
	return 0;
}

/* Remove one message, under whatever name it has now.  OK, also if it has gone already. */
static enum store_result
remove_one(struct maildir *m, size_t i, struct removal *r)
{
	enum store_result result;

	for (int try = 0; try < FIND_TRIES; try++) {
		const struct maildir_entry *e = &m->list.entries[i];
		int dir = (e->flags & ENTRY_IN_CUR) != 0 ? MAILDIR_CUR : MAILDIR_NEW;

		if (unlink_counted(r, m->sub_fd[dir], maildir_entry_name(&m->list, i)) == 0) {
			r->touched[dir] = true;
			/* only a second name of the same file could bring it back */
			if ((e->flags & ENTRY_LINKED) == 0)
				return STORE_OK;
		} else if (errno != ENOENT) {
			return store_judge(errno);
		}
		result = maildir_look_again(m, i);
		if (result != STORE_OK)
			return result == STORE_MISSING ? STORE_OK : result;
	}
	return STORE_TEMP;
}

static enum store_result
maildir_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	struct maildir *m = s->data;
	enum store_result result = STORE_OK, one;
	struct removal r = {.quota_fd = maildir_quota_open(m->dir_fd)};

	*removed = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (!store_is_marked(marked, i))
			continue;
		one = remove_one(m, i, &r);
		result = store_worse(result, one);
		if (one == STORE_OK) {
			(*removed)++;
			continue;
		}
		log_error(s->id, "maildir %s: cannot remove %s: %s", s->path,
			  maildir_entry_name(&m->list, i), strerror(errno));
		store_unmark(marked, i);
	}
	for (int dir = 0; dir < MAILDIR_DIRS; dir++) {
		if (!r.touched[dir])
			continue;
		one = store_sync_directory(m->sub_fd[dir]);
		if (one != STORE_OK)
			log_error(s->id, "maildir %s: fsync: %s", s->path, strerror(errno));
		result = store_worse(result, one);
	}
	maildir_quota_close(r.quota_fd, r.octets, r.count);
	return result;
}

static void
maildir_close(struct store *s)
{
	struct maildir *m = s->data;

	if (m == NULL)
		return;
	for (int i = 0; i < MAILDIR_DIRS; i++)
		store_close_fd(m->sub_fd[i]);
	store_close_fd(m->lock_fd);
	store_close_fd(m->dir_fd);
	maildir_list_free(&m->list);
	free(m->sizes);
	free(m);
	s->data = NULL;
	s->confine_count = 0;
}

const struct store_backend store_maildir = {
    .name = "maildir",
    .open = maildir_open,
    .lock = maildir_lock,
    .list = maildir_list,
    .uid = maildir_tell_uid,
    .size = maildir_size,
    .get = maildir_get,
    .keep_size = maildir_keep_size,
    .remove = maildir_remove,
    .close = maildir_close,
};
