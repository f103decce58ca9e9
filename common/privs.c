/* Privileges: see privs.h. */
#include "config.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/count.h"
#include "common/privs.h"

/* Known empty: privs_keep_setid_caps emptied it, and what was forked since inherits that.  Saves
 * each session a read for every capability. */
static bool bounding_is_empty;

/* The capability sets of this process, as capget(2) has them: two words of 32 bits each. */
static int
privs_get_caps(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};

	return (int)syscall(SYS_capget, &head, data);
}

static bool
privs_has_cap(const struct __user_cap_data_struct data[2], unsigned cap)
{
	return (data[cap / 32].effective >> (cap % 32) & 1) != 0;
}

/* What pop3d as root cannot do without.  Others have uses that some hosts have not. */
static const struct {
	unsigned cap;
	const char *name, *use;
} needed_caps[] = {
    {CAP_SETUID, "CAP_SETUID", "roles become other users"},
    {CAP_SETGID, "CAP_SETGID", "roles become other groups"},
    {CAP_SETPCAP, "CAP_SETPCAP", "roles give up capabilities for good"},
    {CAP_SYS_CHROOT, "CAP_SYS_CHROOT", "login workers have an empty root directory"},
    {CAP_KILL, "CAP_KILL", "sessions of users are ended"},
};

int
privs_check_caps(char *missing, size_t cap)
{
	struct __user_cap_data_struct data[2];
	size_t n = 0;

	missing[0] = '\0';
	if (privs_get_caps(data) < 0) {
		snprintf(missing, cap, "capget: %s", strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < COUNT_OF(needed_caps); i++)
		if (!privs_has_cap(data, needed_caps[i].cap) && n < cap)
			n += (size_t)snprintf(missing + n, cap - n, "%s%s (%s)", n > 0 ? ", " : "",
					      needed_caps[i].name, needed_caps[i].use);
	return n == 0 ? 0 : -1;
}

/* Empty the bounding set, for which CAP_SETPCAP is needed: without it, it stays. */
static int
privs_drop_bounding(void)
{
	struct __user_cap_data_struct data[2];

	if (bounding_is_empty)
		return 0;
	if (privs_get_caps(data) < 0)
		return -1;
	if (!privs_has_cap(data, CAP_SETPCAP))
		return 0;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	bounding_is_empty = true;
	return 0;
}

/* Empty all other sets and look whether they are. */
static int
privs_drop_sets(void)
{
	struct __user_cap_data_struct data[2];

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || privs_get_caps(data) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++)
		if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0) {
			errno = EPERM;
			return -1;
		}
	return 0;
}

int
privs_drop_caps(void)
{
	if (privs_drop_bounding() < 0)
		return -1;
	return privs_drop_sets();
}

int
privs_keep_setid_caps(void)
{
	static const unsigned keep[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP};

	if (privs_drop_bounding() < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep[i]) < 0) {
			errno = EINVAL;
			return -1;
		}
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -1 : 0;
}

static int
privs_compare_gids(const void *a, const void *b)
{
	const gid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Are these, in any order, the supplementary groups in force? */
static bool
privs_groups_are(const gid_t *groups, size_t ngroups)
{
	gid_t want[PRIVS_GROUPS_MAX], have[PRIVS_GROUPS_MAX];
	int n = getgroups(PRIVS_GROUPS_MAX, have);

	if (n < 0 || (size_t)n != ngroups)
		return false;
	if (ngroups == 0)
		return true;
	memcpy(want, groups, ngroups * sizeof(want[0]));
	qsort(want, ngroups, sizeof(want[0]), privs_compare_gids);
	qsort(have, ngroups, sizeof(have[0]), privs_compare_gids);
	return memcmp(want, have, ngroups * sizeof(want[0])) == 0;
}

/* Are real, effective and saved ids all these? */
static bool
privs_ids_are(uid_t uid, gid_t gid)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
		return false;
	return ruid == uid && euid == uid && suid == uid && rgid == gid && egid == gid &&
	       sgid == gid;
}

/* Try to be root again in every way there is.  Who began with group 0 keeps it in rootless mode. */
static bool
privs_root_is_gone(gid_t gid)
{
	return setuid(0) < 0 && seteuid(0) < 0 && setgroups(0, NULL) < 0 &&
	       (gid == 0 || (setgid(0) < 0 && setegid(0) < 0));
}

static int
privs_set_ids(uid_t uid, gid_t gid, const gid_t *groups, size_t ngroups)
{
	if (setgroups(ngroups, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -1;
	if (privs_groups_are(groups, ngroups))
		return 0;
	errno = EPERM;
	return -1;
}

int
privs_become(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t ngroups)
{
	bool rootless = geteuid() != 0;

	/* -1 means "leave it as it is" to setresuid(2) */
	if (uid == UINT32_MAX || gid == UINT32_MAX || ngroups > PRIVS_GROUPS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (uid == 0 || (gid == 0 && !rootless) || (rootless && uid != geteuid())) {
		errno = EPERM;
		return -1;
	}
	/* the bounding set first: CAP_SETPCAP goes with uid 0 */
	if (privs_drop_bounding() < 0)
		return -1;
	if (!rootless && privs_set_ids(uid, gid, groups, ngroups) < 0)
		return -1;
	if (privs_drop_sets() < 0)
		return -1;
	if (!privs_ids_are(uid, gid) || !privs_root_is_gone(gid)) {
		errno = EPERM;
		return -1;
	}
	/* a change of ids sets this to what fs.suid_dumpable says */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* 0 if the directory open at fd has no entry, else -1. */
static int
privs_check_empty(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int result = 0;

	if (dir == NULL) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	errno = 0;
	while (result == 0 && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			errno = ENOTEMPTY;
			result = -1;
		}
	if (errno != 0)
		result = -1;
	(void)closedir(dir);
	return result;
}

int
privs_chroot_empty(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = -1;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || privs_check_empty(fd) < 0)
		goto out;
	if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		errno = EPERM;
		goto out;
	}
	if (fchdir(fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		goto out;
	result = 0;
out:
	close(fd);
	return result;
}

int
privs_harden(bool no_new_privs)
{
	static const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	return no_new_privs ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

uint64_t
privs_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = soft;
	}
	return (uint64_t)limit.rlim_cur;
}

int
privs_limit_memory(uint32_t mebibytes)
{
	const struct rlimit limit = {(rlim_t)mebibytes << 20, (rlim_t)mebibytes << 20};

#ifdef SANITIZE
	(void)limit;
	return 0;
#else
	return mebibytes == 0 ? 0 : setrlimit(RLIMIT_DATA, &limit);
#endif
}

void
privs_fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILURE);
}

void
privs_role_start(int keep_below)
{
	static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM};
	struct sigaction sa;
	sigset_t none;

	privs_fill_standard_fds();
	closefrom(keep_below);
	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)sigaction(ignored[i], &sa, NULL);
	/* what was inherited could hide the end of a child */
	sa.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
}
