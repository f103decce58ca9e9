/*
 * Unique-ids that were taken over from another server, and its order of the
 * messages: the file "pop3d-uids" in the Maildir.
 *
 * Text, read by hand and backed up with the mail: a first line that begins with
 * "#" and says what the file is, then a line "UID BASE" for each message, in the
 * order of the messages.  BASE is the base name of its file, with "%" and octets
 * outside of 0x21..0x7E written as %XX.  Lines for messages that are no more do
 * no harm.  Of two lines with one UID, or with one BASE, the first one counts.
 *
 * The file is the owner's, and hostile input: never mapped, and looked at anew
 * each time, so that a session survives whatever becomes of it meanwhile.
 */
#ifndef POP3D_STORE_UIDS_H
#define POP3D_STORE_UIDS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "worker/store/store.h"

#define UIDS_FILE "pop3d-uids"

struct uids;

/*
 * Open the file in the Maildir at dir_fd; `s` is for the log, and borrowed.  A few
 * look-ups go through the file each; for more of them it takes 12 octets of
 * memory a line.  To be freed by uids_free().  NULL with errno:
 * ENOENT, there is none; any other one, what it says cannot be known, so
 * that to go on without it would make clients fetch everything again: ELOOP and
 * EINVAL for a link and what else is no regular file, EFBIG from 4 GiB on (logged).
 * Lines that make no sense are passed over; they are logged in one line by who
 * looks up more than a few.
 */
struct uids *uids_load(int dir_fd, const struct store *s);
void uids_free(struct uids *u);

/* Read all lines of the file, if there is one, and log what is wrong with them. */
void uids_examine(int dir_fd, const struct store *s);

/*
 * Is the message with this base name one of them?  Then its unique-id and
 * *rank: messages with lower ranks come first; ranks are not counted from 0, and leave
 * gaps.  All these messages come before those that are not found here.
 */
bool uids_find(struct uids *u, const char *base, size_t len, uint32_t *rank,
	       char uid[STORE_UID_SIZE]);

/* Is this unique-id that of a message in the file, be it still there or not? */
bool uids_taken(struct uids *u, const char *uid);

/* 0, or the errno of what failed while looking up: what was said since is not to be relied on. */
int uids_error(const struct uids *u);

/* ---- one line */

enum { UIDS_LINE_SIZE = STORE_UID_SIZE + 3 * NAME_MAX + 1 }; /* the longest line, with its end */

struct uids_line {
	char uid[STORE_UID_SIZE];
	size_t base_len;
	char base[NAME_MAX + 1]; /* may hold NUL; ends with one */
};

/* Take apart a line that is given without its end.  Is it one? */
bool uids_line_parse(const char *line, size_t len, struct uids_line *out);

/* Are these 1 to 70 octets of 0x21..0x7E (RFC 1939 section 7)? */
bool uids_is_valid(const char *uid, size_t len);

/* ---- writing */

struct uids_writer {
	int dir_fd; /* borrowed; -1: nothing is being written */
	FILE *file;
};

/* Begin the file that is to take the place of "pop3d-uids".  0 or -1 with errno. */
int uids_write_begin(struct uids_writer *w, int dir_fd);

/* The next message.  0 or -1 with errno, EINVAL for what a line cannot hold. */
int uids_write_line(struct uids_writer *w, const char *uid, const char *base, size_t len);

/* Put the file into place: it is on stable storage before this returns, and until then the old one
 * is.  0 or -1 with errno, and the old one stands. */
int uids_write_end(struct uids_writer *w);

/* Give up what was begun, if anything was. */
void uids_write_abort(struct uids_writer *w);

#endif
