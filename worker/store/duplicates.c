#include "config.h"

#include "worker/store/fresh.h"
#include "worker/store/duplicates.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/digest.h"
#include "worker/store/grow.h"

enum { HEX_LEN = 2 * STORE_DIGEST, LINE_SIZE = 128, DUPLICATES_MAX = 100000, FRESH_SIZE = 80 };

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

/* Read the file; lines that make no sense are passed over.  0 or -1 with errno. */
static int
duplicates_read(struct duplicates *t, int dir_fd, const char *name)
{
	char line[LINE_SIZE], hex[STORE_UID_SIZE];
	uint32_t place, number;
	int result = 0;
	FILE *f;
	int fd;

	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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

int
duplicates_number(int dir_fd, const char *name, const uint8_t (*digests)[STORE_DIGEST],
		  size_t count, uint32_t *numbers)
{
	struct duplicates t = {0};
	int result = digest_number(digests, count, numbers);

	if (result == 0 && dir_fd != -1)
		result = duplicates_read(&t, dir_fd, name);
	duplicates_sort(&t);
	for (size_t i = 0; i < count && result == 0 && t.count > 0; i++)
		numbers[i] = duplicates_find(&t, digests[i], numbers[i]);
	free(t.list);
	return result;
}

/* Those of the messages that stay whose number is not their place. */
static int
duplicates_collect(struct duplicates *t, const uint8_t (*digests)[STORE_DIGEST],
		   const uint32_t *numbers, size_t count, const uint64_t *marked)
{
	uint8_t(*kept)[STORE_DIGEST] = calloc(count + 1, sizeof(*kept));
	uint32_t *was = calloc(count + 1, sizeof(*was)), *place = calloc(count + 1, sizeof(*place));
	char hex[STORE_UID_SIZE];
	int result = -1;
	size_t n = 0;

	if (kept == NULL || was == NULL || place == NULL)
		goto out;
	for (size_t i = 0; i < count; i++) {
		if (store_is_marked(marked, i))
			continue;
		memcpy(kept[n], digests[i], STORE_DIGEST);
		was[n++] = numbers[i];
	}
	result = digest_number((const uint8_t(*)[STORE_DIGEST])kept, n, place);
	for (size_t i = 0; i < n && result == 0; i++) {
		if (was[i] == place[i])
			continue;
		digest_hex(kept[i], hex);
		result = duplicates_add(t, hex, place[i], was[i]);
	}
out:
	free(kept);
	free(was);
	free(place);
	return result;
}

static int
duplicates_write(const struct duplicates *t, int dir_fd, const char *name)
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
	for (size_t i = 0; i < t->count; i++)
		fprintf(f, "%s %" PRIu32 " %" PRIu32 "\n", t->list[i].hex, t->list[i].place,
			t->list[i].number);
	good = fflush(f) == 0 && fsync(fd) == 0;
	good = fclose(f) == 0 && good;
	if (good && renameat(dir_fd, fresh, dir_fd, name) == 0)
		return 0;
	(void)unlinkat(dir_fd, fresh, 0);
	return -1;
}

int
duplicates_keep(int dir_fd, const char *name, const uint8_t (*digests)[STORE_DIGEST],
		const uint32_t *numbers, size_t count, const uint64_t *marked)
{
	struct duplicates t = {0};
	int result = duplicates_collect(&t, digests, numbers, count, marked);

	if (result == 0 && dir_fd == -1) {
		result = t.count > 0 ? -1 : 0;
		errno = ENOSPC;
	} else if (result == 0 && t.count > 0)
		result = duplicates_write(&t, dir_fd, name);
	else if (result == 0 && unlinkat(dir_fd, name, 0) == -1 && errno != ENOENT)
		result = -1;
	free(t.list);
	return result;
}
