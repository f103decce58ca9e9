/*
 * libFuzzer: any octets as an mbox, in the form that the first one names.  The
 * messages lie in the file one behind the other without a gap; each is read as
 * it was listed, in size and digest; mail that is delivered moves none of them.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/store/mbox_table.h"

#define MAIL "From a@example.org Mon Jan  2 10:00:00 2023\nA: b\n\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_places(struct mbox_table *t)
{
	struct mbox_range range;
	uint64_t at = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct mbox_entry *e = mbox_table_entry(t, i);

		if (e == NULL || mbox_table_range(t, i, &range) == -1)
			abort();
		if (range.from != at || e->start != at || e->text <= e->start || e->end < e->text ||
		    e->end > range.to)
			abort();
		at = range.to;
	}
	if (t->count > 0 && at != t->size) /* a file of blank lines has no messages */
		abort();
}

static void
check_messages(struct mbox_table *t, int fd)
{
	uint8_t digest[STORE_DIGEST];
	struct store_reader r;
	uint64_t octets;

	for (size_t i = 0; i < t->count; i++) {
		const struct mbox_entry *e = mbox_table_entry(t, i);

		if (e == NULL || mbox_table_read(t, i, fd, &r) == -1 ||
		    store_measure(&r, &octets, digest) == -1 || octets != e->octets ||
		    memcmp(digest, e->digest, sizeof(digest)) != 0)
			abort();
	}
}

/* Where a blank line ends the file and no length is believed. */
static void
check_delivery(struct mbox_table *t, int fd, const uint8_t *data, size_t size)
{
	static const char mail[] = MAIL;
	struct mbox_table now = {0};

	if (t->style.content_length || t->count == 0 || size < 2 ||
	    memcmp(data + size - 2, "\n\n", 2) != 0)
		return;
	if (pwrite(fd, mail, strlen(mail), (off_t)size) != (ssize_t)strlen(mail) ||
	    mbox_table_scan(&now, &t->style, fd, size + strlen(mail), NULL, NULL, NULL) == -1 ||
	    now.count != t->count + 1 || mbox_table_continues(t, &now) != 1)
		abort();
	mbox_table_free(&now);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mbox_table t = {0};
	struct mbox_style style;
	int fd;

	if (size == 0)
		return 0;
	style = mbox_style_of(data[0] % MBOX_FORMATS, data[0] / MBOX_FORMATS % 2);
	data++;
	size--;
	fd = memfd_create("mbox", MFD_CLOEXEC);
	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (mbox_table_scan(&t, &style, fd, size, NULL, NULL, NULL) == 0) {
		check_places(&t);
		check_messages(&t, fd);
		check_delivery(&t, fd, data, size);
	} else if (errno != EILSEQ)
		abort();
	mbox_table_free(&t);
	(void)close(fd);
	return 0;
}
