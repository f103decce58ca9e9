#include "config.h"

#include "worker/store/rows.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/fresh.h"
#include "worker/store/grow.h"
#include "worker/store/whole.h"

void
rows_init(struct rows *r, size_t size, const struct rows_place *place)
{
	*r = (struct rows){.size = size, .place = {.dir_fd = -1}, .fd = -1};
	if (place != NULL)
		r->place = *place;
}

void
rows_free(struct rows *r)
{
	if (r->page != NULL && r->fd != -1)
		(void)close(r->fd);
	free(r->page);
	rows_init(r, r->size, NULL);
}

/* Its descriptor, or -1 with errno. */
static int
file_make(const struct rows_place *place)
{
	int fd;

	if (place->dir_fd == -1)
		return -1;
	fd = openat(place->dir_fd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	fd = fresh_make(place->dir_fd, place->name, O_RDWR);
	if (fd != -1)
		(void)unlinkat(place->dir_fd, place->name, 0);
	return fd;
}

static size_t
rows_in_page(const struct rows *r)
{
	size_t left = r->count - r->first;

	return r->fd != -1 && left > ROWS_PAGE ? ROWS_PAGE : left;
}

/* The page does not go into the file: what is in it comes into memory, too.  0 or -1 with errno. */
static int
rows_gather(struct rows *r)
{
	size_t stored = r->first, room = 0;
	char *all = NULL;

	if (grow(&all, &room, r->count + 1, r->size) == -1)
		return -1;
	if (read_whole(r->fd, all, stored * r->size, 0) == -1) {
		free(all);
		return -1;
	}
	memcpy(all + stored * r->size, r->page, (r->count - stored) * r->size);
	(void)close(r->fd);
	free(r->page);
	r->page = all;
	r->room = room;
	r->first = 0;
	r->fd = -1;
	return 0;
}

/* Have the page in memory that begins with row `first`, or all.  0 or -1 with errno. */
static int
rows_turn(struct rows *r, size_t first)
{
	if (r->first == first)
		return 0;
	if (r->dirty &&
	    write_whole(r->fd, r->page, rows_in_page(r) * r->size, r->first * r->size) == -1)
		return rows_gather(r);
	r->dirty = false;
	r->first = first;
	if (read_whole(r->fd, r->page, rows_in_page(r) * r->size, first * r->size) == 0)
		return 0;
	r->first = SIZE_MAX; /* nothing to rely on is in it */
	return -1;
}

int
rows_append(struct rows *r, const void *row)
{
	size_t first = r->count - r->count % ROWS_PAGE;

	if (r->count == ROWS_PAGE) /* and never again */
		r->fd = file_make(&r->place);
	if (r->fd != -1 && rows_turn(r, first) == -1)
		return -1;
	if (grow(&r->page, &r->room, r->count + 1 - r->first, r->size) == -1)
		return -1;
	memcpy(r->page + (r->count - r->first) * r->size, row, r->size);
	r->count++;
	r->dirty = true;
	return 0;
}

const void *
rows_get(struct rows *r, size_t i)
{
	assert(i < r->count);
	if (r->fd != -1 && rows_turn(r, i - i % ROWS_PAGE) == -1)
		return NULL;
	return r->page + (i - r->first) * r->size;
}
