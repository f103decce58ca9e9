#include "config.h"

#include "worker/store/maildir_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/store/grow.h"
#include "worker/store/maildir_name.h"
#include "worker/store/natural.h"
#include "worker/store/sort.h"

void
list_init(struct maildir_list *l, const int dirs[MAILDIR_DIRS], struct maildir_index *index)
{
	*l = (struct maildir_list){.dirs = dirs, .index = index};
}

void
list_free(struct maildir_list *l)
{
	free(l->entries);
	l->entries = NULL;
}

/* Names without seconds come last; natural order tells apart those with more than fit. */
static uint32_t
key_of(const char *name)
{
	uint64_t seconds = maildir_seconds(name);

	if (name[0] < '0' || name[0] > '9')
		return UINT32_MAX;
	return seconds < UINT32_MAX - 1 ? (uint32_t)seconds : UINT32_MAX - 1;
}

int
list_add(struct maildir_list *l, const struct maildir_message *m)
{
	int64_t block;

	if (grow(&l->entries, &l->room, l->count + 1, sizeof(*l->entries)) == -1 ||
	    (block = index_put_block(l->index, m)) == -1)
		return -1;
	l->entries[l->count++] =
	    (struct list_entry){.key = (m->flags & ENTRY_RANKED) != 0 ? m->rank : key_of(m->name),
				.block = (uint32_t)block,
				.flags = m->flags};
	return 0;
}

static size_t
base_len_of(const char *name, size_t len)
{
	const char *colon = memchr(name, ':', len);

	return colon != NULL ? (size_t)(colon - name) : len;
}

/* By base names; 0: they have the same. */
static int
base_compare(const struct list_entry *a, const struct list_entry *b,
	     const struct maildir_index *index)
{
	uint32_t ranked_a = a->flags & ENTRY_RANKED, ranked_b = b->flags & ENTRY_RANKED;
	size_t x_len, y_len;
	const char *x, *y;

	if (ranked_a != ranked_b)
		return ranked_a > ranked_b ? -1 : 1;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	x = index_block_name(index, a->block, &x_len);
	y = index_block_name(index, b->block, &y_len);
	return natural_compare(x, base_len_of(x, x_len), y, base_len_of(y, y_len));
}

static int
entry_compare(const void *a, const void *b, void *arg)
{
	const struct list_entry *x = a, *y = b;
	const struct maildir_index *index = arg;
	int order = base_compare(x, y, index);
	size_t x_len, y_len;
	const char *p, *q;

	if (order != 0)
		return order;
	p = index_block_name(index, x->block, &x_len);
	q = index_block_name(index, y->block, &y_len);
	order = memcmp(p, q, x_len < y_len ? x_len : y_len);
	if (order == 0)
		order = (x_len > y_len) - (x_len < y_len);
	return order != 0 ? order : (x->flags > y->flags) - (x->flags < y->flags);
}

/* The names are in the index, which its owner may write to: they have an order or none. */
static void
list_sort(struct maildir_list *l)
{
	for (size_t i = 1; i < l->count; i++)
		if (entry_compare(&l->entries[i - 1], &l->entries[i], l->index) > 0) {
			sort(l->entries, l->count, sizeof(l->entries[0]), entry_compare, l->index);
			return;
		}
}

/* An entry with its inode, while names that occur twice are settled. */
struct duplicate {
	struct list_entry entry;
	uint64_t inode;
	dev_t device;
};

static int
duplicate_compare(const void *a, const void *b)
{
	const struct duplicate *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/*
 * Of `n` entries with one base name keep the files that there are, each one once:
 * sets *n.  If there is none, it was renamed meanwhile, and will be found by its
 * base name: the last one stands for it, which is in cur/ if any is.
 */
static int
duplicates_look(const struct maildir_list *l, struct duplicate *duplicates, size_t *n)
{
	size_t have = 0, kept = 0;
	struct maildir_message m;
	struct stat st;

	for (size_t i = 0; i < *n; i++) {
		const struct list_entry *e = &duplicates[i].entry;
		int dir = (e->flags & ENTRY_IN_CUR) != 0 ? MAILDIR_CUR : MAILDIR_NEW;

		if (index_block(l->index, e->block, e->flags, &m) == -1) {
			errno = EIO;
			return -1;
		}
		if (fstatat(l->dirs[dir], m.name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			duplicates[have].inode = st.st_ino;
			duplicates[have].device = st.st_dev;
			duplicates[have++].entry = *e;
		}
	}
	if (have == 0)
		duplicates[have++].entry = duplicates[*n - 1].entry;
	qsort(duplicates, have, sizeof(duplicates[0]), duplicate_compare);
	for (size_t i = 0; i < have; i++)
		if (kept > 0 && duplicates[kept - 1].inode == duplicates[i].inode &&
		    duplicates[kept - 1].device == duplicates[i].device)
			duplicates[kept - 1].entry.flags |= ENTRY_LINKED;
		else
			duplicates[kept++] = duplicates[i];
	*n = kept;
	return 0;
}

/* Give a duplicate, not the first if `later`, a block that notes its inode. */
static int
duplicate_note(struct maildir_list *l, struct duplicate *t, bool later)
{
	struct maildir_message m;
	int64_t block;

	if (index_block(l->index, t->entry.block, t->entry.flags, &m) == -1) {
		errno = EIO;
		return -1;
	}
	t->entry.flags |= later ? ENTRY_DUPLICATE | ENTRY_MADE_UID : ENTRY_DUPLICATE;
	m.flags = t->entry.flags;
	m.inode = t->inode;
	if (later)
		m.uid[0] = '\0';
	if ((block = index_put_block(l->index, &m)) == -1)
		return -1;
	t->entry.block = (uint32_t)block;
	return 0;
}

/*
 * The `n` entries from `from` on have one base name.  What is left of them goes
 * to `to`, which advances.  The lowest inode keeps the base name as its
 * unique-id, the others get one made of name and inode: each stays the same
 * as long as these files are there.
 */
static int
duplicates_settle(struct maildir_list *l, size_t from, size_t n, size_t *to)
{
	struct duplicate *duplicates = calloc(n, sizeof(*duplicates));
	const struct list_entry *e = &l->entries[from];
	size_t names = 0;
	int result = 0;

	if (duplicates == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (i == 0 || entry_compare(&e[i - 1], &e[i], l->index) != 0)
			duplicates[names++].entry = e[i];
	n = names;
	if (n > 1)
		result = duplicates_look(l, duplicates, &n);
	for (size_t i = 0; i < n && result == 0; i++) {
		if (n > 1)
			result = duplicate_note(l, &duplicates[i], i > 0);
		l->entries[(*to)++] = duplicates[i].entry;
	}
	free(duplicates);
	return result;
}

int
list_settle(struct maildir_list *l)
{
	size_t to = 0, n;

	if (index_map(l->index) == -1)
		return -1;
	list_sort(l);
	for (size_t i = 0; i < l->count; i += n) {
		n = 1;
		while (i + n < l->count &&
		       base_compare(&l->entries[i], &l->entries[i + n], l->index) == 0)
			n++;
		if (n == 1)
			l->entries[to++] = l->entries[i];
		else if (duplicates_settle(l, i, n, &to) == -1)
			return -1;
	}
	l->count = to;
	return index_map(l->index);
}
