/*
 * What the lines of an mbox mean, mbox(5) and RFC 4155.  Pure functions.
 *
 * Fixed choices: a message begins at a line "From SENDER DATE" with a date that
 * can be read, at the start of the file or behind a blank line; one ">" is taken
 * off every line ">…>From " (mboxrd, which is also right for what mboxo quoted);
 * Content-Length comes from senders too, and is never believed.  Header fields
 * in which programs keep their notes on a message are no part of it.
 */
#ifndef POP3D_STORE_MBOX_TEXT_H
#define POP3D_STORE_MBOX_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* So many octets from the start of a line on decide what it is. */
enum { MBOX_LOOK = 1024 };

/* Does this line, given without or with its end, begin a message?  The date is that of asctime(3),
 * perhaps with a time zone, or that of RFC 5322. */
bool mbox_is_from(const char *line, size_t len);

/* Is there nothing in this line but its end? */
bool mbox_is_blank(const char *line, size_t len);

/* The state of the reading of one message. */
struct mbox_filter {
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
