/*
 * What the fuzzers of other servers' files have in common: octets cut into
 * lines, and what must be true of each message that is found.
 */
#ifndef POP3D_TESTS_FUZZ_FOREIGN_H
#define POP3D_TESTS_FUZZ_FOREIGN_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/uids.h"
#include "worker/store/uids_foreign.h"

/* The name is in the line and has no flags; the unique-id is a string. */
static inline void
foreign_check(const char *line, size_t len, const struct foreign_entry *e)
{
	if (e->base < line || e->base_len == 0 || e->base + e->base_len > line + len ||
	    memchr(e->base, ':', e->base_len) != NULL ||
	    memchr(e->uid, '\0', sizeof(e->uid)) == NULL)
		abort();
}

/* Read all lines of a copy that ends where the octets end. */
static inline void
foreign_run(foreign_line_fn *fn, const char *format, const uint8_t *data, size_t size)
{
	struct foreign_reader r = {.format = format};
	struct foreign_entry e;
	enum foreign_result result = FOREIGN_PASSED;

	while (size > 0 && result != FOREIGN_BROKEN) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end != NULL ? (size_t)(end - data) : size;
		char *line = malloc(len + 1);

		if (line == NULL)
			abort();
		memcpy(line, data, len);
		line[len] = '\0';
		line = realloc(line, len > 0 ? len : 1);
		memset(&e, 0x55, sizeof(e));
		result = fn(&r, line, len, &e);
		if (result == FOREIGN_ENTRY)
			foreign_check(line, len, &e);
		if (result == FOREIGN_BROKEN && r.wrong == NULL)
			abort();
		free(line);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
}

#endif
