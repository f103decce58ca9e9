#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/wire.h"
#include "worker/store/store.h"

enum { READ_BLOCK = 65536 };

static const struct store_backend *const backends[] = {
    &store_maildir, &store_mbox, &store_dir, &store_none, &store_archive, &store_archive_mbox,
};

/* Errors that pass by themselves. */
static const int temporary[] = {
    EAGAIN, EBUSY, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOLCK, ENOSPC, ENOTCONN, ESTALE, ETIMEDOUT,
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

bool
store_is_full(int error)
{
	return error == ENOSPC || error == EDQUOT;
}

ssize_t
store_read(struct store_reader *r, char *buf, size_t cap)
{
	ssize_t n;

	if (r->read != NULL)
		return r->read(r, buf, cap);
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
	if (r->finish != NULL)
		r->finish(r);
	r->finish = NULL;
	store_close_fd(r->fd);
	r->fd = -1;
}

const char *
store_reader_why(const struct store_reader *r)
{
	return r->why != NULL ? r->why : strerror(errno);
}

void
store_confine(struct store *s, int fd, enum sandbox_access access)
{
	s->confine[s->confine_count++] = (struct sandbox_path){fd, access};
}

static bool
is_exposed(const char *path)
{
	struct stat st;

	return path != NULL && path[0] == '/' && stat(path, &st) == 0 &&
	       (st.st_mode & S_IWOTH) != 0 && (!S_ISDIR(st.st_mode) || (st.st_mode & S_ISVTX) == 0);
}

enum exposed
store_exposed(const struct store *s)
{
	return is_exposed(s->path)   ? EXPOSED_MAILBOX
	       : is_exposed(s->home) ? EXPOSED_HOME
				     : EXPOSED_NOTHING;
}

void
store_keep_history(struct store *s, int dir_fd, const char *name)
{
	s->history_fd = dir_fd;
	snprintf(s->history, sizeof(s->history), "%s", name);
}

enum store_result
store_open_file(int dir_fd, const char *name, struct store_reader *r)
{
	enum store_result result;
	struct stat st;

	*r = (struct store_reader){.fd = -1};
	r->fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (r->fd == -1)
		return errno == ENOENT ? STORE_MISSING : store_judge(errno);
	result = fstat(r->fd, &st) == -1 ? store_judge(errno)
		 : !S_ISREG(st.st_mode)	 ? STORE_PERM
					 : STORE_OK;
	if (result != STORE_OK)
		store_reader_end(r);
	else
		r->end = (uint64_t)st.st_size;
	return result;
}

int
store_measure(struct store_reader *r, uint64_t *octets, uint8_t digest[STORE_DIGEST])
{
	static char block[READ_BLOCK];
	struct wire w;
	SHA2_CTX sha;
	ssize_t n;

	wire_begin(&w);
	SHA256Init(&sha);
	while ((n = store_read(r, block, sizeof(block))) > 0) {
		wire_count(&w, block, (size_t)n);
		if (digest != NULL)
			SHA256Update(&sha, (const uint8_t *)block, (size_t)n);
	}
	*octets = wire_count_total(&w);
	if (digest != NULL)
		SHA256Final(digest, &sha);
	return n == -1 ? -1 : 0;
}

enum store_result
store_sync_directory(int fd)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == EROFS)
		return STORE_OK;
	return store_judge(errno);
}
