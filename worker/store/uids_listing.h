/*
 * Listings of unique-ids in the order of the messages (UIDL), saved and our own,
 * and what a client that knows the one makes of the other.
 */
#ifndef POP3D_STORE_UIDS_LISTING_H
#define POP3D_STORE_UIDS_LISTING_H

#include <stdbool.h>
#include <stddef.h>

/* Begins zeroed; to be freed. */
struct uids_listing {
	char *text; /* each with its NUL */
	size_t len, room;
	size_t *places; /* of each in it */
	size_t count, places_room;
	size_t *sorted; /* numbers in the order of the octets; NULL: not yet */
};

enum listing_line {
	LISTING_UID,	/* a message */
	LISTING_PASSED, /* "+OK ...", "." or nothing */
	LISTING_BROKEN	/* none of a listing */
};

/* Take a line of a saved listing, without its end: "NUMBER UID". */
enum listing_line uids_listing_line(const char *line, size_t len, const char **uid,
				    size_t *uid_len);

/* Put one behind the others.  0 or -1 with errno. */
int uids_listing_add(struct uids_listing *l, const char *uid, size_t len);
void uids_listing_free(struct uids_listing *l);

struct uids_difference {
	size_t again; /* of `now`, not in `saved`: a client that has those would fetch these */
	size_t
	    fresh;   /* the same, but new mail: behind all that are in both, and more than `gone` */
	size_t gone; /* of `saved`, not in `now` */
	bool moved;  /* those in both are not in the same order */
};

/* Compare; tell() is called for each that is in one alone, with `now` true for one of `now`.  0 or
 * -1 with errno. */
int uids_listing_compare(struct uids_listing *now, struct uids_listing *saved,
			 void (*tell)(void *arg, const char *uid, bool now), void *arg,
			 struct uids_difference *d);

#endif
