/*
 * How "pop3d-uids" is looked up in: two tables of places in the file, one in the
 * order of the digests of the base names, one in that of the unique-ids.  The
 * digests themselves are not kept: they are made anew from the line wherever
 * the search looks.  As they are spread evenly, it guesses well where to look.
 */
#include "config.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/uids.h"

enum { BLOCK = 65536, FIRST_ROOM = 256, NEAR = 8 /* so few places are halved, not guessed in */ };

#define PRIME ((UINT64_C(1) << 61) - 1)

enum key { KEY_BASE, KEY_UID, KEYS };

struct uids {
	int fd;
	int error;
	uint64_t seed;		/* of the digests, so that nobody can write lines that collide */
	size_t count[KEYS];	/* of places, after those with an earlier one's key were left out */
	uint32_t *places[KEYS]; /* offsets of lines, in the order of digest and offset */
};

/* A polynomial of the octets over the field of PRIME, at the seed; its upper 32 bits. */
static uint32_t
key_digest(const struct uids *u, const char *key, size_t len)
{
	uint64_t sum = len;

	for (size_t i = 0; i < len; i++) {
		unsigned __int128 product =
		    (unsigned __int128)(sum + (uint8_t)key[i] + 1) * u->seed;

		sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);
		sum = (sum & PRIME) + (sum >> 61);
	}
	return (uint32_t)(sum >> 29);
}

static const char *
line_key(const struct uids_line *line, enum key key, size_t *len)
{
	*len = key == KEY_BASE ? line->base_len : strlen(line->uid);
	return key == KEY_BASE ? line->base : line->uid;
}

static uint32_t
line_digest(const struct uids *u, const struct uids_line *line, enum key key)
{
	size_t len;
	const char *octets = line_key(line, key, &len);

	return key_digest(u, octets, len);
}

/* Read the line at `place`.  False for a file that has changed, or cannot be read. */
static bool
line_read(struct uids *u, uint32_t place, struct uids_line *line)
{
	char text[UIDS_LINE_SIZE];
	const char *end;
	ssize_t n;

	do
		n = pread(u->fd, text, sizeof(text), place);
	while (n == -1 && errno == EINTR);
	if (n == -1) {
		u->error = errno;
		return false;
	}
	end = memchr(text, '\n', (size_t)n);
	return end != NULL && uids_line_parse(text, (size_t)(end - text), line);
}

/* ---- reading it all, to make the tables */

/* One reading of the file, in blocks. */
struct reading {
	struct uids *u;
	const struct store *log; /* NULL: what is wrong was told already */
	enum key key;
	uint64_t number; /* of the line, from 1 */
	uint64_t wrong, first_wrong;
	uint64_t *sorting; /* digest, and place below */
	size_t count, room;
};

static int
reading_add(struct reading *r, uint32_t digest, uint32_t place)
{
	if (r->count == r->room) {
		size_t room = r->room > 0 ? 2 * r->room : FIRST_ROOM;
		uint64_t *more = reallocarray(r->sorting, room, sizeof(*more));

		if (more == NULL)
			return -1;
		r->sorting = more;
		r->room = room;
	}
	r->sorting[r->count++] = (uint64_t)digest << 32 | place;
	return 0;
}

static int
reading_line(struct reading *r, const char *text, size_t len, uint32_t place)
{
	struct uids_line line;

	r->number++;
	if (place == 0 && len > 0 && text[0] == '#')
		return 0;
	if (uids_line_parse(text, len, &line))
		return reading_add(r, line_digest(r->u, &line, r->key), place);
	if (r->wrong++ == 0)
		r->first_wrong = r->number;
	return 0;
}

/* Take the lines of the block that begins at `place`.  What is left of it, *used octets on, goes
 * with the next block; of a line that is too long, what is left is another one. */
static int
reading_block(struct reading *r, const char *block, size_t len, uint32_t place, size_t *used)
{
	const char *end;

	*used = 0;
	while ((end = memchr(block + *used, '\n', len - *used)) != NULL) {
		size_t line_len = (size_t)(end - block) - *used;

		if (reading_line(r, block + *used, line_len, place + (uint32_t)*used) == -1)
			return -1;
		*used += line_len + 1;
	}
	if (*used == 0)
		*used = len;
	return 0;
}

/* A last line without an end is still being written by somebody, or cut: it is none. */
static int
reading_run(struct reading *r)
{
	static char block[BLOCK];
	uint64_t place = 0;
	size_t used;
	ssize_t n;

	while ((n = pread(r->u->fd, block, sizeof(block), (off_t)place)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (place + (uint64_t)n > UINT32_MAX) {
			errno = EFBIG;
			return -1;
		}
		if (reading_block(r, block, (size_t)n, (uint32_t)place, &used) == -1)
			return -1;
		place += used;
	}
	if (r->wrong > 0 && r->log != NULL)
		log_warn(r->log->id,
			 "maildir %s: %s: line %" PRIu64 " is none of a message%s: passed over",
			 r->log->path, UIDS_FILE, r->first_wrong,
			 r->wrong > 1 ? ", and others are" : "");
	return 0;
}

static int
sorting_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Does the line at `place` have the key of one of the places from..to, which have its digest? */
static bool
place_repeats(struct uids *u, enum key key, const uint32_t *places, size_t from, size_t to,
	      uint32_t place)
{
	struct uids_line line, other;
	size_t len, other_len;
	const char *octets;

	if (from == to || !line_read(u, place, &line))
		return false;
	octets = line_key(&line, key, &len);
	for (size_t i = from; i < to; i++) {
		const char *had;

		if (!line_read(u, places[i], &other))
			continue;
		had = line_key(&other, key, &other_len);
		if (len == other_len && memcmp(had, octets, len) == 0)
			return true;
	}
	return false;
}

/* Sort what was read, in place (qsort(3) would take as much memory again), and keep the places in
 * the first half of the same memory.  Lines that repeat a key are left out. */
static int
reading_settle(struct reading *r)
{
	struct uids *u = r->u;
	uint32_t *places = (uint32_t *)r->sorting;
	size_t kept = 0, same = 0; /* where those with the last one's digest begin */
	uint32_t last = 0;

	if (r->count > 1 &&
	    heapsort(r->sorting, r->count, sizeof(*r->sorting), sorting_compare) == -1)
		return -1;
	for (size_t i = 0; i < r->count; i++) {
		uint64_t next = r->sorting[i]; /* before its memory is used again */

		if ((uint32_t)(next >> 32) != last)
			same = kept;
		last = (uint32_t)(next >> 32);
		if (!place_repeats(u, r->key, places, same, kept, (uint32_t)next))
			places[kept++] = (uint32_t)next;
	}
	places = reallocarray(places, kept + 1, sizeof(*places));
	if (places == NULL)
		return -1;
	r->sorting = NULL;
	u->places[r->key] = places;
	u->count[r->key] = kept;
	return u->error == 0 ? 0 : -1;
}

static int
uids_read(struct uids *u, enum key key, const struct store *log)
{
	struct reading r = {.u = u, .log = log, .key = key};
	int result = reading_run(&r);

	if (result == 0 && r.count > 0)
		result = reading_settle(&r);
	free(r.sorting);
	return result;
}

static int
uids_open(struct uids *u, int dir_fd)
{
	struct stat st;

	u->fd = openat(dir_fd, UIDS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (u->fd == -1 || fstat(u->fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	if (getrandom(&u->seed, sizeof(u->seed), 0) != (ssize_t)sizeof(u->seed))
		return -1;
	u->seed %= PRIME;
	return 0;
}

struct uids *
uids_load(int dir_fd, const struct store *s)
{
	struct uids *u = calloc(1, sizeof(*u));
	int error;

	if (u == NULL)
		return NULL;
	if (uids_open(u, dir_fd) == 0 && uids_read(u, KEY_BASE, s) == 0 &&
	    uids_read(u, KEY_UID, NULL) == 0)
		return u;
	error = errno;
	uids_free(u);
	errno = error;
	return NULL;
}

void
uids_free(struct uids *u)
{
	if (u == NULL)
		return;
	store_close_fd(u->fd);
	for (int key = 0; key < KEYS; key++)
		free(u->places[key]);
	free(u);
}

/* ---- looking up */

/*
 * The first place from which on digests are not lower than `digest`, by guesses
 * between the two ends that are known; every second one just halves, so that it
 * ends soon in any case.
 */
static bool
find_first(struct uids *u, enum key key, uint32_t digest, size_t *first)
{
	uint64_t low = 0, high = UINT64_C(1) << 32; /* digests before `from` and from `to` on */
	size_t from = 0, to = u->count[key];
	struct uids_line line;

	for (bool guess = true; from < to; guess = !guess) {
		size_t at = from + (to - from) / 2;
		uint64_t there;

		if (guess && to - from > NEAR)
			at = from + (size_t)((unsigned __int128)(digest - low) * (to - from) /
					     (high - low + 1));
		if (!line_read(u, u->places[key][at], &line))
			return false;
		there = line_digest(u, &line, key);
		if (there < digest) {
			from = at + 1;
			low = there;
		} else {
			to = at;
			high = there;
		}
	}
	*first = from;
	return true;
}

/* Find the line with this key.  Its place; false if there is none. */
static bool
find_line(struct uids *u, enum key key, const char *octets, size_t len, uint32_t *place,
	  struct uids_line *line)
{
	uint32_t digest = key_digest(u, octets, len);
	size_t at, line_len;

	if (!find_first(u, key, digest, &at))
		return false;
	for (; at < u->count[key] && line_read(u, u->places[key][at], line) &&
	       line_digest(u, line, key) == digest;
	     at++) {
		const char *there = line_key(line, key, &line_len);

		*place = u->places[key][at];
		if (line_len == len && memcmp(there, octets, len) == 0)
			return true;
	}
	return false;
}

bool
uids_find(struct uids *u, const char *base, size_t len, uint32_t *rank, char uid[STORE_UID_SIZE])
{
	struct uids_line line;
	uint32_t owner;

	if (!find_line(u, KEY_BASE, base, len, rank, &line))
		return false;
	memcpy(uid, line.uid, sizeof(line.uid));
	/* a unique-id that an earlier line gave to another message is not given twice */
	return find_line(u, KEY_UID, uid, strlen(uid), &owner, &line) && owner == *rank;
}

bool
uids_taken(struct uids *u, const char *uid)
{
	struct uids_line line;
	uint32_t place;

	return find_line(u, KEY_UID, uid, strlen(uid), &place, &line);
}

int
uids_error(const struct uids *u)
{
	return u->error;
}
