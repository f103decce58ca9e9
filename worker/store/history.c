#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/names.h"
#include "worker/store/history.h"
#include "worker/store/store.h"

enum { FILE_FLAGS = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC };

/* Open it, made if need be.  0 or -1 with errno. */
static int
history_open(struct history *h, const char *name, struct stat *st)
{
	h->fd = openat(h->dir_fd, name, O_RDWR | O_APPEND | FILE_FLAGS);
	if (h->fd == -1 && errno == ENOENT) {
		h->made = true;
		h->fd = openat(h->dir_fd, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | FILE_FLAGS,
			       0600);
	}
	if (h->fd == -1 || fstat(h->fd, st) == -1)
		return -1;
	if (S_ISREG(st->st_mode) && st->st_uid == geteuid())
		return 0;
	errno = EPERM;
	return -1;
}

/* Too long: it becomes the old one, and a new one begins. */
static int
history_turn(struct history *h, const char *name, struct stat *st)
{
	char old[NAME_MAX + 1];

	snprintf(old, sizeof(old), "%s" HISTORY_OLD, name);
	if (renameat(h->dir_fd, name, h->dir_fd, old) == -1)
		return -1;
	close(h->fd);
	return history_open(h, name, st);
}

static void
history_close(struct history *h)
{
	store_close_fd(h->fd);
	h->fd = -1;
}

static int
history_flush(struct history *h)
{
	size_t at = 0;
	ssize_t n;

	while (at < h->len && !h->failed) {
		n = write(h->fd, h->buffer + at, h->len - at);
		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			h->failed = true;
	}
	h->len = 0;
	return h->failed ? -1 : 0;
}

/* Add one line: the time, what fmt says, and whose session it was. */
static void __attribute__((format(printf, 2, 3)))
history_put(struct history *h, const char *fmt, ...)
{
	char text[HISTORY_LINE_MAX / 4];
	size_t room;
	va_list ap;
	int n;

	if (h->fd == -1 ||
	    (sizeof(h->buffer) - h->len < HISTORY_LINE_MAX && history_flush(h) == -1))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	room = sizeof(h->buffer) - h->len;
	n = snprintf(h->buffer + h->len, room, "%s %s %s\n", h->when, text, h->who);
	if (n > 0 && (size_t)n < room)
		h->len += (size_t)n;
}

int
history_begin(struct history *h, int dir_fd, const char *name, const char *who)
{
	struct stat st;
	char last = '\n';
	int error;

	*h = (struct history){.fd = -1, .dir_fd = dir_fd, .who = who};
	clock_utc(h->when, (int64_t)time(NULL));
	if (history_open(h, name, &st) == -1 ||
	    (st.st_size > HISTORY_MAX && history_turn(h, name, &st) == -1)) {
		error = errno;
		history_close(h);
		errno = error;
		return -1;
	}
	h->start = (uint64_t)st.st_size;
	/* a line that was cut off ends here */
	if (st.st_size > 0 && pread(h->fd, &last, 1, st.st_size - 1) == 1 && last != '\n')
		h->buffer[h->len++] = '\n';
	return 0;
}

/* A unique-id as a value. */
enum { QUOTED_UID = 4 * STORE_UID_SIZE + 8 };

void
history_deleting(struct history *h, const char *uid, uint64_t octets, int64_t retrieved,
		 bool delivered)
{
	char quoted[QUOTED_UID], when[CLOCK_UTC_SIZE], size[24] = "unknown";

	if (octets != UINT64_MAX)
		snprintf(size, sizeof(size), "%" PRIu64, octets);
	history_put(h, "deleting uid=%s octets=%s retrieved=%s delivered=%s",
		    log_quote(quoted, sizeof(quoted), uid, strlen(uid)), size,
		    retrieved_text(when, retrieved), delivered ? "yes" : "no");
}

int
history_sync(struct history *h)
{
	int error;

	if (h->fd == -1)
		return 0;
	if (history_flush(h) == 0)
		return fdatasync(h->fd) == 0 &&
			       (!h->made || store_sync_directory(h->dir_fd) == STORE_OK)
			   ? 0
			   : -1;
	error = errno;
	/* half of a list would mislead */
	(void)!ftruncate(h->fd, (off_t)h->start);
	history_close(h);
	errno = error;
	return -1;
}

void
history_kept(struct history *h, const char *uid)
{
	char quoted[QUOTED_UID];

	history_put(h, "kept uid=%s", log_quote(quoted, sizeof(quoted), uid, strlen(uid)));
}

int
history_done(struct history *h, uint64_t deleted, uint64_t kept)
{
	int result, error;

	if (h->fd == -1)
		return 0;
	clock_utc(h->when, (int64_t)time(NULL));
	history_put(h, "done deleted=%" PRIu64 " kept=%" PRIu64, deleted, kept);
	result = history_flush(h);
	error = errno;
	history_close(h);
	errno = error;
	return result;
}
