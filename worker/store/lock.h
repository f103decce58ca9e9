/*
 * The session lock of a mailbox, against other POP3 sessions (RFC 1939
 * section 4).  A lock of the kernel: it ends with the process, however that ends.
 */
#ifndef POP3D_STORE_LOCK_H
#define POP3D_STORE_LOCK_H

#include "worker/store/store.h"

/*
 * Lock a directory: flock(2) on it, which needs no space on the disk, and a
 * POSIX lock on the file `name` in it, which goes between the hosts of a shared
 * file system.  One of the two must be had; one that the file system does not
 * have is passed over, and so is a file that cannot be made, and so is, when the
 * file's lock was had, a flock on a directory that others may read: it is no session's.
 * *lock_fd, the caller's, is the file's descriptor or -1.  To be called once in
 * a process for one mailbox: closing a second descriptor would drop the lock.
 * OK, IN_USE, TEMP, PERM; what is not IN_USE is logged.
 */
enum store_result lock_directory(struct store *s, int dir_fd, const char *name, int *lock_fd);

/* Lock the file `name`, made if need be, in a directory that other mailboxes share: a POSIX lock,
 * or flock(2) where there is none.  As above otherwise. */
enum store_result lock_named(struct store *s, int dir_fd, const char *name, int *lock_fd);

/* Is this the error of a kind of lock that the file system does not have? */
bool lock_is_unknown(int error);

#endif
