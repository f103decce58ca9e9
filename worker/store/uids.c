/*
 * How "pop3d-uids" is looked up in: two tables, one of digests of the base names
 * with the places of their lines, one of places alone in the order of the
 * digests of the unique-ids.  The latter is asked seldom, so its digests are
 * made anew from the line wherever the search looks; as they are spread
 * evenly, it guesses well where to look.
 *
 * The tables are made when there is more to look up than the mail that came
 * since the last session; a few times it is faster to go through the file.
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
#include "worker/store/grow.h"
#include "worker/store/uids.h"

enum {
	BLOCK = 65536,
	FEW = 8 /* times that the file is gone through */,
	NEAR = 8 /* so few places are halved, not guessed in */
};

#define PRIME ((UINT64_C(1) << 61) - 1)

enum key { KEY_BASE, KEY_UID };

struct uids {
	int fd;
	int error;
	const struct store *log;
	unsigned looked; /* times, without the tables */
	bool ready;	 /* the tables are made */
	uint64_t seed;	 /* of the digests, so that nobody can write lines that collide */
	uint64_t *bases; /* digest and, in the lower half, place; sorted */
	size_t base_count;
	uint32_t *uids; /* places, in the order of digest and place */
	size_t uid_count;
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

/* ---- reading it all */

/* One reading of the file, in blocks. */
struct reading {
	struct uids *u;
	/* What to do with a line.  0; 1: no more of them; -1 with errno. */
	int (*line)(struct reading *r, const char *text, size_t len, uint32_t place);
	enum key key;
	/* to look for one line */
	const char *octets;
	size_t len;
	uint32_t found;
	struct uids_line found_line;
	/* to make a table */
	uint64_t number; /* of the line, from 1 */
	uint64_t wrong, first_wrong;
	uint64_t *keys; /* digest and place; sorted in the end */
	size_t count, room;
	uint32_t *repeating; /* places of lines that repeat an earlier one's key; sorted */
	size_t repeating_count, repeating_room;
};

/* Take the lines of the block that begins at `place`.  What is left of it, *used octets on, goes
 * with the next block; of a line that is too long, what is left is another one. */
static int
reading_block(struct reading *r, const char *block, size_t len, uint32_t place, size_t *used)
{
	const char *end;
	int result = 0;

	*used = 0;
	while (result == 0 && (end = memchr(block + *used, '\n', len - *used)) != NULL) {
		const char *text = block + *used;
		uint32_t at = place + (uint32_t)*used;

		*used += (size_t)(end - text) + 1;
		r->number++;
		if (at != 0 || text == end || text[0] != '#')
			result = r->line(r, text, (size_t)(end - text), at);
	}
	if (*used == 0)
		*used = len;
	return result;
}

/* Read all lines, or up to one that ends it.  A last line without an end is still being written
 * by somebody, or cut: it is none. */
static int
reading_run(struct reading *r)
{
	static char block[BLOCK];
	uint64_t place = 0;
	int result = 0;
	size_t used;
	ssize_t n;

	while (result == 0 && (n = pread(r->u->fd, block, sizeof(block), (off_t)place)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (place + (uint64_t)n > UINT32_MAX) {
			errno = EFBIG;
			return -1;
		}
		result = reading_block(r, block, (size_t)n, (uint32_t)place, &used);
		place += used;
	}
	return result;
}

/* ---- looking for one line */

/* May this line have the key?  Then it is worth to be taken apart. */
static bool
line_may_be(const struct reading *r, const char *text, size_t len)
{
	const char *base;

	if (r->key == KEY_UID)
		return len > r->len && text[r->len] == ' ' && memcmp(text, r->octets, r->len) == 0;
	if ((base = memchr(text, ' ', len)) == NULL)
		return false;
	base++;
	len -= (size_t)(base - text);
	return (len == r->len && memcmp(base, r->octets, len) == 0) ||
	       memchr(base, '%', len) != NULL;
}

static int
line_look(struct reading *r, const char *text, size_t len, uint32_t place)
{
	const char *key;
	size_t key_len;

	if (!line_may_be(r, text, len) || !uids_line_parse(text, len, &r->found_line))
		return 0;
	key = line_key(&r->found_line, r->key, &key_len);
	r->found = place;
	return key_len == r->len && memcmp(key, r->octets, key_len) == 0;
}

/* Find the first line with this key.  Its place, or -1: there is none, or u->error. */
static int64_t
look_for(struct uids *u, enum key key, const char *octets, size_t len, struct uids_line *line)
{
	struct reading r = {.u = u, .line = line_look, .key = key, .octets = octets, .len = len};
	int result = reading_run(&r);

	if (result == -1)
		u->error = errno;
	if (result != 1)
		return -1;
	*line = r.found_line;
	return r.found;
}

/* ---- making the tables */

static int
place_compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
reading_repeats(const struct reading *r, uint32_t place)
{
	return r->repeating_count > 0 && bsearch(&place, r->repeating, r->repeating_count,
						 sizeof(place), place_compare) != NULL;
}

static int
reading_add(struct reading *r, uint32_t digest, uint32_t place)
{
	if (grow(&r->keys, &r->room, r->count + 1, sizeof(*r->keys)) == -1)
		return -1;
	r->keys[r->count++] = (uint64_t)digest << 32 | place;
	return 0;
}

static int
line_enter(struct reading *r, const char *text, size_t len, uint32_t place)
{
	struct uids_line line;

	if (uids_line_parse(text, len, &line))
		return reading_repeats(r, place)
			   ? 0
			   : reading_add(r, line_digest(r->u, &line, r->key), place);
	if (r->wrong++ == 0)
		r->first_wrong = r->number;
	return 0;
}

/* Say which lines were passed over. */
static void
tell_wrong(const struct reading *r)
{
	const struct store *s = r->u->log;

	if (r->wrong > 0)
		log_warn(s->id, "maildir %s: %s: line %" PRIu64 " names no message%s: ignored",
			 s->path, UIDS_FILE, r->first_wrong, r->wrong > 1 ? ", nor do others" : "");
}

static int
key_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Does line i of the sorted ones have the key of one of those from `from` on before it, which
 * have its digest? */
static bool
line_repeats(const struct reading *r, size_t from, size_t i)
{
	struct uids_line line, other;
	size_t len, other_len;
	const char *octets;

	if (from == i || !line_read(r->u, (uint32_t)r->keys[i], &line))
		return false;
	octets = line_key(&line, r->key, &len);
	for (; from < i; from++) {
		const char *had;

		if (!line_read(r->u, (uint32_t)r->keys[from], &other))
			continue;
		had = line_key(&other, r->key, &other_len);
		if (len == other_len && memcmp(had, octets, len) == 0)
			return true;
	}
	return false;
}

static int
repeating_add(struct reading *r, uint32_t place)
{
	if (grow(&r->repeating, &r->repeating_room, r->repeating_count + 1,
		 sizeof(*r->repeating)) == -1)
		return -1;
	r->repeating[r->repeating_count++] = place;
	return 0;
}

/* Sort what was read, in place (qsort(3) would take as much memory again), and take out the lines
 * that repeat a key. */
static int
reading_settle(struct reading *r)
{
	size_t kept = 0, same = 0; /* where those with the last digest begin */

	if (r->count > 1 && heapsort(r->keys, r->count, sizeof(*r->keys), key_compare) == -1)
		return -1;
	for (size_t i = 0; i < r->count; i++) {
		uint64_t next = r->keys[i];

		r->keys[kept] = next;
		if (same < kept && r->keys[same] >> 32 != next >> 32)
			same = kept;
		if (!line_repeats(r, same, kept))
			kept++;
		else if (repeating_add(r, (uint32_t)next) == -1)
			return -1;
	}
	r->count = kept;
	if (r->repeating_count > 0)
		qsort(r->repeating, r->repeating_count, sizeof(*r->repeating), place_compare);
	return r->u->error == 0 ? 0 : -1;
}

/* Keep the places of the sorted lines alone. */
static int
take_places(struct reading *r)
{
	struct uids *u = r->u;

	if ((u->uids = calloc(r->count + 1, sizeof(*u->uids))) == NULL)
		return -1;
	for (size_t i = 0; i < r->count; i++)
		u->uids[i] = (uint32_t)r->keys[i];
	u->uid_count = r->count;
	free(r->keys);
	r->keys = NULL;
	r->count = r->room = 0;
	return 0;
}

/* Make both tables.  Lines that give a unique-id a second time are not in that of the base names.
 */
static int
make_tables(struct uids *u)
{
	struct reading r = {.u = u, .line = line_enter, .key = KEY_UID};
	int result = -1;

	if (reading_run(&r) == -1 || reading_settle(&r) == -1 || take_places(&r) == -1)
		goto out;
	tell_wrong(&r);
	r.key = KEY_BASE;
	if (reading_run(&r) == -1 || reading_settle(&r) == -1)
		goto out;
	u->bases = r.keys;
	u->base_count = r.count;
	r.keys = NULL;
	result = 0;
out:
	free(r.keys);
	free(r.repeating);
	return result;
}

/* From now on, look up in the tables.  False: u->error. */
static bool
use_tables(struct uids *u)
{
	if (!u->ready && u->error == 0) {
		u->ready = make_tables(u) == 0;
		if (!u->ready)
			u->error = errno;
	}
	return u->ready;
}

static int
uids_open(struct uids *u, int dir_fd)
{
	struct stat st;

	u->fd = openat(dir_fd, UIDS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (u->fd == -1 || fstat(u->fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size > UINT32_MAX) {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
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
	u->log = s;
	if (uids_open(u, dir_fd) == 0)
		return u;
	error = errno;
	if (error != ENOENT)
		log_error(s->id, "maildir %s: %s: %s", s->path, UIDS_FILE, strerror(error));
	uids_free(u);
	errno = error;
	return NULL;
}

void
uids_examine(int dir_fd, const struct store *s)
{
	struct uids *u = uids_load(dir_fd, s);

	if (u != NULL)
		(void)use_tables(u);
	uids_free(u);
}

void
uids_free(struct uids *u)
{
	if (u == NULL)
		return;
	store_close_fd(u->fd);
	free(u->bases);
	free(u->uids);
	free(u);
}

/* ---- looking up */

static bool
table_find(struct uids *u, const char *base, size_t len, uint32_t *rank, struct uids_line *line)
{
	uint32_t digest = key_digest(u, base, len);
	size_t from = 0, to = u->base_count;

	while (from < to) {
		size_t at = from + (to - from) / 2;

		if (u->bases[at] >> 32 < digest)
			from = at + 1;
		else
			to = at;
	}
	for (; from < u->base_count && u->bases[from] >> 32 == digest; from++) {
		*rank = (uint32_t)u->bases[from];
		if (line_read(u, *rank, line) && line->base_len == len &&
		    memcmp(line->base, base, len) == 0)
			return true;
	}
	return false;
}

bool
uids_find(struct uids *u, const char *base, size_t len, uint32_t *rank, char uid[STORE_UID_SIZE])
{
	struct uids_line line, first;
	bool found = false;
	int64_t place;

	if (!u->ready && u->looked++ < FEW) {
		place = look_for(u, KEY_BASE, base, len, &line);
		if (place == -1)
			return false;
		*rank = (uint32_t)place;
		found = look_for(u, KEY_UID, line.uid, strlen(line.uid), &first) == place;
	}
	/* a line whose unique-id is an earlier one's does not count, but one behind it may */
	if (!found && (!use_tables(u) || !table_find(u, base, len, rank, &line)))
		return false;
	memcpy(uid, line.uid, sizeof(line.uid));
	return true;
}

/*
 * The first place in the table of unique-ids from which on digests are not lower
 * than `digest`, by guesses between the two ends that are known; every second one
 * just halves, so that it ends soon in any case.
 */
static bool
find_uid(struct uids *u, uint32_t digest, size_t *first)
{
	uint64_t low = 0, high = UINT64_C(1) << 32; /* digests before `from` and from `to` on */
	size_t from = 0, to = u->uid_count;
	struct uids_line line;

	for (bool guess = true; from < to; guess = !guess) {
		size_t at = from + (to - from) / 2;
		uint64_t there;

		if (guess && to - from > NEAR)
			at = from + (size_t)((unsigned __int128)(digest - low) * (to - from) /
					     (high - low + 1));
		if (!line_read(u, u->uids[at], &line))
			return false;
		there = line_digest(u, &line, KEY_UID);
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

bool
uids_taken(struct uids *u, const char *uid)
{
	uint32_t digest = key_digest(u, uid, strlen(uid));
	struct uids_line line;
	size_t at;

	if (!u->ready && u->looked++ < FEW)
		return look_for(u, KEY_UID, uid, strlen(uid), &line) != -1;
	if (!use_tables(u) || !find_uid(u, digest, &at))
		return false;
	for (; at < u->uid_count && line_read(u, u->uids[at], &line) &&
	       line_digest(u, &line, KEY_UID) == digest;
	     at++)
		if (strcmp(line.uid, uid) == 0)
			return true;
	return false;
}

int
uids_error(const struct uids *u)
{
	return u->error;
}
