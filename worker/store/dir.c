/*
 * A directory with one file a message, in natural order of the names.  Names
 * that begin with "." are not messages.  Sizes and unique-ids (SHA-256 of what
 * is stored, inflated) come from one reading of all files, when the first is
 * asked for.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/digest.h"
#include "worker/store/absent.h"
#include "worker/store/fault.h"
#include "worker/store/grow.h"
#include "worker/store/lock.h"
#include "worker/store/natural.h"
#include "worker/store/path.h"
#include "worker/store/scan.h"
#include "worker/store/store.h"
#include "worker/store/duplicates.h"
#include "worker/store/unpack.h"

#define LOCK_FILE    ".pop3d-lock"
#define UIDS_FILE    ".pop3d-uids"
#define HISTORY_FILE ".pop3d-history"

/* A message, and by what the file is known to be the one that was listed. */
struct dir_file {
	char *name;
	uint64_t octets; /* on the wire */
	bool refused;	 /* it cannot be inflated */
	ino_t inode;
	off_t size;
	struct timespec mtime;
};

struct dir {
	int fd;	     /* carries the flock; -1: there is none, and it counts as empty */
	int lock_fd; /* -1: none could be made */
	struct dir_file *files;
	size_t count, room;
	bool measured;			  /* octets, digests and numbers are known */
	uint8_t (*digests)[STORE_DIGEST]; /* of each file */
	uint32_t *numbers;		  /* among those with equal digests */
};

static enum store_result
dir_open(struct store *s, bool missing_is_empty)
{
	struct dir *d = store_room(s, sizeof(*d));

	d->lock_fd = -1;
	d->fd = path_open_own(s->path);
	if (d->fd == -1)
		return errno == ENOENT && missing_is_empty ? absent_judge(s)
							   : fault_log(s, NULL, "open");
	store_confine(s, d->fd, SANDBOX_WRITE);
	store_keep_history(s, d->fd, HISTORY_FILE);
	return STORE_OK;
}

static enum store_result
dir_lock(struct store *s)
{
	struct dir *d = s->data;

	return d->fd == -1 ? STORE_OK : lock_directory(s, d->fd, LOCK_FILE, &d->lock_fd);
}

/* Add a file to the list; one that vanishes meanwhile is none. */
static int
dir_add(void *arg, const char *name)
{
	struct dir *d = arg;
	struct stat st;
	char *copy;

	if (name[0] == '.')
		return 0;
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : -1;
	if (grow(&d->files, &d->room, d->count + 1, sizeof(*d->files)) == -1 ||
	    (copy = strdup(name)) == NULL)
		return -1;
	d->files[d->count++] = (struct dir_file){
	    .name = copy, .inode = st.st_ino, .size = st.st_size, .mtime = st.st_mtim};
	return 0;
}

static int
file_compare(const void *a, const void *b)
{
	const struct dir_file *x = a, *y = b;

	return natural_compare(x->name, strlen(x->name), y->name, strlen(y->name));
}

static enum store_result
dir_list(struct store *s)
{
	struct dir *d = s->data;

	s->count = 0;
	s->octets = d->fd == -1 ? 0 : STORE_NO_SIZE;
	if (d->fd == -1)
		return STORE_OK;
	if (scan_files(d->fd, dir_add, d) == -1)
		return fault_log(s, NULL, "read");
	if (d->count > 0)
		qsort(d->files, d->count, sizeof(d->files[0]), file_compare);
	s->count = d->count;
	return STORE_OK;
}

static bool
file_is_same(const struct dir_file *f, const struct stat *st)
{
	return f->inode == st->st_ino && f->size == st->st_size &&
	       f->mtime.tv_sec == st->st_mtim.tv_sec && f->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

/* Another file under the name, or another text in it, is not the message that was listed. */
static enum store_result
dir_get(struct store *s, size_t i, struct store_reader *r)
{
	struct dir *d = s->data;
	enum store_result result = store_open_file(d->fd, d->files[i].name, r);
	struct stat st;

	if (result != STORE_OK)
		return result;
	if (fstat(r->fd, &st) == -1)
		result = store_judge(errno);
	else if (!file_is_same(&d->files[i], &st))
		result = STORE_MISSING;
	if (result != STORE_OK)
		store_reader_end(r);
	else
		unpack_watch(r);
	return result;
}

/* Replaces the text of a message that cannot be read. */
static void
digest_of_name(const char *name, uint8_t digest[STORE_DIGEST])
{
	SHA2_CTX sha;

	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)name, strlen(name) + 1);
	SHA256Final(digest, &sha);
}

/* Measure message i, which is open.  One that cannot be inflated counts what is stored. */
static enum store_result
dir_measure_open(struct store *s, size_t i, struct store_reader *r)
{
	struct dir *d = s->data;
	struct dir_file *f = &d->files[i];

	if (store_measure(r, &f->octets, d->digests[i]) == 0)
		return STORE_OK;
	if (store_judge(errno) == STORE_TEMP)
		return STORE_TEMP;
	log_warn(s->id, "dir %s: %s: %s: its size is told as %" PRIu64, s->path, f->name,
		 store_reader_why(r), r->end);
	f->refused = true;
	unpack_stop(r);
	if (store_measure(r, &f->octets, d->digests[i]) == -1)
		return STORE_TEMP;
	f->octets = r->end;
	return STORE_OK;
}

/* Read message i.  One that has gone or may not be read counts 0 octets. */
static enum store_result
dir_measure_one(struct store *s, size_t i)
{
	struct dir *d = s->data;
	struct dir_file *f = &d->files[i];
	struct store_reader r;
	enum store_result result = dir_get(s, i, &r);

	if (result == STORE_OK) {
		result = dir_measure_open(s, i, &r);
		store_reader_end(&r);
	} else if (result == STORE_MISSING || result == STORE_PERM) {
		log_warn(s->id, "dir %s: %s %s: its size is told as 0", s->path, f->name,
			 result == STORE_MISSING ? "vanished" : "cannot be read");
		f->octets = 0;
		digest_of_name(f->name, d->digests[i]);
		result = STORE_OK;
	}
	return result;
}

static const uint8_t *
dir_digest(void *arg, size_t i)
{
	const struct dir *d = arg;

	return d->digests[i];
}

static struct digests
dir_digests(struct dir *d)
{
	return (struct digests){.count = d->count, .get = dir_digest, .arg = d};
}

/* Read all messages, once. */
static enum store_result
dir_measure(struct store *s)
{
	struct dir *d = s->data;
	enum store_result result;
	struct digests all;

	if (d->measured)
		return STORE_OK;
	if (d->digests == NULL)
		d->digests = calloc(d->count, sizeof(d->digests[0]));
	if (d->digests == NULL)
		return fault_log(s, NULL, "digests");
	for (size_t i = 0; i < d->count; i++)
		if ((result = dir_measure_one(s, i)) != STORE_OK)
			return result;
	all = dir_digests(d);
	if ((d->numbers = duplicates_number(d->fd, UIDS_FILE, &all)) == NULL)
		return fault_log(s, NULL, "numbers of equal messages");
	d->measured = true;
	return STORE_OK;
}

/* With an unreadable disk the unique-id is one that no message will have again. */
static void
dir_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	struct dir *d = s->data;
	uint8_t digest[STORE_DIGEST];

	if (dir_measure(s) == STORE_OK) {
		digest_uid(d->digests[i], d->numbers[i], out);
		return;
	}
	digest_of_name(d->files[i].name, digest);
	digest_uid(digest, 1, out);
}

static enum store_result
dir_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	struct dir *d = s->data;
	enum store_result result;

	*octets = STORE_NO_SIZE;
	if (!d->measured && !look)
		return STORE_OK;
	if ((result = dir_measure(s)) == STORE_OK)
		*octets = d->files[i].octets;
	return result;
}

static bool
dir_refused(struct store *s, size_t i)
{
	const struct dir *d = s->data;

	return dir_measure(s) == STORE_OK && d->files[i].refused;
}

/* The digest is wanted too, so the message is read again with all others. */
static void
dir_keep_size(struct store *s, size_t i, uint64_t octets)
{
	(void)s;
	(void)i;
	(void)octets;
}

/* Remove one message.  Another file that has its name by now stays: the message has gone. */
static enum store_result
dir_remove_one(const struct dir *d, const struct dir_file *f)
{
	struct stat st;

	if (fstatat(d->fd, f->name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? STORE_OK : store_judge(errno);
	if (!S_ISREG(st.st_mode) || st.st_ino != f->inode)
		return STORE_OK;
	if (!file_is_same(f, &st)) { /* written to since */
		errno = EBUSY;
		return STORE_TEMP;
	}
	return unlinkat(d->fd, f->name, 0) == 0 || errno == ENOENT ? STORE_OK : store_judge(errno);
}

static enum store_result
dir_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	struct dir *d = s->data;
	struct digests all = dir_digests(d);
	enum store_result result = STORE_OK, one;

	*removed = 0;
	/* in a session without LIST and UIDL nobody has seen the numbers, but an earlier one has */
	if (dir_measure(s) != STORE_OK ||
	    duplicates_keep(d->fd, UIDS_FILE, &all, d->numbers, marked) == -1)
		log_warn(s->id, "dir %s: equal messages may get other unique-ids", s->path);
	for (size_t i = 0; i < s->count; i++) {
		if (!store_is_marked(marked, i))
			continue;
		one = dir_remove_one(d, &d->files[i]);
		result = store_worse(result, one);
		if (one == STORE_OK) {
			(*removed)++;
			continue;
		}
		log_error(s->id, "dir %s: cannot remove %s: %s", s->path, d->files[i].name,
			  strerror(errno));
		store_unmark(marked, i);
	}
	one = store_sync_directory(d->fd);
	if (one != STORE_OK)
		log_error(s->id, "dir %s: fsync: %s", s->path, strerror(errno));
	return store_worse(result, one);
}

static void
dir_close(struct store *s)
{
	struct dir *d = s->data;

	if (d == NULL)
		return;
	if (d->lock_fd != -1)
		close(d->lock_fd);
	if (d->fd != -1)
		close(d->fd);
	for (size_t i = 0; i < d->count; i++)
		free(d->files[i].name);
	free(d->files);
	free(d->digests);
	free(d->numbers);
	s->data = NULL;
	s->confine_count = 0;
}

const struct store_backend store_dir = {
    .name = "dir",
    .open = dir_open,
    .lock = dir_lock,
    .list = dir_list,
    .uid = dir_uid,
    .size = dir_size,
    .get = dir_get,
    .keep_size = dir_keep_size,
    .refused = dir_refused,
    .remove = dir_remove,
    .close = dir_close,
};
