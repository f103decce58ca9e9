/*
 * What other POP3 servers keep in a Maildir about the unique-ids that they gave,
 * read line by line.  Pure functions over octets from outside.
 *
 * Sources: Dovecot 2.3.19 and Courier 1.0.16 at work, fed with such files; the
 * comments of Dovecot's maildir-uidlist.c and of its configuration for what
 * the fields are; Courier's ChangeLog of 2003-07 for the versions 0 and 1.
 */
#ifndef POP3D_STORE_UIDS_FOREIGN_H
#define POP3D_STORE_UIDS_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FOREIGN_UID_SIZE = 1024 }; /* room for what another server may have given */

/* A message as the other server knows it. */
struct foreign_entry {
	const char *base; /* in the line */
	size_t base_len;
	uint64_t order;		    /* lower ones come first, equal ones as in the file */
	char uid[FOREIGN_UID_SIZE]; /* what it gave, which RFC 1939 may not permit; "": too long */
};

enum foreign_result {
	FOREIGN_ENTRY,	/* a message */
	FOREIGN_PASSED, /* a line that is about none */
	FOREIGN_BROKEN	/* not this server's file, or cut: *wrong says why */
};

/* The reading of one file; zeroed, and with a format for Dovecot's. */
struct foreign_reader {
	const char
	    *format; /* Dovecot's pop3_uidl_format; borrowed, and checked by uid_format_check() */
	const char *wrong;
	bool begun; /* the first line was read */
	unsigned version;
	uint64_t validity; /* Dovecot: UIDVALIDITY */
	uint64_t last;	   /* Dovecot: UID of the line before */
};

/* Take the next line, without its end. */
typedef enum foreign_result foreign_line_fn(struct foreign_reader *r, const char *line, size_t len,
					    struct foreign_entry *e);

/*
 * dovecot-uidlist of version 3, "3 V<UIDVALIDITY> N<next> G<guid>" and then
 * "UID [FIELD ...] :NAME", and of version 1, "1 UIDVALIDITY NEXT" and "UID NAME".
 * The field P is the unique-id that was given, or, when it is empty, says that it is the
 * name; G is what %g stands for; O makes an order of its own before all messages
 * without; W and S, sizes, are not believed.
 */
foreign_line_fn dovecot_line;

/*
 * courierpop3dsizelist: "/VERSION NEXT UIDVALIDITY" and lines "NAME SIZE UID:UIDVALIDITY:UTF8"
 * (version 3), "NAME SIZE UID:UIDVALIDITY" (2), "NAME SIZE UID" (1), or, without a first
 * line, "NAME SIZE".  The unique-id is "UID<UID>-<UIDVALIDITY>", "UID<UID>" without UIDVALIDITY,
 * and without UID the base name with some octets as +XX.  The order is the file's.
 */
foreign_line_fn courier_line;

/* ---- Dovecot's pop3_uidl_format */

#define UID_FORMAT_DEFAULT "%08Xu%08Xv"

struct uid_values {
	uint64_t uid, validity;
	const char *name, *guid; /* the base name; the field G, or the base name without it */
	size_t name_len, guid_len;
};

/* Can the unique-ids of this format be made anew?  NULL, or the reason why not. */
const char *uid_format_check(const char *format);

/* What such a format, which was checked, gives for these values.  False if it does not fit. */
bool uid_format_expand(const char *format, const struct uid_values *v, char *out, size_t cap);

/* A line is broken: note why. */
enum foreign_result foreign_broken(struct foreign_reader *r, const char *why);

/* Decimal digits, at least one, up to `end`, as a number of 64 bits.  False if it is none. */
bool foreign_number(const char *digits, const char *end, uint64_t *out);

#endif
