/*
 * Following what others do to the names of messages during a session.
 */
#ifndef POP3D_MAILDIR_FOLLOW_H
#define POP3D_MAILDIR_FOLLOW_H

#include "worker/store/maildir_build.h"
#include "worker/store/maildir_index.h"

/*
 * Look up again under what names the messages are now, since one was not found
 * where it was: flags may be changed by others at any time.  The messages and
 * their order stay; those that are no more get ENTRY_GONE.  0; -1 with errno, EIO
 * for an index that is damaged.
 */
int follow_names(const struct maildir_place *p, struct maildir_index *ix, const struct store *s);

#endif
