#include "config.h"

#include "worker/store/maildir_table.h"

#include <stdlib.h>
#include <string.h>

#include "worker/store/maildir_name.h"

void
table_init(struct maildir_table *t, const struct maildir_index *index)
{
	*t = (struct maildir_table){.index = index};
}

void
table_free(struct maildir_table *t)
{
	free(t->slots);
	table_init(t, NULL);
}

static size_t
slot_of(const struct maildir_table *t, const char *base, size_t len)
{
	return (size_t)(index_hash(t->index->head.nonce, base, len) % t->room);
}

/* Each message but those with the base name of the one before. */
static int
table_fill(struct maildir_table *t)
{
	size_t count = (size_t)t->index->head.count, at, len, last_len = 0;
	struct maildir_message pair[2], *m = &pair[0], *last = &pair[1], *swap;

	t->room = count + count / 2 + 1;
	if ((t->slots = calloc(t->room, sizeof(t->slots[0]))) == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (index_message(t->index, i, m) == -1)
			continue;
		len = maildir_base_len(m->name);
		if (len == last_len && memcmp(m->name, last->name, len) == 0)
			continue;
		for (at = slot_of(t, m->name, len); t->slots[at] != 0;)
			at = at + 1 < t->room ? at + 1 : 0;
		t->slots[at] = (uint32_t)i + 1;
		swap = last;
		last = m;
		last_len = len;
		m = swap;
	}
	return 0;
}

bool
table_has(struct maildir_table *t, size_t i, const char *base, size_t len,
	  struct maildir_message *m)
{
	if (i >= t->index->head.count || index_message(t->index, i, m) == -1 ||
	    maildir_base_len(m->name) != len || memcmp(m->name, base, len) != 0)
		return false;
	t->expected = i + 1;
	return true;
}

int
table_find(struct maildir_table *t, const char *base, size_t len, size_t *at)
{
	struct maildir_message m;
	size_t slot;

	*at = t->expected;
	if (table_has(t, *at, base, len, &m) && (m.flags & ENTRY_DUPLICATE) == 0)
		return 0; /* of duplicates it need not be the first */
	if (t->slots == NULL && table_fill(t) == -1)
		return -1;
	for (slot = slot_of(t, base, len); t->slots[slot] != 0;
	     slot = slot + 1 < t->room ? slot + 1 : 0) {
		*at = t->slots[slot] - 1;
		if (table_has(t, *at, base, len, &m))
			return 0;
	}
	*at = TABLE_NONE;
	return 0;
}
