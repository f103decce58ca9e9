#include "config.h"

#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/auth/failures.h"

struct entry {
	TAILQ_ENTRY(entry) used; /* most recent failure first */
	RB_ENTRY(entry) by_key;
	uint64_t first; /* when its count began */
	uint32_t count;
	bool known;
	size_t len;
	const unsigned char *key;
	unsigned char own_key[];
};

TAILQ_HEAD(entry_order, entry);
RB_HEAD(entry_tree, entry);

struct failures {
	size_t cap, n;
	uint32_t window;
	struct entry_order order;
	struct entry_tree tree;
};

static int
entry_compare(const struct entry *a, const struct entry *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->key, b->key, a->len);
}

RB_PROTOTYPE(entry_tree, entry, by_key, entry_compare)
RB_GENERATE(entry_tree, entry, by_key, entry_compare)

struct failures *
failures_new(size_t cap)
{
	struct failures *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->cap = cap;
	f->window = 1;
	TAILQ_INIT(&f->order);
	RB_INIT(&f->tree);
	return f;
}

static void
failures_drop(struct failures *f, struct entry *e)
{
	TAILQ_REMOVE(&f->order, e, used);
	RB_REMOVE(entry_tree, &f->tree, e);
	explicit_bzero(e->own_key, e->len); /* people type passwords as names */
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

static struct entry *
failures_find(struct failures *f, const void *key, size_t len)
{
	struct entry wanted = {.key = key, .len = len};

	return RB_FIND(entry_tree, &f->tree, &wanted);
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
	memcpy(e->own_key, key, len);
	e->key = e->own_key;
	RB_INSERT(entry_tree, &f->tree, e);
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
failures_count(struct failures *f, const void *key, size_t len, uint64_t now, bool *known)
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
