/*
 * libFuzzer: the history of a mailbox, a file of its owner's.  Whatever is in
 * it, what is told of it is printable, has the form of ours, and is no more than there are
 * lines; values lie within the words.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/store/history.h"
#include "worker/store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1;

/* In place of store.c, which brings all stores with it. */
enum store_result
store_open_file(int dir_fd, const char *name, struct store_reader *r)
{
	(void)dir_fd, (void)name;
	*r = (struct store_reader){.fd = file};
	return STORE_OK;
}

void
store_reader_end(struct store_reader *r)
{
	r->fd = -1;
}

static void
check(const struct history_event *e, void *arg)
{
	static const char *const keys[] = {"uid", "octets", "retrieved", "conn", "peer",
					   "tls", "mech",   "server",	 "user", ""};
	size_t *count = arg, words = strlen(e->words), sum = 0, len;

	++*count;
	if (strlen(e->when) != 20 || words >= HISTORY_LINE_MAX ||
	    (strcmp(e->what, "deleted") != 0 && strcmp(e->what, "kept") != 0 &&
	     strcmp(e->what, "unknown") != 0))
		abort();
	for (const char *p = e->words; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			abort();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = history_value(e->words, keys[i], &len);

		if (value == NULL)
			continue;
		if (value < e->words || value + len > e->words + words)
			abort();
		sum += len;
	}
	if (sum > words)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = 0, lines = 0;

	if (file == -1 && (file = memfd_create("history", MFD_CLOEXEC)) == -1)
		abort();
	if (ftruncate(file, 0) == -1 || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (history_read(-1, "", check, &count) != 0 || count > lines)
		abort();
	return 0;
}
