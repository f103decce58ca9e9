/*
 * A mailbox that is not there: has this user never had mail, or is the place not mounted?
 */
#ifndef POP3D_STORE_ABSENT_H
#define POP3D_STORE_ABSENT_H

#include "worker/store/store.h"

/*
 * What a login to a mailbox gets that does not exist.  TEMP (logged): there has been mail at an
 * earlier login (s->had_mail), its path ends in a link that leads nowhere, or the mailbox is in the
 * user's home and that is missing, or empty and another user's, as the directory below a file
 * system that is not mounted.  PERM (logged): the directory that it would be in is missing, outside
 * of the home.  Else OK: an empty mailbox, as before the first delivery.
 */
enum store_result absent_judge(const struct store *s);

/* The part of it that is about the home alone, for a store whose mailboxes come and go with their
 * messages. */
enum store_result absent_judge_home(const struct store *s);

#endif
