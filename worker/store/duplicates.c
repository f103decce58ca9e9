#include "config.h"

#include "worker/store/fresh.h"
#include "worker/store/duplicates.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/digest.h"
#include "worker/store/grow.h"

enum {
	HEX_LEN = 2 * STORE_DIGEST,
	LINE_SIZE = 128,
	DUPLICATES_MAX = 100000,
	FILE_MAX = DUPLICATES_MAX * LINE_SIZE,
	FRESH_SIZE = 80
};

/* The message that is the place-th with its digest. */
struct duplicate {
	char hex[STORE_UID_SIZE];
	uint32_t place, number;
	uint32_t last; /* the highest number with its digest; set by duplicates_sort() */
};

struct duplicates {
	struct duplicate *list;
	size_t count, room;
};

static int
duplicates_add(struct duplicates *t, const char *hex, uint32_t place, uint32_t number)
{
	if (grow(&t->list, &t->room, t->count + 1, sizeof(t->list[0])) == -1)
		return -1;
	memcpy(t->list[t->count].hex, hex, HEX_LEN + 1);
	t->list[t->count].place = place;
	t->list[t->count++].number = number;
	return 0;
}

/* The owner may have put anything at the name.  A descriptor to read, or -1 with errno. */
static int
duplicates_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), error = 0;
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = EINVAL;
	else if (st.st_size > FILE_MAX)
		error = EFBIG;
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* Read the file; lines that make no sense are passed over.  0 or -1 with errno. */
static int
duplicates_read(struct duplicates *t, int dir_fd, const char *name)
{
	char line[LINE_SIZE], hex[STORE_UID_SIZE];
	uint32_t place, number;
	int result = 0;
	FILE *f;
	int fd;

	fd = duplicates_open(dir_fd, name);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if ((f = fdopen(fd, "r")) == NULL) {
		close(fd);
		return -1;
	}
	while (result == 0 && t->count < DUPLICATES_MAX && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%64[0-9a-f] %" SCNu32 " %" SCNu32, hex, &place, &number) == 3 &&
		    strlen(hex) == HEX_LEN && place > 0 && number > place)
			result = duplicates_add(t, hex, place, number);
	if (ferror(f))
		result = -1;
	fclose(f);
	return result;
}

static int
duplicate_compare(const void *a, const void *b)
{
	const struct duplicate *x = a, *y = b;
	int order = strcmp(x->hex, y->hex);

	return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* By digest and place: whoever sends one message many times shall not make many searches long. */
static void
duplicates_sort(struct duplicates *t)
{
	uint32_t last = 0;

	if (t->count > 0)
		qsort(t->list, t->count, sizeof(t->list[0]), duplicate_compare);
	for (size_t i = 0; i < t->count; i++) {
		if (i == 0 || strcmp(t->list[i].hex, t->list[i - 1].hex) != 0)
			last = 0;
		if (t->list[i].number > last)
			last = t->list[i].number;
		t->list[i].last = last;
	}
}

/* The number of the place-th message of a digest.  Those that came since go on behind the last. */
static uint32_t
duplicates_find(const struct duplicates *t, const uint8_t digest[STORE_DIGEST], uint32_t place)
{
	struct duplicate wanted = {.place = place};
	size_t from = 0, to = t->count, at;
	const struct duplicate *e;

	digest_hex(digest, wanted.hex);
	while (from < to) { /* the first that is not before it */
		at = from + (to - from) / 2;
		if (duplicate_compare(&t->list[at], &wanted) < 0)
			from = at + 1;
		else
			to = at;
	}
	if (from < t->count && strcmp(t->list[from].hex, wanted.hex) == 0)
		return t->list[from].place == place ? t->list[from].number : place;
	e = from > 0 ? &t->list[from - 1] : NULL;
	return e != NULL && strcmp(e->hex, wanted.hex) == 0 ? e->last + (place - e->place) : place;
}

/* 0 or -1 with errno. */
static int
duplicates_apply(const struct duplicates *t, const struct digests *d, uint32_t *numbers)
{
	const uint8_t *digest;

	for (size_t i = 0; i < d->count && t->count > 0; i++) {
		if ((digest = d->get(d->arg, i)) == NULL)
			return -1;
		numbers[i] = duplicates_find(t, digest, numbers[i]);
	}
	return 0;
}

uint32_t *
duplicates_number(int dir_fd, const char *name, const struct digests *d)
{
	uint32_t *numbers = digest_number(d);
	struct duplicates t = {0};
	int result = -1;

	if (numbers == NULL)
		return NULL;
	if (dir_fd == -1)
		return numbers;
	if (duplicates_read(&t, dir_fd, name) == 0) {
		duplicates_sort(&t);
		result = duplicates_apply(&t, d, numbers);
	}
	free(t.list);
	if (result == 0)
		return numbers;
	free(numbers);
	return NULL;
}

/* The messages that stay. */
struct stay {
	const struct digests *all;
	const uint64_t *marked;
	size_t next; /* of all, where the next one is looked for */
};

/* The next one's place among all. */
static size_t
stay_next(struct stay *s)
{
	while (store_is_marked(s->marked, s->next))
		s->next++;
	return s->next++;
}

static const uint8_t *
stay_digest(void *arg, size_t i)
{
	struct stay *s = arg;

	if (i == 0)
		s->next = 0;
	return s->all->get(s->all->arg, stay_next(s));
}

/* Write a line for each of the first `count` that stay whose number is not its place, to f (NULL:
 * nowhere).  How many there are, or -1 with errno. */
static ssize_t
duplicates_put(FILE *f, struct stay *s, size_t count, const uint32_t *numbers,
	       const uint32_t *places)
{
	char hex[STORE_UID_SIZE];
	const uint8_t *digest;
	ssize_t lines = 0;

	s->next = 0;
	for (size_t k = 0; k < count; k++) {
		size_t i = stay_next(s);

		if (numbers[i] == places[k])
			continue;
		lines++;
		if (f == NULL)
			continue;
		if ((digest = s->all->get(s->all->arg, i)) == NULL)
			return -1;
		digest_hex(digest, hex);
		fprintf(f, "%s %" PRIu32 " %" PRIu32 "\n", hex, places[k], numbers[i]);
	}
	return lines;
}

static int
duplicates_write(int dir_fd, const char *name, struct stay *s, size_t count,
		 const uint32_t *numbers, const uint32_t *places)
{
	char fresh[FRESH_SIZE];
	bool good;
	FILE *f;
	int fd;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", name);
	fd = fresh_make(dir_fd, fresh, O_WRONLY);
	if (fd == -1)
		return -1;
	if ((f = fdopen(fd, "w")) == NULL) {
		close(fd);
		return -1;
	}
	good = duplicates_put(f, s, count, numbers, places) != -1;
	good = fflush(f) == 0 && fsync(fd) == 0 && good;
	good = fclose(f) == 0 && good;
	if (good && renameat(dir_fd, fresh, dir_fd, name) == 0)
		return 0;
	(void)unlinkat(dir_fd, fresh, 0);
	return -1;
}

/* Does a message that stays have another number than 1?  Else each is the first one in its place,
 * too. */
static bool
duplicates_stay(const uint32_t *numbers, size_t count, const uint64_t *marked)
{
	for (size_t i = 0; i < count; i++)
		if (numbers[i] > 1 && !store_is_marked(marked, i))
			return true;
	return false;
}

/* 0 or -1 with errno. */
static int
duplicates_remove(int dir_fd, const char *name)
{
	return dir_fd == -1 || unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ? 0 : -1;
}

int
duplicates_keep(int dir_fd, const char *name, const struct digests *d, const uint32_t *numbers,
		const uint64_t *marked)
{
	struct stay s = {.all = d, .marked = marked};
	struct digests left = {.get = stay_digest, .arg = &s};
	uint32_t *places;
	int result;

	if (!duplicates_stay(numbers, d->count, marked))
		return duplicates_remove(dir_fd, name);
	for (size_t i = 0; i < d->count; i++)
		left.count += !store_is_marked(marked, i);
	if ((places = digest_number(&left)) == NULL)
		return -1;
	if (duplicates_put(NULL, &s, left.count, numbers, places) == 0) {
		result = duplicates_remove(dir_fd, name);
	} else if (dir_fd == -1) {
		errno = ENOSPC;
		result = -1;
	} else {
		result = duplicates_write(dir_fd, name, &s, left.count, numbers, places);
	}
	free(places);
	return result;
}
