#include "config.h"

#include "common/failures.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"

struct entry {
	TAILQ_ENTRY(entry) used; /* most recent failure first */
	TAILQ_ENTRY(entry) in_changed;
	RB_ENTRY(entry) by_key;
	bool changed;
	struct msg_failure row; /* count 0: cleared, until that is taken */
};

TAILQ_HEAD(entry_list, entry);
RB_HEAD(failure_tree, entry);

struct kind {
	size_t n;
	struct entry_list order;
	struct failure_tree tree;
};

struct failures {
	size_t cap;
	uint32_t window;
	struct entry_list changed; /* the one that changed first comes first */
	struct kind kinds[FAILURE_KINDS];
};

static int
entry_compare(const struct entry *a, const struct entry *b)
{
	return memcmp(&a->row.key, &b->row.key, sizeof(a->row.key));
}

RB_PROTOTYPE(failure_tree, entry, by_key, entry_compare)
RB_GENERATE(failure_tree, entry, by_key, entry_compare)

struct failures *
failures_new(size_t cap)
{
	struct failures *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->cap = cap;
	f->window = 1;
	TAILQ_INIT(&f->changed);
	for (size_t i = 0; i < FAILURE_KINDS; i++) {
		TAILQ_INIT(&f->kinds[i].order);
		RB_INIT(&f->kinds[i].tree);
	}
	return f;
}

static void
entry_drop(struct failures *f, struct entry *e)
{
	struct kind *k = &f->kinds[e->row.kind];

	TAILQ_REMOVE(&k->order, e, used);
	if (e->changed)
		TAILQ_REMOVE(&f->changed, e, in_changed);
	RB_REMOVE(failure_tree, &k->tree, e);
	k->n--;
	free(e);
}

void
failures_free(struct failures *f)
{
	struct entry *e;

	if (f == NULL)
		return;
	for (size_t i = 0; i < FAILURE_KINDS; i++)
		while ((e = TAILQ_FIRST(&f->kinds[i].order)) != NULL)
			entry_drop(f, e);
	free(f);
}

void
failures_set_window(struct failures *f, uint32_t seconds)
{
	f->window = seconds;
}

static struct entry *
entry_find(const struct failures *f, enum failure_kind kind, const struct failure_key *key)
{
	struct entry wanted = {.row.key = *key};

	/* sys/tree.h looks without changing anything */
	return RB_FIND(failure_tree, (struct failure_tree *)(uintptr_t)&f->kinds[kind].tree,
		       &wanted);
}

/* The entry of key, made if there is none, as the most recent one.  NULL: no memory. */
static struct entry *
entry_get(struct failures *f, enum failure_kind kind, const struct failure_key *key)
{
	struct kind *k = &f->kinds[kind];
	struct entry *e = entry_find(f, kind, key);

	if (e != NULL) {
		TAILQ_REMOVE(&k->order, e, used);
		TAILQ_INSERT_HEAD(&k->order, e, used);
		return e;
	}
	while (k->n > 0 && k->n >= f->cap)
		entry_drop(f, TAILQ_LAST(&k->order, entry_list));
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	e->row.kind = kind;
	e->row.key = *key;
	RB_INSERT(failure_tree, &k->tree, e);
	TAILQ_INSERT_HEAD(&k->order, e, used);
	k->n++;
	return e;
}

static void
entry_changed(struct failures *f, struct entry *e)
{
	if (!e->changed)
		TAILQ_INSERT_TAIL(&f->changed, e, in_changed);
	e->changed = true;
}

static bool
entry_expired(const struct failures *f, const struct entry *e, uint64_t now)
{
	return now < e->row.first || now - e->row.first >= f->window;
}

void
failures_add(struct failures *f, enum failure_kind kind, const struct failure_key *key,
	     uint64_t now, bool known)
{
	struct entry *e = entry_get(f, kind, key);

	if (e == NULL)
		return;
	if (e->row.count == 0 || entry_expired(f, e, now)) {
		e->row.first = now;
		e->row.count = 0;
	}
	if (e->row.count < UINT32_MAX)
		e->row.count++;
	e->row.known = known;
	entry_changed(f, e);
}

uint32_t
failures_count(const struct failures *f, enum failure_kind kind, const struct failure_key *key,
	       uint64_t now, bool *known)
{
	const struct entry *e = entry_find(f, kind, key);

	if (known != NULL)
		*known = e != NULL && e->row.count > 0 && e->row.known != 0;
	return e == NULL || entry_expired(f, e, now) ? 0 : e->row.count;
}

void
failures_clear(struct failures *f, enum failure_kind kind, const struct failure_key *key)
{
	struct entry *e = entry_find(f, kind, key);

	if (e == NULL)
		return;
	e->row.count = 0;
	entry_changed(f, e);
}

void
failures_put(struct failures *f, const struct msg_failure *row)
{
	struct entry *e = entry_get(f, (enum failure_kind)row->kind, &row->key);

	if (e == NULL)
		return;
	e->row = *row;
	if (row->count == 0)
		entry_drop(f, e);
}

size_t
failures_take(struct failures *f, struct msg_failures *m)
{
	struct entry *e;

	m->count = m->unused = 0;
	while (m->count < COUNT_OF(m->rows) && (e = TAILQ_FIRST(&f->changed)) != NULL) {
		TAILQ_REMOVE(&f->changed, e, in_changed);
		e->changed = false;
		m->rows[m->count++] = e->row;
		if (e->row.count == 0)
			entry_drop(f, e);
	}
	return m->count == 0 ? 0
			     : offsetof(struct msg_failures, rows) + m->count * sizeof(m->rows[0]);
}

void
failures_mark(struct failures *f)
{
	struct entry *e;

	for (size_t i = 0; i < FAILURE_KINDS; i++)
		TAILQ_FOREACH_REVERSE (e, &f->kinds[i].order, entry_list, used)
			entry_changed(f, e);
}
