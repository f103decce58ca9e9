#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/store.h"

static const struct store_backend *const backends[] = {
    &store_maildir,
};

/* Errors that pass by themselves. */
static const int temporary[] = {
    EAGAIN, EBUSY, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOLCK, ENOMEM, ENOSPC, ESTALE, ETIMEDOUT,
};

const struct store_backend *
store_find(const char *name)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	return NULL;
}

enum store_result
store_judge(int error)
{
	for (size_t i = 0; i < sizeof(temporary) / sizeof(temporary[0]); i++)
		if (temporary[i] == error)
			return STORE_TEMP;
	return STORE_PERM;
}

ssize_t
store_read(struct store_reader *r, char *buf, size_t cap)
{
	ssize_t n;

	if (cap > r->end - r->pos)
		cap = (size_t)(r->end - r->pos);
	if (cap == 0)
		return 0;
	do
		n = pread(r->fd, buf, cap, (off_t)r->pos);
	while (n == -1 && errno == EINTR);
	if (n == 0) { /* shorter than it was when it was opened */
		errno = EIO;
		return -1;
	}
	if (n > 0)
		r->pos += (uint64_t)n;
	return n;
}

void
store_reader_end(struct store_reader *r)
{
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
}
