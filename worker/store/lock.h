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
 * *lock_fd, the caller's and -1 at first, becomes the file's descriptor.  After IN_USE it may
 * be called again with the same one.  For one mailbox in a process: closing a second
 * descriptor would drop the lock.  s->lock names the directory.
 * With s->lock_look the lock is not taken: IN_USE tells that another process has it.  Where the
 * file system has flock(2) alone, it is had for an instant.
 * OK, IN_USE, TEMP, PERM; what is not IN_USE is logged.
 */
enum store_result lock_directory(struct store *s, int dir_fd, const char *name, int *lock_fd);

/* Lock the file `name`, made if need be, in a directory that other mailboxes share: a POSIX lock,
 * or flock(2) where there is none; s->lock names the file.  As above otherwise.  Where there is
 * no room for the file OK is all that is done: the caller has to claim the mailbox at master. */
enum store_result lock_named(struct store *s, int dir_fd, const char *name, int *lock_fd);

/* Note in s->lock that the lock of this mailbox is on what is open at fd. */
void lock_note(struct store *s, int fd);

/* Is this the error of a kind of lock that the file system does not have? */
bool lock_is_unknown(int error);

#endif
