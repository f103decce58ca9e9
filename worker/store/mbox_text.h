/*
 * What the lines of an mbox mean, mbox(5) and RFC 4155.  Pure functions.
 *
 * The programs that write mailboxes do not agree on where a message begins and
 * which of its lines were quoted: struct mbox_style says what is done about it.
 * Header fields in which programs keep their notes on a message are no part of it
 * in any style.
 */
#ifndef POP3D_STORE_MBOX_TEXT_H
#define POP3D_STORE_MBOX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

/* So many octets from the start of a line on decide what it is. */
enum { MBOX_LOOK = 1024 };

struct mbox_style {
	size_t quotes;	     /* one ">" is taken off a line of so many, and fewer, before "From " */
	bool content_length; /* the field is believed where a message, or the file, ends there */
	bool lax; /* "From " at the start of any line begins a message; else only a From_ line at
		   * the start of the file or behind a blank line */
};

struct mbox_style mbox_style_of(enum mbox_format format, enum mbox_split split);

/* Does this line, given without or with its end, begin a message?  The date is that of asctime(3),
 * perhaps with a time zone, or that of RFC 5322. */
bool mbox_is_from(const struct mbox_style *style, const char *line, size_t len);

/*
 * Could this line begin a message, if a header field follows it?  It has a time
 * of day and a year, month or date in some form, as in "From - Sat Apr 12 2025
 * 15:59:28", or no date and at most a sender.
 */
bool mbox_may_be_from(const char *line, size_t len);

/* Does it begin with "From "? */
bool mbox_is_alike(const char *line, size_t len);

/* Does it begin with the name of a header field? */
bool mbox_is_field(const char *line, size_t len);

/* Is it a field of Mozilla that marks the message as removed, which happens when its folder is
 * compacted? */
bool mbox_is_expunged(const char *line, size_t len);

/* Is it a Content-Length field, and of how many octets? */
bool mbox_is_length(const char *line, size_t len, uint64_t *octets);

/* Is there nothing in this line but its end? */
bool mbox_is_blank(const char *line, size_t len);

/* The state of the reading of one message. */
struct mbox_filter {
	const struct mbox_style *style;
	bool body;   /* the headers have ended */
	bool hiding; /* in a header field that is not shown */
};

/*
 * Take the next `len` octets of a message: a line, or a piece of one, whose
 * start (`starts`) holds MBOX_LOOK octets or reaches to the line's end.
 * *p is moved to what is to be shown of them.  Returns its length.
 */
size_t mbox_filter(struct mbox_filter *f, const char **p, size_t len, bool starts);

/* What a header line tells of a message in which a mail reader keeps notes on the mailbox. */
enum { MBOX_INTERNAL_SUBJECT = 1, MBOX_INTERNAL_FIELD = 2, MBOX_INTERNAL = 3 };
unsigned mbox_internal_signs(const char *line, size_t len);

#endif
