#include "config.h"

#include <string.h>
#include <unistd.h>

#include "worker/store/mbox_lines.h"
#include "worker/store/whole.h"

void
mbox_lines_begin(struct mbox_lines *l, int fd, uint64_t from, uint64_t end)
{
	l->fd = fd;
	l->pos = from;
	l->end = end;
	l->at = l->len = 0;
	l->stop = UINT64_MAX;
	l->inside = false;
}

/* Read on until the block is full or the part ends.  0 or -1 with errno. */
static int
lines_fill(struct mbox_lines *l)
{
	uint64_t next;
	size_t n;

	memmove(l->block, l->block + l->at, l->len);
	l->at = 0;
	next = l->pos + l->len;
	n = sizeof(l->block) - l->len;
	if (n > l->end - next)
		n = (size_t)(l->end - next);
	if (read_whole(l->fd, l->block + l->len, n, next) == -1)
		return -1;
	l->len += n;
	return 0;
}

ssize_t
mbox_lines_next(struct mbox_lines *l, const char **piece, bool *starts)
{
	const char *lf;
	size_t n;

	/* a whole line, if one is there, without filling up for each */
	lf = memchr(l->block + l->at, '\n', l->len);
	if (lf == NULL && l->len < MBOX_LOOK) {
		if (lines_fill(l) == -1)
			return -1;
		lf = memchr(l->block + l->at, '\n', l->len);
	}
	*piece = l->block + l->at;
	*starts = !l->inside;
	n = lf != NULL ? (size_t)(lf + 1 - *piece) : l->len;
	l->inside = lf == NULL;
	if (n >= l->stop - l->pos) {
		n = (size_t)(l->stop - l->pos);
		l->stop = UINT64_MAX;
		l->inside = false;
	}
	l->at += n;
	l->len -= n;
	l->pos += n;
	return (ssize_t)n;
}

/* Does a header field begin at the offset? */
static bool
field_begins_at(int fd, uint64_t at)
{
	char line[MBOX_LOOK];
	ssize_t n = pread(fd, line, sizeof(line), (off_t)at);

	return n > 0 && mbox_is_field(line, (size_t)n);
}

bool
mbox_begins_with(const struct mbox_style *style, int fd, uint64_t end, const char *line, size_t len)
{
	return mbox_is_from(style, line, len) ||
	       (mbox_may_be_from(line, len) && field_begins_at(fd, end));
}

bool
mbox_begins_at(const struct mbox_style *style, int fd, uint64_t at)
{
	char line[MBOX_LOOK + 2], *p = line;
	const char *lf;
	ssize_t n = pread(fd, line, sizeof(line), (off_t)at);

	if (n > 1 && mbox_is_blank(p, p[0] == '\r' ? 2 : 1)) {
		n -= p[0] == '\r' ? 2 : 1;
		p += p[0] == '\r' ? 2 : 1;
	}
	lf = n > 0 ? memchr(p, '\n', (size_t)n) : NULL;
	return lf != NULL &&
	       mbox_begins_with(style, fd, at + (uint64_t)(lf + 1 - line), p, (size_t)(lf + 1 - p));
}
