#include "config.h"

#include "worker/store/maildir_follow.h"

#include <errno.h>
#include <string.h>

#include "worker/store/maildir_name.h"
#include "worker/store/maildir_table.h"

/* Take over name and directory. */
static int
follow_to(struct maildir_index *ix, size_t i, struct maildir_message *was,
	  const struct maildir_message *is)
{
	uint32_t flags = was->flags & ~(uint32_t)(ENTRY_IN_CUR | ENTRY_GONE);
	bool renamed = strcmp(was->name, is->name) != 0;

	flags |= is->flags & (ENTRY_IN_CUR | ENTRY_LINKED);
	if (!renamed && flags == was->flags)
		return 0;
	was->flags = flags;
	was->name_len = is->name_len;
	memcpy(was->name, is->name, is->name_len + 1);
	return index_set_message(ix, i, was, renamed);
}

/* Find message i in the table of what there is now. */
static int
follow_one(const struct maildir_place *p, struct maildir_index *ix, size_t i,
	   struct maildir_table *now)
{
	struct maildir_message was, other, is;
	bool there = false, found = false;
	size_t at, len;

	if (index_message(ix, i, &was) == -1) {
		errno = EIO;
		return -1;
	}
	len = maildir_base_len(was.name);
	if (table_find(now, was.name, len, &at) == -1)
		return -1;
	for (; at != TABLE_NONE && table_has(now, at, was.name, len, &other); at++) {
		there = true;
		if (!found && (found = build_is_same(p, &was, &other)))
			is = other;
	}
	if (found)
		return follow_to(ix, i, &was, &is);
	/* A duplicate is known by its inode; without one an unclear case is left alone. */
	if (!now->index->quiet || (was.flags & ENTRY_GONE) != 0 ||
	    (there && (was.flags & ENTRY_DUPLICATE) == 0))
		return 0;
	was.flags |= ENTRY_GONE;
	return index_set_message(ix, i, &was, false);
}

int
follow_names(const struct maildir_place *p, struct maildir_index *ix, const struct store *s)
{
	struct maildir_index now;
	struct maildir_table table;
	int result = 0;

	if (build_list(p, &now, s) == -1)
		return -1;
	table_init(&table, &now);
	for (size_t i = 0; i < ix->head.count && result == 0; i++)
		if ((index_flags(ix, i) & ENTRY_REMOVED) == 0)
			result = follow_one(p, ix, i, &table);
	table_free(&table);
	index_close(&now);
	(void)index_unsettle(ix);
	return index_map(ix) == -1 ? -1 : result;
}
