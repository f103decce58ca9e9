/*
 * The archive of a run of pop3d --serve.  Which messages there are, and what is
 * known of them, stands in the table that came with the grant; nothing but the
 * octets of a message is read from the archive itself.  What is deleted is hidden
 * from later sessions of the run by a flag, and the archive stays as it was.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/archive.h"
#include "worker/store/lock.h"
#include "worker/store/mbox_table.h"
#include "worker/store/unpack.h"

struct shown {
	struct archive archive;
	struct mbox_style style;
	int fd;		/* the directory, or the mbox */
	uint32_t *live; /* of each message of this session its place in the table */
};

static enum store_result
archive_fail(const struct store *s, const char *what)
{
	int error = errno;

	log_error(s->id, "archive %s: %s: %s", s->path, what, strerror(error));
	return store_judge(error);
}

static const struct archive_entry *
entry_of(const struct store *s, size_t i)
{
	const struct shown *v = s->data;

	return &v->archive.entries[v->live[i]];
}

static enum store_result
archive_open(struct store *s, bool missing_is_empty)
{
	struct shown *v = calloc(1, sizeof(*v));
	const struct archive_head *h;

	(void)missing_is_empty;
	if (v == NULL)
		return STORE_TEMP;
	v->fd = -1;
	v->style = mbox_style_of(s->mbox_format, s->mbox_split);
	s->data = v;
	if (archive_map(&v->archive, s->given[0], s->given[1]) == -1)
		return archive_fail(s, "table");
	h = v->archive.head;
	if ((v->fd = archive_open_file(AT_FDCWD, s->path)) == -1)
		return archive_fail(s, "open");
	if (h->kind != ARCHIVE_MBOX)
		store_confine(s, v->fd,
			      (h->options & ARCHIVE_APPLY_DELETES) != 0 ? SANDBOX_WRITE
									: SANDBOX_READ);
	return STORE_OK;
}

/* An archive on a file system without locks is not written all the same. */
static enum store_result
archive_lock(struct store *s)
{
	const struct shown *v = s->data;

	lock_note(s, v->fd);
	if ((v->archive.head->options & ARCHIVE_NO_LOCK) == 0 &&
	    flock(v->fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
		return STORE_IN_USE;
	return STORE_OK;
}

static enum store_result
archive_list(struct store *s)
{
	struct shown *v = s->data;
	size_t count = (size_t)v->archive.head->count;

	if ((v->live = calloc(count + 1, sizeof(v->live[0]))) == NULL)
		return STORE_TEMP;
	for (size_t i = 0; i < count; i++)
		if ((archive_flags(&v->archive, i) & ARCHIVE_DELETED) == 0) {
			s->octets += v->archive.entries[i].octets;
			v->live[s->count++] = (uint32_t)i;
		}
	return STORE_OK;
}

void
archive_uid(const struct archive_entry *e, char out[STORE_UID_SIZE])
{
	for (size_t k = 0; k < ARCHIVE_DIGEST; k++)
		snprintf(out + 2 * k, 3, "%02x", e->digest[k]);
	if (e->duplicate > 1)
		snprintf(out + 2 * ARCHIVE_DIGEST, STORE_UID_SIZE - 2 * ARCHIVE_DIGEST, "-%u",
			 e->duplicate);
}

static void
archive_uid_of(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	archive_uid(entry_of(s, i), out);
}

static enum store_result
archive_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	(void)look;
	*octets = entry_of(s, i)->octets;
	return STORE_OK;
}

static enum store_result
archive_changed(const struct store *s, const char *what)
{
	log_error(s->id, "archive %s: %s has changed since the start", s->path, what);
	return STORE_PERM;
}

/* A message of an mbox is read through first: nothing else tells whether it is still what it was.
 */
static enum store_result
archive_get_part(const struct store *s, const struct archive_entry *e, struct store_reader *r)
{
	struct shown *v = s->data;
	uint64_t octets;

	mbox_message_read(&v->style, v->fd, e->start, e->end, e->shown, r);
	if (store_measure(r, &octets, NULL) == -1)
		return archive_changed(s, "it");
	mbox_message_read(&v->style, v->fd, e->start, e->end, e->shown, r);
	return STORE_OK;
}

static enum store_result
archive_get(struct store *s, size_t i, struct store_reader *r)
{
	const struct shown *v = s->data;
	const struct archive_entry *e = entry_of(s, i);
	const char *name = archive_name(&v->archive, v->live[i]);
	struct stat st;

	if (v->archive.head->kind == ARCHIVE_MBOX)
		return archive_get_part(s, e, r);
	*r = (struct store_reader){.pos = e->start, .end = e->end};
	if ((r->fd = archive_open_file(v->fd, name)) == -1)
		return errno == ENOENT ? STORE_MISSING : archive_fail(s, name);
	unpack_watch(r);
	if (fstat(r->fd, &st) == 0 && (uint64_t)st.st_size == e->end)
		return STORE_OK;
	store_reader_end(r);
	return archive_changed(s, name);
}

static void
archive_keep_size(struct store *s, size_t i, uint64_t octets)
{
	(void)s, (void)i, (void)octets;
}

static void
archive_fetched(struct store *s, size_t i)
{
	const struct shown *v = s->data;

	archive_set_flag(&v->archive, v->live[i], ARCHIVE_FETCHED);
}

/* What was unlinked is to stay so. */
static enum store_result
sync_directories(const struct store *s)
{
	static const char *const names[ARCHIVE_KINDS][2] = {
	    [ARCHIVE_MAILDIR] = {"new", "cur"},
	    [ARCHIVE_DIRECTORY] = {".", NULL},
	    [ARCHIVE_MH] = {".", NULL},
	    [ARCHIVE_CYRUS] = {".", NULL},
	};
	const struct shown *v = s->data;
	enum store_result result = STORE_OK;

	for (size_t i = 0; i < 2 && names[v->archive.head->kind][i] != NULL; i++) {
		int fd = openat(v->fd, names[v->archive.head->kind][i],
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd == -1 || (fsync(fd) == -1 && errno != EINVAL))
			result = archive_fail(s, "fsync");
		if (fd != -1)
			close(fd);
	}
	return result;
}

static enum store_result
archive_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	const struct shown *v = s->data;
	bool apply = (v->archive.head->options & ARCHIVE_APPLY_DELETES) != 0;
	enum store_result result = STORE_OK;

	*removed = 0;
	for (size_t i = 0; i < s->count; i++) {
		const char *name = archive_name(&v->archive, v->live[i]);

		if (!store_is_marked(marked, i))
			continue;
		if (apply && unlinkat(v->fd, name, 0) == -1 && errno != ENOENT) {
			result = archive_fail(s, name);
			store_unmark(marked, i);
			continue;
		}
		archive_set_flag(&v->archive, v->live[i], ARCHIVE_DELETED);
		++*removed;
	}
	return apply && result == STORE_OK ? sync_directories(s) : result;
}

static void
archive_close(struct store *s)
{
	struct shown *v = s->data;

	if (v->fd != -1)
		close(v->fd);
	free(v->live);
	free(v);
	s->data = NULL;
}

const struct store_backend store_archive = {
    .name = ARCHIVE_STORE,
    .open = archive_open,
    .lock = archive_lock,
    .list = archive_list,
    .uid = archive_uid_of,
    .size = archive_size,
    .get = archive_get,
    .keep_size = archive_keep_size,
    .fetched = archive_fetched,
    .remove = archive_remove,
    .close = archive_close,
};
