#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/archive.h"

const char *
archive_kind_name(enum archive_kind kind)
{
	static const char *const names[ARCHIVE_KINDS] = {
	    [ARCHIVE_MAILDIR] = "maildir",
	    [ARCHIVE_DIRECTORY] = "dir",
	    [ARCHIVE_MH] = "mh",
	    [ARCHIVE_CYRUS] = "cyrus",
	    [ARCHIVE_MBOX] = "mbox",
	};

	return names[kind];
}

static void *
map_whole(int fd, int protection, int sharing, size_t *size)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1)
		return NULL;
	*size = (size_t)st.st_size;
	p = mmap(NULL, *size, protection, sharing, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Does everything that the table names lie within its `size` octets? */
static bool
table_is_sound(struct archive *a, size_t size)
{
	size_t left = size - sizeof(*a->head), names_len;

	if (a->head->kind >= ARCHIVE_KINDS || a->head->count > left / sizeof(a->entries[0]))
		return false;
	names_len = left - a->head->count * sizeof(a->entries[0]);
	a->entries = (const struct archive_entry *)(a->head + 1);
	a->names = (const char *)(a->entries + a->head->count);
	if (names_len == 0 || a->names[names_len - 1] != '\0')
		return false;
	for (size_t i = 0; i < a->head->count; i++)
		if (a->entries[i].name >= names_len || a->entries[i].start > a->entries[i].end)
			return false;
	return true;
}

int
archive_map(struct archive *a, int table, int flags)
{
	size_t size, flags_size;

	/* Before Linux 6.7 what is sealed against writing cannot be mapped as shared at all. */
	if ((a->head = map_whole(table, PROT_READ, MAP_PRIVATE, &size)) == NULL ||
	    (a->flags = map_whole(flags, PROT_READ | PROT_WRITE, MAP_SHARED, &flags_size)) == NULL)
		return -1;
	if (size >= sizeof(*a->head) && table_is_sound(a, size) && flags_size >= a->head->count)
		return 0;
	errno = EBADMSG;
	return -1;
}
