/*
 * What the files of the Maildir store share.
 */
#ifndef POP3D_MAILDIR_PRIV_H
#define POP3D_MAILDIR_PRIV_H

#include "worker/store/maildir_build.h"
#include "worker/store/maildir_index.h"
#include "worker/store/store.h"

enum { FIND_TRIES = 64 /* looks for a message that others keep renaming */ };

struct maildir {
	struct maildir_place place; /* dir_fd carries the flock; -1: there is no Maildir, and it
				     * counts as empty */
	int lock_fd;		    /* pop3d-lock; -1: none could be made */
	struct maildir_index index;
	bool verified;	   /* all of the index was looked at */
	uint64_t unknown;  /* then: messages whose size the index does not have */
	uint64_t octets;   /* of the others */
	bool told_claim;   /* a wrong size in a name was logged */
	bool is_unsettled; /* the next session will look into the directories */
};

/* What the index says of message i.  False: it has been damaged since it was looked at, and the
 * session is lost. */
bool maildir_message(struct store *s, size_t i, struct maildir_message *message);

/* The message's file was not where *message says, which is brought up to date.  OK: look there;
 * MISSING, TEMP, PERM. */
enum store_result maildir_look_again(struct store *s, size_t i, struct maildir_message *message);

static inline int
maildir_dir(const struct maildir_message *message)
{
	return (message->flags & ENTRY_IN_CUR) != 0 ? MAILDIR_CUR : MAILDIR_NEW;
}

/* struct store_backend's. */
enum store_result maildir_remove(struct store *s, uint64_t *marked, uint64_t *removed);
void maildir_examine(struct store *s);

#endif
