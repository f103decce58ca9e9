#include "config.h"

#include "worker/store/mbox_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker/store/mbox_lines.h"
#include "worker/store/store.h"

enum {
	BLOCK = 65536,
	BEFORE_MAX = 65536, /* octets before `cut` that must be as they were */
	TICK_BLOCKS = 64
};

/* Records are of one machine: another one's magic reads differently. */
static const uint64_t first_magic = UINT64_C(0x706f703364206a31);
static const uint64_t second_magic = UINT64_C(0x706f703364206a32);

struct first {
	uint64_t magic, inode, cut, old_end;
	uint64_t kept;		      /* octets that follow */
	uint8_t before[STORE_DIGEST]; /* of what stands before `cut` */
	uint8_t octets[STORE_DIGEST]; /* of those that follow */
	uint8_t self[STORE_DIGEST];   /* of all above */
};

struct second {
	uint64_t magic, new_end, old_end;
	uint8_t between[STORE_DIGEST]; /* of what stands between the two */
	uint8_t self[STORE_DIGEST];    /* of all above */
};

/* A journal that has been opened. */
struct journal {
	struct first first;
	struct second second;
	struct mbox_facts facts;
	int fd;
};

void
mbox_journal_init(struct mbox_journal *j, const struct mbox_style *style, int dir_fd, int fd,
		  uint64_t inode, void (*tick)(void *), void *arg)
{
	*j = (struct mbox_journal){.style = style,
				   .dir_fd = dir_fd,
				   .fd = fd,
				   .inode = inode,
				   .tick = tick,
				   .tick_arg = arg};
	(void)snprintf(j->name, sizeof(j->name), "mbox-%" PRIx64 ".journal", inode);
	(void)snprintf(j->fresh, sizeof(j->fresh), "mbox-%" PRIx64 ".journal.new", inode);
}

static void
digest_of(const void *octets, size_t len, uint8_t digest[STORE_DIGEST])
{
	SHA2_CTX sha;

	SHA256Init(&sha);
	SHA256Update(&sha, octets, len);
	SHA256Final(digest, &sha);
}

/* Read exactly so much.  0 or -1 with errno, EIO if there is less. */
static int
read_whole(int fd, void *buf, size_t len, uint64_t at)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(at + got));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		got += (size_t)n;
	}
	return 0;
}

static int
write_whole(int fd, const void *buf, size_t len, uint64_t at)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = pwrite(fd, (const char *)buf + put, len - put, (off_t)(at + put));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		put += (size_t)n;
	}
	return 0;
}

/* Copy a range to `at` of the file `to` (-1: nowhere), and take it into the digest unless NULL. */
static int
copy(const struct mbox_journal *j, struct mbox_range r, int to, uint64_t at, SHA2_CTX *sha)
{
	static char block[BLOCK];
	unsigned blocks = 0;

	while (r.from < r.to) {
		size_t len = r.to - r.from < BLOCK ? (size_t)(r.to - r.from) : BLOCK;

		if (read_whole(r.fd, block, len, r.from) == -1 ||
		    (to != -1 && write_whole(to, block, len, at) == -1))
			return -1;
		if (sha != NULL)
			SHA256Update(sha, (const uint8_t *)block, len);
		r.from += len;
		at += len;
		if (++blocks % TICK_BLOCKS == 0)
			j->tick(j->tick_arg);
	}
	return 0;
}

static int
digest_range(const struct mbox_journal *j, int fd, uint64_t from, uint64_t to,
	     uint8_t digest[STORE_DIGEST])
{
	SHA2_CTX sha;

	SHA256Init(&sha);
	if (copy(j, (struct mbox_range){fd, from, to}, -1, 0, &sha) == -1)
		return -1;
	SHA256Final(digest, &sha);
	return 0;
}

static int
digest_before(const struct mbox_journal *j, uint64_t cut, uint8_t digest[STORE_DIGEST])
{
	return digest_range(j, j->fd, cut > BEFORE_MAX ? cut - BEFORE_MAX : 0, cut, digest);
}

static int
sync_directory(int fd)
{
	return store_sync_directory(fd) == STORE_OK ? 0 : -1;
}

/* Fill the new journal. */
static int
fresh_fill(const struct mbox_journal *j, int to, struct first *f, const struct mbox_range *kept,
	   size_t count)
{
	uint64_t at = sizeof(*f);
	static const struct second room;
	SHA2_CTX sha;

	SHA256Init(&sha);
	for (size_t i = 0; i < count; i++) {
		if (copy(j, kept[i], to, at, &sha) == -1)
			return -1;
		at += kept[i].to - kept[i].from;
	}
	SHA256Final(f->octets, &sha);
	f->kept = at - sizeof(*f);
	/* so that the second record needs no space on the disk any more */
	if (write_whole(to, &room, sizeof(room), at) == -1 ||
	    digest_before(j, f->cut, f->before) == -1)
		return -1;
	digest_of(f, offsetof(struct first, self), f->self);
	return write_whole(to, f, sizeof(*f), 0);
}

int
mbox_journal_write(struct mbox_journal *j, uint64_t cut, uint64_t old_end,
		   const struct mbox_range *kept, size_t count)
{
	struct first f = {.magic = first_magic, .inode = j->inode, .cut = cut, .old_end = old_end};
	int to, error;

	to = openat(j->dir_fd, j->fresh,
		    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (to == -1)
		return -1;
	if (fresh_fill(j, to, &f, kept, count) == -1 || fsync(to) == -1 || close(to) == -1)
		goto fail;
	to = -1;
	if (renameat(j->dir_fd, j->fresh, j->dir_fd, j->name) == -1)
		goto fail;
	j->trusted = true;
	return sync_directory(j->dir_fd);
fail:
	error = errno;
	if (to != -1)
		(void)close(to);
	(void)unlinkat(j->dir_fd, j->fresh, 0);
	errno = error;
	return -1;
}

enum mbox_step
mbox_journal_step(const struct mbox_facts *f)
{
	bool tail = f->size > f->old_end;

	if (!f->first)
		return MBOX_STEP_ASIDE;
	if (f->second) {
		if (f->size < f->old_end || !f->between_same)
			return MBOX_STEP_DONE;
		return tail ? MBOX_STEP_MOVE_TAIL : MBOX_STEP_TRUNCATE;
	}
	if (!f->before_same || !f->octets_same || f->size < f->old_end ||
	    (tail && !f->tail_is_mail))
		return MBOX_STEP_ASIDE;
	return tail ? MBOX_STEP_REDO_TAIL : MBOX_STEP_REDO;
}

/* Read the first record and find out how the mbox stands to it.  0 or -1 with errno. */
static int
look_first(const struct mbox_journal *j, struct journal *o, uint64_t journal_size)
{
	uint8_t digest[STORE_DIGEST];
	struct mbox_facts *f = &o->facts;

	if (journal_size < sizeof(o->first))
		return 0;
	if (read_whole(o->fd, &o->first, sizeof(o->first), 0) == -1)
		return -1;
	digest_of(&o->first, offsetof(struct first, self), digest);
	f->first = memcmp(digest, o->first.self, sizeof(digest)) == 0 &&
		   o->first.magic == first_magic && o->first.inode == j->inode &&
		   o->first.kept <= journal_size - sizeof(o->first);
	if (!f->first)
		return 0;
	f->old_end = o->first.old_end;
	f->before_same = f->size >= o->first.cut;
	if (f->before_same) {
		if (digest_before(j, o->first.cut, digest) == -1)
			return -1;
		f->before_same = memcmp(digest, o->first.before, sizeof(digest)) == 0;
	}
	f->tail_is_mail = f->size > f->old_end && mbox_begins_at(j->style, j->fd, f->old_end);
	return 0;
}

static int
look_octets(const struct mbox_journal *j, struct journal *o)
{
	uint8_t digest[STORE_DIGEST];

	o->facts.octets_same = j->trusted;
	if (j->trusted)
		return 0;
	if (digest_range(j, o->fd, sizeof(o->first), sizeof(o->first) + o->first.kept, digest) ==
	    -1)
		return -1;
	o->facts.octets_same = memcmp(digest, o->first.octets, sizeof(digest)) == 0;
	return 0;
}

/* One that is not whole is none: the mbox was not cut yet. */
static int
look_second(const struct mbox_journal *j, struct journal *o, uint64_t journal_size)
{
	uint64_t at = sizeof(o->first) + o->first.kept;
	uint8_t digest[STORE_DIGEST];
	struct second *second = &o->second;
	struct mbox_facts *f = &o->facts;

	if (journal_size != at + sizeof(*second))
		return 0;
	if (read_whole(o->fd, second, sizeof(*second), at) == -1)
		return -1;
	digest_of(second, offsetof(struct second, self), digest);
	f->second = memcmp(digest, second->self, sizeof(digest)) == 0 &&
		    second->magic == second_magic && second->old_end == f->old_end;
	if (!f->second || f->size < f->old_end)
		return 0;
	if (digest_range(j, j->fd, second->new_end, f->old_end, digest) == -1)
		return -1;
	f->between_same = memcmp(digest, second->between, sizeof(digest)) == 0;
	return 0;
}

/* What is to be done next?  0 and *step, or -1 with errno. */
static int
look(const struct mbox_journal *j, struct journal *o, enum mbox_step *step)
{
	struct stat mbox, journal;
	uint64_t size;

	o->facts = (struct mbox_facts){0};
	if (fstat(j->fd, &mbox) == -1 || fstat(o->fd, &journal) == -1)
		return -1;
	size = (uint64_t)journal.st_size;
	o->facts.size = (uint64_t)mbox.st_size;
	if (look_first(j, o, size) == -1)
		return -1;
	if (o->facts.first && look_second(j, o, size) == -1)
		return -1;
	if (o->facts.first && !o->facts.second && look_octets(j, o) == -1)
		return -1;
	*step = mbox_journal_step(&o->facts);
	return 0;
}

/* The octets into the mbox, and the word that they are there. */
static int
step_redo(struct mbox_journal *j, struct journal *o)
{
	struct first *f = &o->first;
	struct mbox_range octets = {o->fd, sizeof(*f), sizeof(*f) + f->kept};
	struct second second = {
	    .magic = second_magic, .new_end = f->cut + f->kept, .old_end = f->old_end};

	if (copy(j, octets, j->fd, f->cut, NULL) == -1 || fsync(j->fd) == -1 ||
	    digest_range(j, j->fd, second.new_end, second.old_end, second.between) == -1)
		return -1;
	digest_of(&second, offsetof(struct second, self), second.self);
	if (write_whole(o->fd, &second, sizeof(second), octets.to) == -1)
		return -1;
	return fsync(o->fd);
}

/* A new journal with the mail that came since behind the octets of this one. */
static int
step_redo_tail(struct mbox_journal *j, struct journal *o)
{
	const struct first *f = &o->first;
	struct mbox_range kept[2] = {{o->fd, sizeof(*f), sizeof(*f) + f->kept},
				     {j->fd, f->old_end, o->facts.size}};

	return mbox_journal_write(j, f->cut, o->facts.size, kept, 2);
}

static int
step_move_tail(struct mbox_journal *j, struct journal *o)
{
	struct mbox_range tail = {j->fd, o->second.old_end, o->facts.size};

	return mbox_journal_write(j, o->second.new_end, o->facts.size, &tail, 1);
}

static int
step_truncate(struct mbox_journal *j, struct journal *o)
{
	return ftruncate(j->fd, (off_t)o->second.new_end) == -1 ? -1 : fsync(j->fd);
}

static int
step_done(struct mbox_journal *j, struct journal *o)
{
	(void)o;
	return unlinkat(j->dir_fd, j->name, 0) == -1 ? -1 : sync_directory(j->dir_fd);
}

static int
step_aside(struct mbox_journal *j, struct journal *o)
{
	(void)o;
	(void)snprintf(j->fresh, sizeof(j->fresh), "%.40s.%lld", j->name, (long long)time(NULL));
	if (renameat(j->dir_fd, j->name, j->dir_fd, j->fresh) == -1)
		return -1;
	return sync_directory(j->dir_fd);
}

static const struct {
	int (*take)(struct mbox_journal *j, struct journal *o);
	int end; /* what mbox_journal_run() returns after it; 0: it goes on */
} steps[MBOX_STEP_COUNT] = {
    [MBOX_STEP_ASIDE] = {step_aside, 2},	 [MBOX_STEP_REDO] = {step_redo, 0},
    [MBOX_STEP_REDO_TAIL] = {step_redo_tail, 0}, [MBOX_STEP_MOVE_TAIL] = {step_move_tail, 0},
    [MBOX_STEP_TRUNCATE] = {step_truncate, 0},	 [MBOX_STEP_DONE] = {step_done, 1},
};

int
mbox_journal_run(struct mbox_journal *j)
{
	enum mbox_step step = MBOX_STEP_ASIDE;
	struct journal o;
	int result = 0, error;

	if (!j->trusted) /* what a session was killed over has not begun */
		(void)unlinkat(j->dir_fd, j->fresh, 0);
	while (result == 0) {
		o.fd = openat(j->dir_fd, j->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (o.fd == -1)
			return errno == ENOENT ? 0 : -1;
		result = look(j, &o, &step);
		if (result == 0)
			result = steps[step].take(j, &o);
		if (result == 0)
			result = steps[step].end;
		error = errno;
		(void)close(o.fd);
		errno = error;
	}
	return result;
}
