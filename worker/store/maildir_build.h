/*
 * Making the index of a Maildir: one scan of the directories that have
 * changed, sizes and the like from the index that there was.
 */
#ifndef POP3D_MAILDIR_BUILD_H
#define POP3D_MAILDIR_BUILD_H

#include "worker/store/maildir_index.h"
#include "worker/store/store.h"

struct maildir_place {
	int dir_fd;		/* the Maildir; -1: nothing is written there or asked of it */
	int dirs[MAILDIR_DIRS]; /* new/ and cur/ */
};

/* The stamps of both directories and of the file of unique-ids that were taken over.  0 or -1 with
 * errno. */
int build_stamps(const struct maildir_place *p, struct index_stamp dirs[MAILDIR_DIRS],
		 struct index_stamp *uids);

/* Is what the index lists still all that there is? */
bool build_is_current(const struct maildir_place *p, const struct maildir_index *ix);

/*
 * Make an index of what there is now, and put it into place; where that cannot
 * be done it is made in memory.  `former` is what there was, damaged perhaps,
 * or NULL.  `s` is for the log.  0 or -1 with errno.
 */
int build_index(const struct maildir_place *p, struct maildir_index *ix,
		const struct maildir_index *former, const struct store *s);

/* The same of both directories without knowing what there was, and to be forgotten when closed. */
int build_list(const struct maildir_place *p, struct maildir_index *ix, const struct store *s);

/* Is the file `is` the message `was`?  Base names are equal. */
bool build_is_same(const struct maildir_place *p, const struct maildir_message *was,
		   const struct maildir_message *is);

#endif
