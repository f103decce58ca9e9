#include "config.h"

#include "worker/store/mbox_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/store/lock.h"

enum { PAUSE_MS = 50 /* between two attempts */ };

void
mbox_guard_init(struct mbox_guard *g, const struct store *s, const struct mbox_place *p, int fd,
		bool read_only)
{
	*g = (struct mbox_guard){.store = s, .fd = fd, .dir_fd = p->dir_fd, .read_only = read_only};
	(void)snprintf(g->dot, sizeof(g->dot), "%s.lock", p->name);
	(void)snprintf(g->temp, sizeof(g->temp), ".%s.pop3d-lock", p->name);
}

/* A lock of the open file: no other descriptor that this process closes can drop it. */
static int
fcntl_lock(const struct mbox_guard *g, short type)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(g->fd, F_OFD_SETLK, &range);
}

static enum store_result
fcntl_take(struct mbox_guard *g)
{
	g->has_fcntl = fcntl_lock(g, g->read_only ? F_RDLCK : F_WRLCK) == 0;
	if (g->has_fcntl || lock_is_unknown(errno))
		return STORE_OK;
	return errno == EAGAIN || errno == EACCES ? STORE_IN_USE : store_judge(errno);
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Do both names stand for one file, made by a session of ours? */
static bool
dot_is_ours(const struct mbox_guard *g, const struct stat *dot)
{
	struct stat st;

	return fstatat(g->dir_fd, g->temp, &st, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&st, dot);
}

/* No dot-lock can be made: the directory is not ours to write in, or the disk is full. */
static enum store_result
dot_refused(struct mbox_guard *g)
{
	if (!g->has_fcntl) {
		log_error(g->store->id, "mbox %s: cannot lock: %s", g->store->path,
			  strerror(errno));
		return STORE_PERM;
	}
	if (!g->told)
		log_info(g->store->id, "mbox %s: no dot-lock (%s): locked by fcntl alone",
			 g->store->path, strerror(errno));
	g->told = true;
	return STORE_OK;
}

/* The one that is there is nobody's any more: of a session of ours that died, since we have
 * the fcntl lock, or stale.  Who else thinks so waits for the fcntl lock. */
static bool
dot_is_dead(const struct mbox_guard *g, const struct stat *st)
{
	if (g->has_fcntl && dot_is_ours(g, st))
		return true;
	if (time(NULL) - st->st_mtime < MBOX_LOCK_STALE)
		return false;
	log_warn(g->store->id, "mbox %s: stale lock %s ignored", g->store->path, g->dot);
	return true;
}

static enum store_result
dot_take(struct mbox_guard *g)
{
	struct stat st;

	if (fstatat(g->dir_fd, g->dot, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!dot_is_dead(g, &st))
			return STORE_IN_USE;
		if (unlinkat(g->dir_fd, g->dot, 0) == -1 && errno != ENOENT)
			return dot_refused(g);
	}
	(void)unlinkat(g->dir_fd, g->temp, 0);
	if (mknodat(g->dir_fd, g->temp, S_IFREG | 0600, 0) == -1)
		return dot_refused(g);
	g->has_dot = linkat(g->dir_fd, g->temp, g->dir_fd, g->dot, 0) == 0;
	if (g->has_dot) {
		g->touched = (int64_t)clock_ms();
		return STORE_OK;
	}
	if (errno == EEXIST) {
		(void)unlinkat(g->dir_fd, g->temp, 0);
		return STORE_IN_USE;
	}
	(void)unlinkat(g->dir_fd, g->temp, 0);
	return dot_refused(g);
}

/* Both at once or none: waiting for the second while holding the first would stop whoever takes
 * them in the other order. */
static enum store_result
guard_try(struct mbox_guard *g)
{
	enum store_result result = fcntl_take(g);

	if (result == STORE_OK && !g->read_only)
		result = dot_take(g);
	if (result != STORE_OK)
		mbox_guard_drop(g);
	return result;
}

/* Which lock of another program stands in the way: its dot-lock, or a lock of a process here. */
static void
guard_tell(const struct mbox_guard *g)
{
	struct flock range = {.l_type = g->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	const struct store *s = g->store;
	char since[CLOCK_UTC_SIZE];
	struct stat st;

	if (!g->read_only && fstatat(g->dir_fd, g->dot, &st, AT_SYMLINK_NOFOLLOW) == 0)
		log_warn(s->id,
			 "mbox %s: locked by another program: by its file %s.lock, of uid %u, "
			 "since %s",
			 s->path, s->path, st.st_uid, clock_utc(since, st.st_mtime));
	else if (fcntl(g->fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK &&
		 range.l_pid > 0)
		log_warn(s->id, "mbox %s: locked by another program: by process %ld", s->path,
			 (long)range.l_pid);
	else
		log_warn(s->id, "mbox %s: locked by another program", s->path);
}

enum store_result
mbox_guard_take(struct mbox_guard *g, int64_t wait_ms)
{
	static const struct timespec pause = {0, PAUSE_MS * 1000000L};
	int64_t until = (int64_t)clock_ms() + wait_ms;
	enum store_result result;

	while ((result = guard_try(g)) == STORE_IN_USE && (int64_t)clock_ms() < until) {
		store_show(g->store, SCOREBOARD_WAIT_LOCK);
		(void)nanosleep(&pause, NULL);
	}
	store_show(g->store, SCOREBOARD_WAIT_DISK);
	if (result == STORE_IN_USE)
		guard_tell(g);
	return result;
}

void
mbox_guard_tick(void *arg)
{
	struct mbox_guard *g = arg;
	int64_t now;

	if (!g->has_dot || (now = (int64_t)clock_ms()) - g->touched < MBOX_LOCK_TOUCH * 1000)
		return;
	(void)utimensat(g->dir_fd, g->dot, NULL, AT_SYMLINK_NOFOLLOW);
	g->touched = now;
}

/* If the lock cannot be removed both names stay: by them the next session knows it for a dead one.
 * Somebody who took it for stale may have made his own, which is not ours to remove. */
static void
dot_drop(const struct mbox_guard *g)
{
	struct stat dot, temp;

	if (fstatat(g->dir_fd, g->dot, &dot, AT_SYMLINK_NOFOLLOW) == 0) {
		if (fstatat(g->dir_fd, g->temp, &temp, AT_SYMLINK_NOFOLLOW) == -1 ||
		    (same_file(&temp, &dot) && unlinkat(g->dir_fd, g->dot, 0) == -1))
			return;
	} else if (errno != ENOENT)
		return;
	(void)unlinkat(g->dir_fd, g->temp, 0);
}

void
mbox_guard_drop(struct mbox_guard *g)
{
	if (g->has_dot)
		dot_drop(g);
	if (g->has_fcntl)
		(void)fcntl_lock(g, F_UNLCK);
	g->has_dot = g->has_fcntl = false;
}
