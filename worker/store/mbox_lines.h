/*
 * The lines of a part of a file, read in blocks.
 */
#ifndef POP3D_STORE_MBOX_LINES_H
#define POP3D_STORE_MBOX_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/store/mbox_text.h"

enum { MBOX_BLOCK = 65536 };

struct mbox_lines {
	int fd;
	uint64_t pos;	/* offset of what comes next */
	uint64_t end;	/* where the part ends */
	uint64_t stop;	/* a line ends here too, whatever it holds; UINT64_MAX: nowhere */
	size_t at, len; /* what is read and not yet given, in block */
	bool inside;	/* the last piece did not end its line */
	char block[MBOX_BLOCK];
};

/* Begin at the offset `from`, the start of a line; `end` is the first octet not to be read. */
void mbox_lines_begin(struct mbox_lines *l, int fd, uint64_t from, uint64_t end);

/*
 * The next line with its end, or a piece of a line that is longer than the
 * block, good until the next call.  *starts: it is the start of a line, and
 * then it holds MBOX_LOOK octets or the whole line.  l->pos is behind it.
 * Its length; 0 at the end; -1 with errno, EIO for a file that has got shorter.
 */
ssize_t mbox_lines_next(struct mbox_lines *l, const char **piece, bool *starts);

/* Does this line, behind whose end is the offset `end`, begin a message where one may begin?  Its
 * date is good, or it may have one and a header field follows. */
bool mbox_begins_with(const struct mbox_style *style, int fd, uint64_t end, const char *line,
		      size_t len);

/* Does a message begin at the offset `at`, perhaps behind a blank line? */
bool mbox_begins_at(const struct mbox_style *style, int fd, uint64_t at);

#endif
