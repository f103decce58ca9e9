/*
 * seccomp and Landlock behind a few functions.  The allow-lists are tables in
 * sandbox.c, one a role.
 */
#ifndef POP3D_SANDBOX_H
#define POP3D_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum sandbox_mode {
	SANDBOX_OFF,
	SANDBOX_LOG,	/* nothing refused; each call outside the list is named in the log */
	SANDBOX_ON,	/* a call outside the list kills the process */
	SANDBOX_REQUIRE /* as on, and what the kernel lacks is an error */
};

/*
 * Attach the role's seccomp filter (ROLE_LOGIN, ROLE_KEY, ROLE_SPAWNER; the spawner's is inherited
 * by its sessions).  The last step of setting up; sets no_new_privs.  What a role does only once,
 * such as privs_become and sandbox_landlock in a worker, is not in its list. With SANDBOX_LOG
 * *listener is the descriptor on which calls outside the list are reported (seccomp_unotify(2)), to
 * be sent to master and then closed, else -1.  Until master answers on it, such a call waits; after
 * the last copy of it is closed, the call fails with ENOSYS. Returns 1 attached; 0 off or not
 * supported (except with REQUIRE; the caller's MSG_READY tells master); -1 with errno.
 */
int sandbox_seccomp(enum role role, enum sandbox_mode mode, int *listener);

/*
 * Confine file access of this process to the directory open at `fd` (O_PATH will do; -1: nothing at
 * all): reading, and if `write` also making, changing, renaming and removing files in and below
 * it.  Not making directories, links other than hard ones, or special files; no execution.
 * From ABI 4 on TCP sockets are neither bound nor connected, from 6 on no signal and no abstract
 * socket leaves the process.  What is open stays usable.  no_new_privs must be set.
 * abi_max caps the ABI used (0: no cap); `write` needs ABI 2, since ABI 1 refuses each rename
 * between directories.  SANDBOX_LOG: does nothing, since Landlock cannot only log. Returns the ABI
 * in force; 0 for none; -1 with errno (with REQUIRE also if there is none).
 */
int sandbox_landlock(int fd, int write, enum sandbox_mode mode, uint32_t abi_max);

/* What the kernel, used up to this ABI of Landlock (0: any), lacks for the confinement of sessions
 * that write: a text for the log; NULL: nothing. */
const char *sandbox_lacks(uint32_t abi_max);

/* Is the descriptor a seccomp listener? */
int sandbox_is_listener(int fd);

/* What may be done in and below a directory. */
enum sandbox_access {
	SANDBOX_READ,	/* read files and directories */
	SANDBOX_WRITE,	/* as sandbox_landlock() with `write` */
	SANDBOX_MAKE,	/* make and remove files, but read and write none: for lock files */
	SANDBOX_LOOK,	/* read directories, but no file */
	SANDBOX_FOLDERS /* make, move and remove directories, but nothing in them */
};

struct sandbox_path {
	int fd; /* of a directory; O_PATH will do */
	enum sandbox_access access;
};

/* The same for any number of directories; none of them: nothing may be opened at all. */
int sandbox_landlock_paths(const struct sandbox_path *paths, size_t count, enum sandbox_mode mode,
			   uint32_t abi_max);

/*
 * Answer one report on a listener from sandbox_seccomp: log "sandbox: pid N called NAME(NUMBER)",
 * let the call go on.  Never waits.  Run by master, in its event loop, when the listener is
 * readable or hung up.  0; -1 with errno: the listener is of no more use (EPIPE: the
 * last process under the filter is gone), close it.
 */
int sandbox_report(int listener);

#endif
