/*
 * Saying what could not be done with a mailbox, so that who reads it knows what to change.
 */
#ifndef POP3D_STORE_FAULT_H
#define POP3D_STORE_FAULT_H

#include "worker/store/store.h"

/*
 * Log that `what` failed on the mailbox, or on its file or directory `name` (NULL: the mailbox
 * itself), by errno; where permission is missing, with the component of the path that denies it,
 * its owner and mode.  Returns TEMP or PERM, as store_judge() of that errno.
 */
enum store_result fault_log(const struct store *s, const char *name, const char *what);

#endif
