/*
 * The taking over of unique-ids: which of the messages that another server knew
 * are there, and what "pop3d-uids" will say of them.
 */
#ifndef POP3D_STORE_UIDS_IMPORT_H
#define POP3D_STORE_UIDS_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/store/store.h"

struct uids_import;

/* What was found. */
struct uids_import_counts {
	size_t messages; /* that are there */
	size_t taken;	 /* of them, with the unique-id that they had */
	size_t gone;	 /* known to the other server, and not there */
	size_t refused;	 /* there, but with a unique-id that cannot be taken over */
};

/* Why a unique-id cannot be taken over. */
enum uids_import_refusal {
	IMPORT_INVALID, /* not 1 to 70 octets of 0x21..0x7E */
	IMPORT_REPEATED /* that of a message before it, too */
};

typedef void uids_import_tell_fn(void *arg, enum uids_import_refusal why, const char *base,
				 const char *uid);

/* Read the names in new/ and cur/ of the Maildir at dir_fd.  NULL with errno.  To be freed. */
struct uids_import *uids_import_new(int dir_fd);
void uids_import_free(struct uids_import *im);

/* The other server gave this unique-id to the message with this base name, and put it behind those
 * of lower order, and behind those of the same order that were added before.  One that is added
 * again has the later unique-id and place, as in Dovecot 2.3.19.  0 or -1 with errno. */
int uids_import_add(struct uids_import *im, const char *base, size_t len, uint64_t order,
		    const char *uid);

/* The same for all messages that are there, in the order in which qmail-pop3d and tpop3d have them:
 * by the time at which the file was last written, in seconds, and where that is equal by name.
 * make_uid() makes the unique-id of a base name. */
int uids_import_all(struct uids_import *im, int dir_fd,
		    void (*make_uid)(const char *base, size_t len, char *out, size_t cap));

/* All is added: sort, and leave out what cannot be taken over; tell() is called for each such
 * message.  0 or -1 with errno. */
int uids_import_settle(struct uids_import *im, uids_import_tell_fn *tell, void *arg,
		       struct uids_import_counts *counts);

/* After settling: is this going to be the unique-id of a message that is there, taken over or made
 * of its name? */
bool uids_import_gives(const struct uids_import *im, const char *uid);

/* Write "pop3d-uids".  0 or -1 with errno, and nothing has changed. */
int uids_import_write(const struct uids_import *im, int dir_fd);

#endif
