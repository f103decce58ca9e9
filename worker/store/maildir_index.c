#include "config.h"

#include "worker/store/fresh.h"
#include "worker/store/maildir_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_BLOCK = 65536 };

/* What waits to be written; one index is made at a time. */
static char waiting[WRITE_BLOCK];

/* ---- reading ---- */

const char *
index_block_name(const struct maildir_index *ix, uint32_t block, size_t *len)
{
	size_t room = block < ix->map.len ? ix->map.len - block : 0;

	*len = strnlen(ix->map.at + block, room < NAME_MAX ? room : NAME_MAX);
	return ix->map.at + block;
}

int
index_block(const struct maildir_index *ix, uint32_t block, uint32_t flags,
	    struct maildir_message *m)
{
	bool has_uid = (flags & ENTRY_RANKED) != 0 && (flags & ENTRY_MADE_UID) == 0;
	size_t name_len, uid_len = 0;
	const char *uid = index_block_name(ix, block, &name_len) + name_len + 1;

	if (has_uid && uid < ix->map.at + ix->map.len) {
		size_t room = (size_t)(ix->map.at + ix->map.len - uid);

		uid_len = strnlen(uid, room < STORE_UID_SIZE ? room : STORE_UID_SIZE);
	}
	return block_take(ix->map.at, ix->map.len, block, name_len, uid_len, flags, m);
}

static struct index_record
record_of(const struct maildir_index *ix, size_t i)
{
	struct index_record r;

	memcpy(&r, ix->map.at + ix->head.records + i * sizeof(r), sizeof(r));
	return r;
}

int
index_message(const struct maildir_index *ix, size_t i, struct maildir_message *m)
{
	struct index_record r = record_of(ix, i);

	return record_take(&r, ix->head.nonce, i, ix->map.at, ix->map.len, m);
}

uint32_t
index_flags(const struct maildir_index *ix, size_t i)
{
	return record_of(ix, i).flags;
}

uint64_t
index_kept_size(const struct maildir_index *ix, size_t i)
{
	struct index_record r = record_of(ix, i);

	return r.octets_check == number_check(ix->head.nonce, i, r.octets) ? r.octets
									   : STORE_NO_SIZE;
}

uint64_t
index_size(const struct maildir_index *ix, size_t i)
{
	struct index_record r = record_of(ix, i);

	return r.octets_check == number_check(ix->head.nonce, i, r.octets) ||
		       r.octets_check == number_check(ix->salt, i, r.octets)
		   ? r.octets
		   : STORE_NO_SIZE;
}

uint32_t
index_fetched(const struct maildir_index *ix, size_t i)
{
	struct index_record r = record_of(ix, i);

	return r.fetched_check == number_check(~ix->head.nonce, i, r.fetched) ? r.fetched : 0;
}

/* A key that no other session has. */
static uint64_t
key_draw(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return index_hash((uint64_t)getpid(), &now, sizeof(now));
}

int
index_open(struct maildir_index *ix, int dir_fd)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct stat st;

	*ix = INDEX_NONE;
	ix->fd = openat(dir_fd, INDEX_FILE, O_RDWR | flags);
	if (ix->fd == -1 && (errno == EACCES || errno == EROFS))
		ix->fd = openat(dir_fd, INDEX_FILE, O_RDONLY | flags);
	if (ix->fd == -1 || fstat(ix->fd, &st) == -1)
		goto fail;
	errno = EINVAL;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || st.st_size < (off_t)sizeof(ix->head))
		goto fail;
	ix->end = (uint64_t)st.st_size;
	if (mapped_open(&ix->map, ix->fd, (size_t)ix->end) == -1)
		goto fail;
	memcpy(&ix->head, ix->map.at, sizeof(ix->head));
	ix->salt = key_draw();
	if (head_is_sound(&ix->head, ix->map.len))
		return 0;
	errno = EINVAL;
fail:
	index_close(ix);
	return -1;
}

void
index_close(struct maildir_index *ix)
{
	int error = errno;

	mapped_close(&ix->map);
	store_close_fd(ix->fd);
	*ix = INDEX_NONE;
	errno = error;
}

/* ---- writing ---- */

static int
write_all(int fd, const char *octets, size_t len, uint64_t at)
{
	ssize_t n;

	for (; len > 0; octets += n, len -= (size_t)n, at += (uint64_t)n) {
		n = pwrite(fd, octets, len, (off_t)at);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return -1;
	}
	return 0;
}

static int
index_flush(struct maildir_index *ix)
{
	size_t len = ix->pending;

	ix->pending = 0;
	return write_all(ix->fd, waiting, len, ix->end - len);
}

static int
index_append(struct maildir_index *ix, const void *octets, size_t len)
{
	if (len > sizeof(waiting) - ix->pending && index_flush(ix) == -1)
		return -1;
	memcpy(waiting + ix->pending, octets, len);
	ix->pending += len;
	ix->end += len;
	return 0;
}

int
index_map(struct maildir_index *ix)
{
	if (index_flush(ix) == -1)
		return -1;
	mapped_close(&ix->map);
	return mapped_open(&ix->map, ix->fd, (size_t)ix->end);
}

/* Go on with a copy in memory. */
static int
index_to_memory(struct maildir_index *ix)
{
	int fd = memfd_create(INDEX_FILE, MFD_CLOEXEC);
	struct mapped copy;

	if (fd == -1)
		return -1;
	if (index_map(ix) == -1 || write_all(fd, ix->map.at, ix->map.len, 0) == -1 ||
	    mapped_open(&copy, fd, ix->map.len) == -1) {
		store_close_fd(fd);
		return -1;
	}
	mapped_close(&ix->map);
	store_close_fd(ix->fd);
	ix->map = copy;
	ix->fd = fd;
	return 0;
}

/* Change octets in place. */
static int
index_write(struct maildir_index *ix, const void *octets, size_t len, uint64_t at)
{
	if (write_all(ix->fd, octets, len, at) == 0)
		return 0;
	return index_to_memory(ix) == -1 ? -1 : write_all(ix->fd, octets, len, at);
}

/* Write the part of a record that begins at `from` and ends before `to`. */
static int
record_write(struct maildir_index *ix, size_t i, const struct index_record *r, size_t from,
	     size_t to)
{
	return index_write(ix, (const char *)r + from, to - from,
			   ix->head.records + i * sizeof(*r) + from);
}

int
index_set_size(struct maildir_index *ix, size_t i, uint64_t octets, bool keep)
{
	struct index_record r = {.octets = octets,
				 .octets_check =
				     number_check(keep ? ix->head.nonce : ix->salt, i, octets)};

	return record_write(ix, i, &r, 0, offsetof(struct index_record, fetched));
}

int
index_set_fetched(struct maildir_index *ix, size_t i, uint32_t when)
{
	const size_t from = offsetof(struct index_record, fetched);
	struct index_record r = {.fetched = when,
				 .fetched_check = number_check(~ix->head.nonce, i, when)};

	return write_all(ix->fd, (const char *)&r + from,
			 offsetof(struct index_record, block) - from,
			 ix->head.records + i * sizeof(r) + from);
}

int
index_set_message(struct maildir_index *ix, size_t i, const struct maildir_message *m, bool renamed)
{
	struct index_record r = {.block = record_of(ix, i).block};
	char block[BLOCK_MAX];
	size_t len;

	if (renamed) {
		len = block_make(m, block);
		if (ix->end > UINT32_MAX - len) {
			errno = EOVERFLOW;
			return -1;
		}
		if (index_write(ix, block, len, ix->end) == -1)
			return -1;
		r.block = (uint32_t)ix->end;
		ix->end += len;
	}
	record_name(&r, ix->head.nonce, i, r.block, m);
	return record_write(ix, i, &r, offsetof(struct index_record, block), sizeof(r));
}

static int
head_write(struct maildir_index *ix)
{
	ix->head.check = head_check(&ix->head);
	return write_all(ix->fd, (const char *)&ix->head, sizeof(ix->head), 0);
}

int
index_set_octets(struct maildir_index *ix, uint64_t octets)
{
	ix->head.octets = octets;
	return head_write(ix);
}

int
index_unsettle(struct maildir_index *ix)
{
	ix->head.settled = 0;
	return head_write(ix);
}

/* ---- making one ---- */

void
index_forget_file(int dir_fd)
{
	(void)unlinkat(dir_fd, INDEX_NEW_FILE, 0);
}

int
index_begin(struct maildir_index *ix, int dir_fd)
{
	struct stat st;

	*ix = INDEX_NONE;
	if (dir_fd == -1) {
		ix->fd = memfd_create(INDEX_FILE, MFD_CLOEXEC);
	} else {
		ix->fd = fresh_make(dir_fd, INDEX_NEW_FILE, O_RDWR); /* the lock is ours */
	}
	if (ix->fd == -1 || fstat(ix->fd, &st) == -1) {
		index_close(ix);
		return -1;
	}
	if (dir_fd != -1)
		ix->made = index_stamp_of(&st);
	index_rewind(ix);
	ix->salt = key_draw();
	ix->head = head_make(~ix->salt);
	return 0;
}

void
index_rewind(struct maildir_index *ix)
{
	ix->end = sizeof(ix->head);
	ix->pending = 0;
}

int64_t
index_put_block(struct maildir_index *ix, const struct maildir_message *m)
{
	char block[BLOCK_MAX];
	size_t len = block_make(m, block);
	uint64_t at = ix->end;

	if (at > UINT32_MAX - len) {
		errno = EOVERFLOW;
		return -1;
	}
	return index_append(ix, block, len) == -1 ? -1 : (int64_t)at;
}

int
index_put_record(struct maildir_index *ix, size_t i, uint32_t block,
		 const struct maildir_message *m, uint64_t octets, uint32_t fetched)
{
	static const char zeros[sizeof(uint64_t)];
	struct index_record r = {.octets = octets, .fetched = fetched};

	if (i == 0) {
		if (index_append(ix, zeros, -ix->end % sizeof(uint64_t)) == -1)
			return -1;
		ix->head.records = ix->end;
	}
	r.octets_check = number_check(ix->head.nonce, i, octets);
	r.fetched_check = number_check(~ix->head.nonce, i, fetched);
	record_name(&r, ix->head.nonce, i, block, m);
	ix->head.count = i + 1;
	return index_append(ix, &r, sizeof(r));
}

int
index_finish(struct maildir_index *ix, int dir_fd)
{
	if (ix->head.count == 0)
		ix->head.records = ix->end;
	ix->head.check = head_check(&ix->head);
	if (write_all(ix->fd, (const char *)&ix->head, sizeof(ix->head), 0) == -1 ||
	    index_map(ix) == -1)
		return -1;
	if (dir_fd != -1 && renameat(dir_fd, INDEX_NEW_FILE, dir_fd, INDEX_FILE) == -1)
		index_forget_file(dir_fd);
	return 0;
}
