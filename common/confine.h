/*
 * The confinement of a role that needs no file and no right once it is set up:
 * workers and key process.
 */
#ifndef POP3D_CONFINE_H
#define POP3D_CONFINE_H

#include <stddef.h>

#include "common/msg.h"
#include "common/sandbox.h"

struct confinement {
	enum role role;
	const char *root; /* an empty directory to chroot(2) into; empty: none (rootless) */
	uint32_t uid, gid;
	enum sandbox_mode sandbox;
	uint32_t landlock_abi_max; /* 0: no cap */
};

/*
 * Give up one right after the other: the root directory, the user, capabilities,
 * processes of its own, core files, Landlock without a rule, the role's seccomp
 * filter.  0 and in *ready what is in force, in *listener what sandbox_seccomp()
 * gives; -1 and in `why` (of cap octets) what failed: the process has to end.
 */
int confine(const struct confinement *c, struct msg_ready *ready, int *listener, char *why,
	    size_t cap);

#endif
