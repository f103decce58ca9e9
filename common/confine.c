#include "config.h"

#include "common/confine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/privs.h"

/* No process of its own, whatever the filter says. */
static int
confine_limit(void)
{
	static const struct rlimit none = {0, 0};
	return setrlimit(RLIMIT_NPROC, &none);
}

/* NULL, or what could not be done (errno). */
static const char *
confine_steps(const struct confinement *c, struct msg_ready *ready, int *listener)
{
	int rc;

	privs_raise_nofile();
	if (c->root[0] != '\0' && privs_chroot_empty(c->root) == -1)
		return "chroot";
	if (privs_become(c->uid, c->gid, NULL, 0) == -1)
		return "change of user";
	if (privs_drop_caps() == -1)
		return "dropping capabilities";
	if (confine_limit() == -1 || privs_harden(true) == -1)
		return "limits";
	rc = sandbox_landlock(-1, 0, c->sandbox, c->landlock_abi_max);
	if (rc == -1)
		return "Landlock";
	ready->landlock_abi = (uint32_t)rc;
	rc = sandbox_seccomp(c->role, c->sandbox, listener);
	if (rc == -1)
		return "seccomp";
	ready->seccomp = (uint32_t)rc;
	return NULL;
}

int
confine(const struct confinement *c, struct msg_ready *ready, int *listener, char *why, size_t cap)
{
	const char *step;
	int error;

	*listener = -1;
	step = confine_steps(c, ready, listener);
	if (step == NULL)
		return 0;
	error = errno;
	snprintf(why, cap, "%s failed: %s%s%s", step, strerror(error),
		 strcmp(step, "chroot") == 0 ? ": " : "",
		 strcmp(step, "chroot") == 0 ? c->root : "");
	return -1;
}
