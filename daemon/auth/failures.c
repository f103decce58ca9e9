#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "daemon/auth/failures.h"

enum { BUCKETS = 4096 };

struct entry {
	TAILQ_ENTRY(entry) used;   /* most recent failure first */
	LIST_ENTRY(entry) sibling; /* in its bucket */
	uint64_t first;		   /* when its count began */
	uint32_t count;
	bool known;
	size_t len;
	unsigned char key[];
};

TAILQ_HEAD(entry_order, entry);
LIST_HEAD(entry_bucket, entry);

struct failures {
	size_t cap, n;
	uint32_t window;
	uint64_t seed; /* so that nobody outside can choose who shares a bucket */
	struct entry_order order;
	struct entry_bucket bucket[BUCKETS];
};

struct failures *
failures_new(size_t cap)
{
	struct failures *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	if (getrandom(&f->seed, sizeof(f->seed), 0) < 0) {
		free(f);
		return NULL;
	}
	f->cap = cap;
	f->window = 1;
	TAILQ_INIT(&f->order);
	return f;
}

static void
failures_drop(struct failures *f, struct entry *e)
{
	TAILQ_REMOVE(&f->order, e, used);
	LIST_REMOVE(e, sibling);
	explicit_bzero(e->key, e->len); /* people type passwords as names */
	free(e);
	f->n--;
}

void
failures_free(struct failures *f)
{
	struct entry *e;

	if (f == NULL)
		return;
	while ((e = TAILQ_FIRST(&f->order)) != NULL)
		failures_drop(f, e);
	free(f);
}

void
failures_set_window(struct failures *f, uint32_t seconds)
{
	f->window = seconds;
}

/* A seeded mixing hash; flooding one bucket costs an attacker nothing but a
 * walk over at most `cap` short keys. */
static size_t
failures_bucket(const struct failures *f, const unsigned char *key, size_t len)
{
	uint64_t h = f->seed ^ len;

	for (size_t i = 0; i < len; i++) {
		h = (h ^ key[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return (size_t)(h % BUCKETS);
}

static struct entry *
failures_find(const struct failures *f, const void *key, size_t len)
{
	struct entry *e;

	LIST_FOREACH (e, &f->bucket[failures_bucket(f, key, len)], sibling)
		if (e->len == len && memcmp(e->key, key, len) == 0)
			return e;
	return NULL;
}

static struct entry *
failures_make(struct failures *f, const void *key, size_t len, uint64_t now)
{
	struct entry *e;

	while (f->n > 0 && f->n >= f->cap)
		failures_drop(f, TAILQ_LAST(&f->order, entry_order));
	e = calloc(1, sizeof(*e) + len);
	if (e == NULL)
		return NULL;
	e->len = len;
	e->first = now;
	memcpy(e->key, key, len);
	LIST_INSERT_HEAD(&f->bucket[failures_bucket(f, key, len)], e, sibling);
	TAILQ_INSERT_HEAD(&f->order, e, used);
	f->n++;
	return e;
}

static bool
failures_expired(const struct failures *f, const struct entry *e, uint64_t now)
{
	return now < e->first || now - e->first >= f->window;
}

void
failures_add(struct failures *f, const void *key, size_t len, uint64_t now, bool known)
{
	struct entry *e = failures_find(f, key, len);

	if (e == NULL) {
		e = failures_make(f, key, len, now);
		if (e == NULL)
			return;
	} else {
		TAILQ_REMOVE(&f->order, e, used);
		TAILQ_INSERT_HEAD(&f->order, e, used);
	}
	if (failures_expired(f, e, now)) {
		e->first = now;
		e->count = 0;
	}
	if (e->count < UINT32_MAX)
		e->count++;
	e->known = known;
}

uint32_t
failures_count(const struct failures *f, const void *key, size_t len, uint64_t now, bool *known)
{
	const struct entry *e = failures_find(f, key, len);

	if (known != NULL)
		*known = e != NULL && e->known;
	return e == NULL || failures_expired(f, e, now) ? 0 : e->count;
}

void
failures_clear(struct failures *f, const void *key, size_t len)
{
	struct entry *e = failures_find(f, key, len);

	if (e != NULL)
		failures_drop(f, e);
}

size_t
failures_size(const struct failures *f)
{
	return f->n;
}
