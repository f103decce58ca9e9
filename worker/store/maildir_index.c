#include "config.h"

#include "worker/store/maildir_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "worker/store/maildir_name.h"

enum {
	INDEX_VERSION = 1,
	INDEX_LAYOUT = 0x01020304, /* reads otherwise where octets have another order */
	WRITE_BLOCK = 65536,
	BLOCK_MAX = NAME_MAX + 1 + STORE_UID_SIZE + sizeof(uint64_t)
};

static const char index_magic[8] = {'p', 'o', 'p', '3', 'd', 'i', 'd', 'x'};

/* What the file holds of a message. */
struct index_record {
	uint64_t octets;
	uint32_t octets_check;
	uint32_t fetched, fetched_check;
	uint32_t block, name_check;
	uint8_t name_len, uid_len;
	uint16_t flags;
};

_Static_assert(sizeof(struct index_record) == 32, "a record has 32 octets");
_Static_assert(NAME_MAX <= UINT8_MAX, "the length of a name has an octet");

/* What waits to be written; one index is made at a time. */
static char waiting[WRITE_BLOCK];

/* ---- checks ---- */

static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

uint64_t
index_hash(uint64_t key, const void *octets, size_t len)
{
	uint64_t hash = mix(key, len), word;
	const char *p = octets;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, p, len);
	return mix(mix(hash, word), 1);
}

/* A number that belongs to message i. */
static uint32_t
number_check(uint64_t key, size_t i, uint64_t number)
{
	return (uint32_t)mix(mix(mix(key, i), number), 2);
}

static uint32_t
name_check(const struct maildir_index *ix, size_t i, const struct index_record *r,
	   const char *block, size_t len)
{
	uint64_t key = mix(mix(ix->head.nonce, i), (uint64_t)r->flags << 32 | r->block);

	return (uint32_t)index_hash(mix(key, (uint64_t)r->uid_len << 8 | r->name_len), block, len);
}

static uint64_t
head_check(const struct index_head *h)
{
	return index_hash(h->nonce, h, offsetof(struct index_head, check));
}

struct index_stamp
index_stamp_of(const struct stat *st)
{
	return (struct index_stamp){st->st_ino, st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
				    st->st_ctim.tv_sec, st->st_ctim.tv_nsec};
}

bool
index_stamps_equal(const struct index_stamp *a, const struct index_stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- blocks ---- */

static size_t
block_len(size_t name_len, size_t uid_len, uint32_t flags)
{
	return name_len + 1 + (uid_len > 0 ? uid_len + 1 : 0) +
	       ((flags & ENTRY_TWIN) != 0 ? sizeof(uint64_t) : 0);
}

/* The octets of a message's block; their number. */
static size_t
block_make(const struct maildir_message *m, char block[BLOCK_MAX])
{
	size_t len = m->name_len + 1, uid_len = strlen(m->uid);

	memcpy(block, m->name, len);
	if (uid_len > 0) {
		memcpy(block + len, m->uid, uid_len + 1);
		len += uid_len + 1;
	}
	if ((m->flags & ENTRY_TWIN) != 0) {
		memcpy(block + len, &m->inode, sizeof(m->inode));
		len += sizeof(m->inode);
	}
	return len;
}

static bool
uid_is_sound(const char *uid, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (uid[i] < 0x21 || uid[i] > 0x7e)
			return false;
	return true;
}

/* Copy a block whose lengths are known, and look at it. */
static int
block_take(const struct maildir_index *ix, size_t at, size_t name_len, size_t uid_len,
	   uint32_t flags, struct maildir_message *m)
{
	size_t len = block_len(name_len, uid_len, flags);
	const char *from = ix->map.at + at;

	if (name_len == 0 || uid_len >= STORE_UID_SIZE || at > ix->map.len ||
	    len > ix->map.len - at)
		return -1;
	m->flags = flags;
	m->name_len = name_len;
	memcpy(m->name, from, name_len);
	memcpy(m->uid, from + name_len + 1, uid_len);
	m->name[name_len] = m->uid[uid_len] = '\0';
	m->inode = 0;
	if ((flags & ENTRY_TWIN) != 0)
		memcpy(&m->inode, from + len - sizeof(m->inode), sizeof(m->inode));
	return maildir_name_counts(m->name) && strlen(m->name) == name_len &&
		       strchr(m->name, '/') == NULL && uid_is_sound(m->uid, uid_len)
		   ? 0
		   : -1;
}

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
	return block_take(ix, block, name_len, uid_len, flags, m);
}

/* ---- reading ---- */

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
	char block[BLOCK_MAX];

	if ((r.flags & ~ENTRY_FLAGS) != 0 ||
	    block_take(ix, r.block, r.name_len, r.uid_len, r.flags, m) == -1)
		return -1;
	return name_check(ix, i, &r, block, block_make(m, block)) == r.name_check ? 0 : -1;
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

static bool
head_is_sound(const struct index_head *h, size_t len)
{
	return memcmp(h->magic, index_magic, sizeof(h->magic)) == 0 &&
	       h->version == INDEX_VERSION && h->layout == INDEX_LAYOUT &&
	       h->check == head_check(h) && h->records >= sizeof(*h) && h->records <= len &&
	       h->count < UINT32_MAX &&
	       h->count <= (len - h->records) / sizeof(struct index_record);
}

/* A key that no other session has. */
static uint64_t
key_draw(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return mix(mix((uint64_t)now.tv_nsec, (uint64_t)now.tv_sec), (uint64_t)getpid());
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
	struct index_record r = {.fetched = when,
				 .fetched_check = number_check(~ix->head.nonce, i, when)};

	return record_write(ix, i, &r, offsetof(struct index_record, fetched),
			    offsetof(struct index_record, block));
}

/* The part of a record that says which message it is. */
static void
record_name(const struct maildir_index *ix, size_t i, uint32_t place,
	    const struct maildir_message *m, struct index_record *r)
{
	char block[BLOCK_MAX];

	r->block = place;
	r->name_len = (uint8_t)m->name_len;
	r->uid_len = (uint8_t)strlen(m->uid);
	r->flags = (uint16_t)m->flags;
	r->name_check = name_check(ix, i, r, block, block_make(m, block));
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
	record_name(ix, i, r.block, m, &r);
	return record_write(ix, i, &r, offsetof(struct index_record, block), sizeof(r));
}

static int
head_write(struct maildir_index *ix)
{
	ix->head.check = head_check(&ix->head);
	return index_write(ix, &ix->head, sizeof(ix->head), 0);
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
		/* whatever was left there: the lock is ours */
		index_forget_file(dir_fd);
		ix->fd = openat(dir_fd, INDEX_NEW_FILE,
				O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (ix->fd == -1 || fstat(ix->fd, &st) == -1) {
		index_close(ix);
		return -1;
	}
	if (dir_fd != -1)
		ix->made = index_stamp_of(&st);
	index_rewind(ix);
	ix->salt = key_draw();
	ix->head = (struct index_head){.version = INDEX_VERSION,
				       .layout = INDEX_LAYOUT,
				       .nonce = mix(ix->salt, 3),
				       .octets = STORE_NO_SIZE};
	memcpy(ix->head.magic, index_magic, sizeof(index_magic));
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
	record_name(ix, i, block, m, &r);
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
