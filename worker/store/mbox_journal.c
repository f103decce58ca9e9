#include "config.h"

#include "worker/store/fresh.h"
#include "worker/store/whole.h"
#include "worker/store/mbox_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker/store/mbox_lines.h"
#include "worker/store/mbox_reserve.h"
#include "worker/store/store.h"

enum {
	BLOCK = 65536,
	SAMPLE = 65536,		    /* octets beside what is to change that must be as they were */
	SLOT_MAX = 4 * 1024 * 1024, /* octets */
	SLOT_UNIT = 4096,	    /* of the disk's room */
	TICK_BLOCKS = 64
};

/* Records are of one machine: another one's magic reads differently. */
static const uint64_t record_magic = UINT64_C(0x706f703364206a33);

struct record {
	uint64_t magic, inode;
	uint64_t turn;	/* the later of two slots has the higher one */
	uint64_t at;	/* where the portion is to stand */
	uint64_t kept;	/* its octets */
	uint64_t count; /* of ranges; without any, and without a portion: the mbox is cut here */
	uint64_t end;	/* of what the journal knows */
	uint8_t before[STORE_DIGEST];  /* of what stands before `at` */
	uint8_t octets[STORE_DIGEST];  /* of ranges and portion, as they follow */
	uint8_t ranges[STORE_DIGEST];  /* of what the ranges begin and end with */
	uint8_t between[STORE_DIGEST]; /* last record: of what stands between `at` and `end` */
	uint8_t self[STORE_DIGEST];    /* of all above */
};

/* A journal that has been opened. */
struct journal {
	int fd;
	uint64_t slot;	/* octets of each */
	uint64_t place; /* of the slot that counts */
	struct record record;
	struct mbox_range *ranges; /* of it, with room for one more */
	struct mbox_facts facts;
};

void
mbox_journal_init(struct mbox_journal *j, const struct mbox_style *style, int dir_fd, int fd,
		  uint64_t inode, void (*tick)(void *), void *arg)
{
	*j = (struct mbox_journal){.style = style,
				   .dir_fd = dir_fd,
				   .fd = fd,
				   .inode = inode,
				   .slot_max = SLOT_MAX,
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

/* Where copied octets go. */
struct sink {
	int fd; /* -1: nowhere */
	uint64_t at;
	SHA2_CTX *sha; /* may be NULL */
};

static int
sink_put(struct sink *to, const void *octets, size_t len)
{
	if (to->fd != -1 && write_whole(to->fd, octets, len, to->at) == -1)
		return -1;
	if (to->sha != NULL)
		SHA256Update(to->sha, octets, len);
	to->at += len;
	return 0;
}

static int
copy(const struct mbox_journal *j, int fd, uint64_t from, uint64_t to, struct sink *sink)
{
	static char block[BLOCK];
	unsigned blocks = 0;

	while (from < to) {
		size_t len = to - from < BLOCK ? (size_t)(to - from) : BLOCK;

		if (read_whole(fd, block, len, from) == -1 || sink_put(sink, block, len) == -1)
			return -1;
		from += len;
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
	struct sink sink = {.fd = -1, .sha = &sha};

	SHA256Init(&sha);
	if (copy(j, fd, from, to, &sink) == -1)
		return -1;
	SHA256Final(digest, &sha);
	return 0;
}

static int
digest_before(const struct mbox_journal *j, uint64_t at, uint8_t digest[STORE_DIGEST])
{
	return digest_range(j, j->fd, at > SAMPLE ? at - SAMPLE : 0, at, digest);
}

/* Of the octets with which the first of these ranges begins and the last one ends. */
static int
digest_ranges(const struct mbox_journal *j, const struct mbox_range *first,
	      const struct mbox_range *last, uint8_t digest[STORE_DIGEST])
{
	uint64_t from = first->from, to = last->to;
	SHA2_CTX sha;
	struct sink sink = {.fd = -1, .sha = &sha};

	SHA256Init(&sha);
	if (copy(j, j->fd, from, first->to - from < SAMPLE ? first->to : from + SAMPLE, &sink) ==
		-1 ||
	    copy(j, j->fd, to - last->from < SAMPLE ? last->from : to - SAMPLE, to, &sink) == -1)
		return -1;
	SHA256Final(digest, &sha);
	return 0;
}

static int
sync_directory(int fd)
{
	return store_sync_directory(fd) == STORE_OK ? 0 : -1;
}

/* Half a slot is for ranges. */
static size_t
ranges_max(uint64_t slot)
{
	return (size_t)((slot - sizeof(struct record)) / 2 / sizeof(struct mbox_range));
}

/* Write ranges and portion behind the record: the first octets of `kept`, as many as there is room
 * for, are the portion, and what is left of it are the ranges. */
static int
slot_fill(const struct mbox_journal *j, struct sink *to, uint64_t room, struct record *r,
	  const struct mbox_range *kept, size_t count)
{
	uint64_t left = room - count * sizeof(*kept);
	struct mbox_range first = {0};
	size_t whole = 0;

	for (; whole < count && kept[whole].to - kept[whole].from <= left; whole++)
		left -= kept[whole].to - kept[whole].from;
	r->count = count - whole;
	if (r->count > 0) {
		first = (struct mbox_range){kept[whole].from + left, kept[whole].to};
		if (sink_put(to, &first, sizeof(first)) == -1 ||
		    sink_put(to, &kept[whole + 1], (r->count - 1) * sizeof(*kept)) == -1 ||
		    digest_ranges(j, &first, r->count == 1 ? &first : &kept[count - 1],
				  r->ranges) == -1)
			return -1;
	}
	r->kept = 0;
	for (size_t i = 0; i < count && i <= whole; i++) {
		uint64_t end = i < whole ? kept[i].to : first.from;

		if (copy(j, j->fd, kept[i].from, end, to) == -1)
			return -1;
		r->kept += end - kept[i].from;
	}
	return 0;
}

/* Write a slot at `place`; turn, `at` and `end` of the record are set. */
static int
slot_write(const struct mbox_journal *j, int fd, uint64_t place, uint64_t slot, struct record *r,
	   const struct mbox_range *kept, size_t count)
{
	SHA2_CTX sha;
	struct sink to = {.fd = fd, .at = place + sizeof(*r), .sha = &sha};

	r->magic = record_magic;
	r->inode = j->inode;
	SHA256Init(&sha);
	if (slot_fill(j, &to, slot - sizeof(*r), r, kept, count) == -1 ||
	    digest_before(j, r->at, r->before) == -1 ||
	    (count == 0 && digest_range(j, j->fd, r->at, r->end, r->between) == -1))
		return -1;
	SHA256Final(r->octets, &sha);
	digest_of(r, offsetof(struct record, self), r->self);
	if (write_whole(fd, r, sizeof(*r), place) == -1)
		return -1;
	return fsync(fd);
}

/* Octets of a slot that has room for all, as far as one may be so large. */
static uint64_t
slot_size(const struct mbox_journal *j, const struct mbox_range *kept, size_t count)
{
	uint64_t need = sizeof(struct record) + count * sizeof(*kept);

	for (size_t i = 0; i < count && need < j->slot_max; i++)
		need += kept[i].to - kept[i].from;
	need += SLOT_UNIT - 1;
	return need < j->slot_max ? need - need % SLOT_UNIT : j->slot_max;
}

/* Take the room of a file by writing, since it may be longer than what it has got of the disk. */
static int
file_fill(int fd, uint64_t len)
{
	static const char zeros[BLOCK];

	for (uint64_t at = 0; at < len; at += BLOCK)
		if (write_whole(fd, zeros, len - at < BLOCK ? (size_t)(len - at) : BLOCK, at) == -1)
			return -1;
	return 0;
}

/* Make the new journal, with its room; where there is none the reserve is it.  Its descriptor, or
 * -1 with errno. */
static int
journal_make(const struct mbox_journal *j, uint64_t slot)
{
	int fd = fresh_make(j->dir_fd, j->fresh, O_RDWR), error;

	if (fd != -1 && file_fill(fd, 2 * slot) == 0)
		return fd;
	error = errno;
	if (fd != -1)
		(void)close(fd);
	(void)unlinkat(j->dir_fd, j->fresh, 0);
	fd = store_is_full(error) ? mbox_reserve_take(j->dir_fd, j->fresh) : -1;
	errno = error;
	return fd;
}

/* Octets of a slot, by the size of the file.  -1 with errno: it has no two slots. */
static int
journal_slot(int fd, uint64_t *slot)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	*slot = (uint64_t)st.st_size / 2;
	if (*slot >= SLOT_UNIT)
		return 0;
	errno = EINVAL;
	return -1;
}

ssize_t
mbox_journal_write(struct mbox_journal *j, uint64_t cut, uint64_t end,
		   const struct mbox_range *kept, size_t count)
{
	struct record r = {.turn = 1, .end = end};
	int to = journal_make(j, slot_size(j, kept, count)), error;
	size_t known = count;
	uint64_t slot;

	if (to == -1)
		return -1;
	if (journal_slot(to, &slot) == -1)
		goto fail;
	if (known > ranges_max(slot))
		known = ranges_max(slot);
	r.at = known < count ? kept[count - known - 1].to : cut;
	if (slot_write(j, to, 0, slot, &r, kept + count - known, known) == -1 || close(to) == -1)
		goto fail;
	to = -1;
	if (renameat(j->dir_fd, j->fresh, j->dir_fd, j->name) == -1)
		goto fail;
	j->trusted = true;
	return sync_directory(j->dir_fd) == -1 ? -1 : (ssize_t)known;
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
	bool tail = f->size > f->end;

	if (!f->record)
		return MBOX_STEP_ASIDE;
	if (f->last) {
		if (f->size < f->end || !f->between_same)
			return MBOX_STEP_DONE;
		return tail ? MBOX_STEP_TAIL : MBOX_STEP_CUT;
	}
	if (!f->before_same || !f->octets_same || !f->ranges_same || f->size < f->end ||
	    (tail && !f->tail_is_mail))
		return MBOX_STEP_ASIDE;
	return MBOX_STEP_WRITE;
}

/* Read the record at `place`.  1, 0: there is none that is whole, -1 with errno. */
static int
record_read(const struct mbox_journal *j, const struct journal *o, uint64_t place, struct record *r)
{
	uint64_t room = o->slot - sizeof(*r);
	uint8_t digest[STORE_DIGEST];

	if (read_whole(o->fd, r, sizeof(*r), place) == -1)
		return -1;
	digest_of(r, offsetof(struct record, self), digest);
	return memcmp(digest, r->self, sizeof(digest)) == 0 && r->magic == record_magic &&
	       r->inode == j->inode && r->at < r->end && r->count <= ranges_max(o->slot) &&
	       r->kept <= room - r->count * sizeof(struct mbox_range);
}

/* Find the slot that counts. */
static int
look_record(const struct mbox_journal *j, struct journal *o)
{
	o->facts.record = false;
	for (int i = 0; i < 2; i++) {
		struct record r;
		int is_whole = record_read(j, o, (uint64_t)i * o->slot, &r);

		if (is_whole == -1)
			return -1;
		if (is_whole == 0 || (o->facts.record && r.turn < o->record.turn))
			continue;
		o->facts.record = true;
		o->record = r;
		o->place = (uint64_t)i * o->slot;
	}
	return 0;
}

static int
look_ranges(struct journal *o)
{
	size_t len = (size_t)o->record.count * sizeof(*o->ranges);

	free(o->ranges);
	o->ranges = malloc(len + sizeof(*o->ranges));
	if (o->ranges == NULL)
		return -1;
	return read_whole(o->fd, o->ranges, len, o->place + sizeof(o->record));
}

/* Is the mbox what the record was made for?  What this process has written needs no proof. */
static int
look_mbox(const struct mbox_journal *j, struct journal *o)
{
	const struct record *r = &o->record;
	uint64_t from = o->place + sizeof(*r);
	uint8_t before[STORE_DIGEST], octets[STORE_DIGEST], ranges[STORE_DIGEST];
	struct mbox_facts *f = &o->facts;

	f->before_same = f->octets_same = f->ranges_same = j->trusted;
	if (j->trusted || f->size < f->end)
		return 0;
	memcpy(ranges, r->ranges, sizeof(ranges));
	if (digest_before(j, r->at, before) == -1 ||
	    digest_range(j, o->fd, from, from + r->count * sizeof(*o->ranges) + r->kept, octets) ==
		-1 ||
	    (r->count > 0 &&
	     digest_ranges(j, &o->ranges[0], &o->ranges[r->count - 1], ranges) == -1))
		return -1;
	f->before_same = memcmp(before, r->before, sizeof(before)) == 0;
	f->octets_same = memcmp(octets, r->octets, sizeof(octets)) == 0;
	f->ranges_same = memcmp(ranges, r->ranges, sizeof(ranges)) == 0;
	return 0;
}

static int
look_between(const struct mbox_journal *j, struct journal *o)
{
	uint8_t digest[STORE_DIGEST];

	o->facts.between_same = false;
	if (o->facts.size < o->facts.end)
		return 0;
	if (digest_range(j, j->fd, o->record.at, o->record.end, digest) == -1)
		return -1;
	o->facts.between_same = memcmp(digest, o->record.between, sizeof(digest)) == 0;
	return 0;
}

/* What is to be done next?  0 and *step, or -1 with errno. */
static int
look(const struct mbox_journal *j, struct journal *o, enum mbox_step *step)
{
	struct mbox_facts *f = &o->facts;
	struct stat mbox;

	if (fstat(j->fd, &mbox) == -1 || look_record(j, o) == -1)
		return -1;
	if (f->record) {
		f->size = (uint64_t)mbox.st_size;
		f->end = o->record.end;
		f->last = o->record.count == 0 && o->record.kept == 0;
		f->tail_is_mail = f->size > f->end && mbox_begins_at(j->style, j->fd, f->end);
		if (look_ranges(o) == -1 || (f->last ? look_between(j, o) : look_mbox(j, o)) == -1)
			return -1;
	}
	*step = mbox_journal_step(f);
	return 0;
}

/* The next portion into the other slot; mail that came since is one range more. */
static int
step_tail(struct mbox_journal *j, struct journal *o)
{
	struct record next = {
	    .turn = o->record.turn + 1, .at = o->record.at + o->record.kept, .end = o->facts.size};
	size_t count = (size_t)o->record.count;

	if (o->facts.size > o->record.end)
		o->ranges[count++] = (struct mbox_range){o->record.end, o->facts.size};
	return slot_write(j, o->fd, o->slot - o->place, o->slot, &next, o->ranges, count);
}

static int
step_write(struct mbox_journal *j, struct journal *o)
{
	uint64_t from = o->place + sizeof(o->record) + o->record.count * sizeof(*o->ranges);
	struct sink to = {.fd = j->fd, .at = o->record.at};

	if (copy(j, o->fd, from, from + o->record.kept, &to) == -1 || fsync(j->fd) == -1)
		return -1;
	return step_tail(j, o);
}

static int
step_cut(struct mbox_journal *j, struct journal *o)
{
	return ftruncate(j->fd, (off_t)o->record.at) == -1 ? -1 : fsync(j->fd);
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
    [MBOX_STEP_ASIDE] = {step_aside, 2}, [MBOX_STEP_WRITE] = {step_write, 0},
    [MBOX_STEP_TAIL] = {step_tail, 0},	 [MBOX_STEP_CUT] = {step_cut, 0},
    [MBOX_STEP_DONE] = {step_done, 1},
};

static int
steps_take(struct mbox_journal *j, struct journal *o)
{
	enum mbox_step step = MBOX_STEP_ASIDE;

	do {
		if (look(j, o, &step) == -1 || steps[step].take(j, o) == -1)
			return -1;
	} while (steps[step].end == 0);
	return steps[step].end;
}

int
mbox_journal_run(struct mbox_journal *j)
{
	struct journal o = {0};
	int result, error;

	if (!j->trusted) /* what a session was killed over has not begun */
		(void)unlinkat(j->dir_fd, j->fresh, 0);
	o.fd = openat(j->dir_fd, j->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (o.fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (journal_slot(o.fd, &o.slot) == 0)
		result = steps_take(j, &o);
	else
		result = errno == EINVAL && step_aside(j, &o) == 0 ? 2 : -1;
	error = errno;
	free(o.ranges);
	(void)close(o.fd);
	errno = error;
	return result;
}
