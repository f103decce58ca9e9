/*
 * UPDATE of a Maildir.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/maildir_priv.h"
#include "worker/store/maildir_quota.h"

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

/* The next session shall not think that others did it. */
static enum store_result
note_removed(struct maildir *m, size_t i, struct maildir_message *message)
{
	message->flags |= ENTRY_REMOVED;
	(void)index_set_message(&m->index, i, message, false);
	return STORE_OK;
}

/* Remove one message, under whatever name it has now.  OK, also if it has gone already. */
static enum store_result
remove_one(struct store *s, size_t i, struct removal *r, struct maildir_message *message)
{
	struct maildir *m = s->data;
	enum store_result result;
	bool ours = false;

	for (int try = 0; try < FIND_TRIES; try++) {
		int dir = maildir_dir(message);

		if (unlink_counted(r, m->place.dirs[dir], message->name) == 0) {
			r->touched[dir] = ours = true;
			/* only a second name of the same file could bring it back */
			if ((message->flags & ENTRY_LINKED) == 0)
				return note_removed(m, i, message);
		} else if (errno != ENOENT) {
			return store_judge(errno);
		}
		result = maildir_look_again(s, i, message);
		if (result == STORE_MISSING)
			return ours ? note_removed(m, i, message) : STORE_OK;
		if (result != STORE_OK)
			return result;
	}
	return STORE_TEMP;
}

/* Make removals durable. */
static enum store_result
sync_touched(const struct store *s, const struct removal *r)
{
	const struct maildir *m = s->data;
	enum store_result result = STORE_OK, one;

	for (int dir = 0; dir < MAILDIR_DIRS; dir++) {
		if (!r->touched[dir])
			continue;
		one = store_sync_directory(m->place.dirs[dir]);
		if (one != STORE_OK)
			log_error(s->id, "maildir %s: fsync: %s", s->path, strerror(errno));
		result = store_worse(result, one);
	}
	return result;
}

enum store_result
maildir_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	struct maildir *m = s->data;
	enum store_result result = STORE_OK, one;
	struct removal r = {.quota_fd = maildir_quota_open(m->place.dir_fd)};
	struct maildir_message message;

	*removed = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (!store_is_marked(marked, i))
			continue;
		if (maildir_message(s, i, &message)) {
			/* what we change is looked at next time, whatever the clock says */
			if (!m->is_unsettled)
				(void)index_unsettle(&m->index);
			m->is_unsettled = true;
			one = remove_one(s, i, &r, &message);
			if (one != STORE_OK)
				log_error(s->id, "maildir %s: cannot remove %s: %s", s->path,
					  message.name, strerror(errno));
		} else {
			one = STORE_TEMP;
		}
		result = store_worse(result, one);
		if (one == STORE_OK)
			(*removed)++;
		else
			store_unmark(marked, i);
	}
	result = store_worse(result, sync_touched(s, &r));
	maildir_quota_close(r.quota_fd, r.octets, r.count);
	return result;
}
