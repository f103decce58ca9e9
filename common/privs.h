/*
 * Giving up what a role must not have, and proving that it is gone.
 *
 * Order in a role: privs_role_start; privs_harden; what needs root;
 * privs_chroot_empty; privs_become, which takes the capabilities too;
 * sandbox_landlock; sandbox_seccomp.  In the spawner privs_harden(true),
 * privs_keep_setid_caps, sandbox_seccomp, and then in each session privs_become
 * and sandbox_landlock.
 */
#ifndef POP3D_PRIVS_H
#define POP3D_PRIVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PRIVS_GROUPS_MAX = 1024 }; /* supplementary groups, as many as a grant holds */

/*
 * Become uid and gid with these supplementary groups for good, without a
 * capability in any set: empties the bounding set while CAP_SETPCAP is there
 * (capabilities(7)), then setgroups(2), setresgid(2), setresuid(2), clears the
 * other sets, reads everything back and tries to be root again.  Not dumpable
 * afterwards.  In rootless mode (own euid not 0) nothing changes but the
 * capabilities: the ids in force must be these, and `groups` is not looked at.
 * 0; -1 with errno EPERM (uid or gid 0, another's uid in rootless mode, root
 * could be had again), EINVAL (no such id, too many groups), or that of the
 * call that failed.  After -1 the process has to end.
 */
int privs_become(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t ngroups);

/* Drop every capability: bounding (if CAP_SETPCAP is there), ambient, effective,
 * permitted, inheritable; looks whether they are gone.  0 or -1, errno. */
int privs_drop_caps(void);

/*
 * Does this process, which runs as root, have every capability that pop3d cannot
 * do without?  0; -1 and the names of those that are missing, each with its use,
 * in `missing` (of cap octets); they are those under CONTAINERS in pop3d(8).
 */
int privs_check_caps(char *missing, size_t cap);

/* Keep SETUID, SETGID and SETPCAP only, and nothing in the bounding set (the
 * spawner, which never execs).  0 or -1, errno. */
int privs_keep_setid_caps(void);

/* chroot(2) into `path`, which must be an empty directory (ENOTEMPTY) of root's that
 * nobody else can write (EPERM), no symbolic link (ENOTDIR).  0 or -1, errno. */
int privs_chroot_empty(const char *path);

/* Not dumpable, no core files, no_new_privs as asked.  0 or -1, errno. */
int privs_harden(bool no_new_privs);

/* For good: this process has so much memory of its own at most, RLIMIT_DATA of setrlimit(2); beyond
 * it allocations fail with ENOMEM.  0: no limit.  Nothing is done under AddressSanitizer, which
 * takes terabytes of address space.  0 or -1, errno. */
int privs_limit_memory(uint32_t mebibytes);

/* Raise RLIMIT_NOFILE to its hard limit.  Returns the limit in force. */
uint64_t privs_raise_nofile(void);

/* Descriptors 0..2 that are closed are opened on /dev/null, since the next file opened would get
 * their number and what is written for people.  Ends the process if they cannot be had. */
void privs_fill_standard_fds(void);

/* What every role does first: privs_fill_standard_fds(), SIGPIPE ignored, INT and
 * TERM ignored, CHLD as by default, no signal blocked, umask 077, descriptors from `keep_below`
 * on closed. */
void privs_role_start(int keep_below);

#endif
