#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/archive.h"

const char *
archive_kind_name(enum archive_kind kind)
{
	static const char *const names[ARCHIVE_KINDS] = {
	    [ARCHIVE_MAILDIR] = "maildir", [ARCHIVE_DIRECTORY] = "dir", [ARCHIVE_MH] = "mh",
	    [ARCHIVE_CYRUS] = "cyrus",	   [ARCHIVE_MBOX] = "mbox",
	};

	return names[kind];
}

int
archive_open_file(int in, const char *name)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(in, name, flags | O_NOATIME);

	/* only for the owner of the file */
	return fd == -1 && errno == EPERM ? openat(in, name, flags) : fd;
}

/* ---- the order to scan: "--scan", four numbers, the path ---- */

enum { ORDER_NUMBERS = 4, ORDER_ARGS = ORDER_NUMBERS + 3 };

int
archive_order_exec(const struct archive_order *o, const char *program, int in, int table)
{
	const uint32_t numbers[ORDER_NUMBERS] = {o->kind, o->options, o->mbox_format,
						 o->mbox_split};
	char texts[ORDER_NUMBERS][16];
	char *argv[ORDER_ARGS + 1] = {(char *)"pop3d-session", (char *)"--scan"};
	/* out of the way of the numbers that they get */
	int from = fcntl(in, F_DUPFD_CLOEXEC, ARCHIVE_SCAN_OUT + 1),
	    to = fcntl(table, F_DUPFD_CLOEXEC, ARCHIVE_SCAN_OUT + 1);

	for (size_t i = 0; i < ORDER_NUMBERS; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "%" PRIu32, numbers[i]);
		argv[i + 2] = texts[i];
	}
	argv[ORDER_ARGS - 1] = (char *)(uintptr_t)o->path;
	if (from == -1 || to == -1 || dup2(from, ARCHIVE_SCAN_IN) == -1 ||
	    dup2(to, ARCHIVE_SCAN_OUT) == -1)
		return -1;
	return execv(program, argv);
}

int
archive_order_read(struct archive_order *o, int argc, char *argv[])
{
	uint32_t numbers[ORDER_NUMBERS];
	char *end;

	if (argc != ORDER_ARGS || strcmp(argv[1], "--scan") != 0)
		return -1;
	for (size_t i = 0; i < ORDER_NUMBERS; i++) {
		numbers[i] = (uint32_t)strtoul(argv[i + 2], &end, 10);
		if (*end != '\0')
			return -1;
	}
	*o = (struct archive_order){numbers[0], numbers[1], numbers[2], numbers[3],
				    argv[ORDER_ARGS - 1]};
	return o->kind < ARCHIVE_KINDS ? 0 : -1;
}

/* ---- the table ---- */

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
