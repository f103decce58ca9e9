/* common/privs.c; each test in a child of its own, since nothing of it can be undone. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/privs.h"
#include "tests/unit/child.h"
#include "tests/unit/unit.h"

enum { UID = 40001, GID = 40002, OTHER = 40003 };

/* Does /proc/self/status have this line?  Its columns are separated by tabs. */
static bool
status_has(const char *line)
{
	char one[16384];
	bool found = false;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && !found && fgets(one, sizeof(one), f) != NULL) {
		one[strcspn(one, "\n")] = '\0';
		for (size_t n = strlen(one); n > 0 && one[n - 1] == ' '; n--)
			one[n - 1] = '\0';
		found = strcmp(one, line) == 0;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static bool
has_no_caps(void)
{
	return status_has("CapInh:\t0000000000000000") && status_has("CapPrm:\t0000000000000000") &&
	       status_has("CapEff:\t0000000000000000") && status_has("CapBnd:\t0000000000000000") &&
	       status_has("CapAmb:\t0000000000000000");
}

static int
child_become(void)
{
	static const uint32_t groups[] = {OTHER, 5, GID};

	NEED(privs_become(UID, GID, groups, 3) == 0);
	NEED(status_has("Uid:\t40001\t40001\t40001\t40001"));
	NEED(status_has("Gid:\t40002\t40002\t40002\t40002"));
	NEED(status_has("Groups:\t5 40002 40003"));
	NEED(has_no_caps());
	NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	NEED_ERROR(setuid(0), EPERM);
	NEED_ERROR(setgroups(0, NULL), EPERM);
	/* once more is fine: nothing is left to change */
	NEED(privs_become(UID, GID, NULL, 0) == 0);
	return 0;
}

static int
child_become_without_groups(void)
{
	static const gid_t roots[] = {0, 4, 7};

	NEED(setgroups(3, roots) == 0);
	NEED(privs_become(UID, GID, NULL, 0) == 0);
	NEED(getgroups(0, NULL) == 0);
	return 0;
}

static int
child_become_many_groups(void)
{
	uint32_t groups[PRIVS_GROUPS_MAX + 1];

	for (uint32_t i = 0; i <= PRIVS_GROUPS_MAX; i++)
		groups[i] = 60000 - i / 2 * 7; /* descending, in pairs */
	NEED_ERROR(privs_become(UID, GID, groups, PRIVS_GROUPS_MAX + 1), EINVAL);
	NEED(privs_become(UID, GID, groups, PRIVS_GROUPS_MAX) == 0);
	NEED(getgroups(0, NULL) == PRIVS_GROUPS_MAX);
	return 0;
}

static int
child_become_refused(void)
{
	NEED_ERROR(privs_become(0, GID, NULL, 0), EPERM);
	NEED_ERROR(privs_become(UID, 0, NULL, 0), EPERM);
	NEED_ERROR(privs_become(UINT32_MAX, GID, NULL, 0), EINVAL);
	NEED_ERROR(privs_become(UID, UINT32_MAX, NULL, 0), EINVAL);
	NEED(getuid() == 0 && getgid() == 0);
	return 0;
}

static int
child_become_keepcaps(void)
{
	NEED(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0);
	NEED(privs_become(UID, GID, NULL, 0) == 0);
	NEED(has_no_caps());
	return 0;
}

static int
child_rootless(void)
{
	NEED(setgroups(0, NULL) == 0);
	NEED(setresgid(GID, GID, GID) == 0 && setresuid(UID, UID, UID) == 0);
	NEED_ERROR(privs_become(OTHER, GID, NULL, 0), EPERM);
	NEED_ERROR(privs_become(UID, OTHER, NULL, 0), EPERM);
	NEED_ERROR(privs_become(0, GID, NULL, 0), EPERM);
	NEED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
	NEED(privs_become(UID, GID, NULL, 0) == 0);
	NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	return 0;
}

/* Who keeps root as saved or real uid is not rid of it. */
static int
child_saved_uid(void)
{
	NEED(setresgid(GID, GID, GID) == 0 && setresuid(UID, UID, 0) == 0);
	NEED_ERROR(privs_become(UID, GID, NULL, 0), EPERM);
	return 0;
}

static int
child_saved_gid(void)
{
	NEED(setresgid(GID, GID, 0) == 0 && setresuid(UID, UID, UID) == 0);
	NEED_ERROR(privs_become(UID, GID, NULL, 0), EPERM);
	return 0;
}

static int
child_keep_setid(void)
{
	NEED(privs_keep_setid_caps() == 0);
	NEED(status_has("CapEff:\t00000000000001c0"));
	NEED(status_has("CapPrm:\t00000000000001c0"));
	NEED(status_has("CapInh:\t0000000000000000"));
	NEED(status_has("CapBnd:\t0000000000000000"));
	NEED(status_has("CapAmb:\t0000000000000000"));
	NEED_ERROR(chroot("/"), EPERM);
	NEED(privs_become(UID, GID, NULL, 0) == 0);
	NEED(has_no_caps());
	return 0;
}

static int
child_drop_caps(void)
{
	NEED(privs_drop_caps() == 0);
	NEED(has_no_caps());
	NEED_ERROR(setresuid(UID, UID, UID), EPERM);
	return 0;
}

/* Without CAP_SETPCAP the bounding set stays, and that is no error. */
static int
child_drop_caps_rootless(void)
{
	NEED(setresuid(UID, UID, UID) == 0);
	NEED(privs_drop_caps() == 0);
	NEED(!status_has("CapBnd:\t0000000000000000"));
	return 0;
}

static char scratch[] = "/tmp/pop3d-privs-XXXXXX";

static int
child_chroot(void)
{
	NEED(privs_chroot_empty(scratch) == 0);
	NEED_ERROR(access("/etc", F_OK), ENOENT);
	NEED_ERROR(access("../../etc", F_OK), ENOENT);
	return 0;
}

static int
child_chroot_refused(void)
{
	NEED(chdir(scratch) == 0);
	NEED(mkdir("d", 0755) == 0 && symlink("d", "link") == 0);
	NEED_ERROR(privs_chroot_empty(scratch), ENOTEMPTY);
	NEED_ERROR(privs_chroot_empty("link"), ENOTDIR);
	NEED_ERROR(privs_chroot_empty("nothing"), ENOENT);
	NEED(chmod("d", 0775) == 0);
	NEED_ERROR(privs_chroot_empty("d"), EPERM);
	NEED(chmod("d", 0757) == 0);
	NEED_ERROR(privs_chroot_empty("d"), EPERM);
	NEED(chmod("d", 0755) == 0 && chown("d", UID, 0) == 0);
	NEED_ERROR(privs_chroot_empty("d"), EPERM);
	NEED(access("/etc", F_OK) == 0);
	NEED(chown("d", 0, 0) == 0 && privs_chroot_empty("d") == 0);
	return 0;
}

static int
child_harden(void)
{
	struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};

	NEED(privs_harden(false) == 0);
	NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	NEED(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	NEED(privs_harden(true) == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return 0;
}

static int
child_nofile(void)
{
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 128};

	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	NEED(privs_raise_nofile() == 128);
	NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 128);
	NEED(privs_raise_nofile() == 128);
	return 0;
}

static bool
is_ignored(int sig)
{
	struct sigaction sa;

	return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

static int
child_role_start(void)
{
	struct stat st, null;
	sigset_t mask;

	NEED(dup2(1, 3) == 3 && dup2(1, 4) == 4 && dup2(1, 77) == 77);
	NEED(stat("/dev/null", &null) == 0);
	sigfillset(&mask);
	NEED(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	NEED(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	umask(0);
	close(0);
	close(1);
	privs_role_start(4);
	NEED(fstat(0, &st) == 0 && st.st_rdev == null.st_rdev);
	NEED(fstat(1, &st) == 0 && st.st_rdev == null.st_rdev);
	NEED(fcntl(2, F_GETFD) >= 0 && fcntl(3, F_GETFD) >= 0);
	NEED_ERROR(fcntl(4, F_GETFD), EBADF);
	NEED_ERROR(fcntl(77, F_GETFD), EBADF);
	NEED(is_ignored(SIGPIPE) && is_ignored(SIGINT) && is_ignored(SIGTERM));
	NEED(!is_ignored(SIGCHLD));
	NEED(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 0);
	NEED(umask(0) == 077);
	return 0;
}

#define TEST(name, child)                                                                          \
	static void name(void)                                                                     \
	{                                                                                          \
		CU_ASSERT_EQUAL(child_run(child), 0);                                              \
	}
#define ROOT_TEST(name, child)                                                                     \
	static void name(void)                                                                     \
	{                                                                                          \
		if (geteuid() != 0) {                                                              \
			unit_skip("needs root");                                                   \
			return;                                                                    \
		}                                                                                  \
		CU_ASSERT_EQUAL(child_run(child), 0);                                              \
	}

ROOT_TEST(test_become, child_become)
ROOT_TEST(test_become_without_groups, child_become_without_groups)
ROOT_TEST(test_become_many_groups, child_become_many_groups)
ROOT_TEST(test_become_refused, child_become_refused)
ROOT_TEST(test_become_keepcaps, child_become_keepcaps)
ROOT_TEST(test_rootless, child_rootless)
ROOT_TEST(test_saved_uid, child_saved_uid)
ROOT_TEST(test_saved_gid, child_saved_gid)
ROOT_TEST(test_keep_setid, child_keep_setid)
ROOT_TEST(test_drop_caps, child_drop_caps)
ROOT_TEST(test_drop_caps_rootless, child_drop_caps_rootless)
TEST(test_harden, child_harden)
TEST(test_nofile, child_nofile)
TEST(test_role_start, child_role_start)

static void
test_chroot(void)
{
	if (geteuid() != 0) {
		unit_skip("needs root");
		return;
	}
	if (mkdtemp(scratch) == NULL)
		abort();
	CU_ASSERT_EQUAL(child_run(child_chroot), 0);
	CU_ASSERT_EQUAL(child_run(child_chroot_refused), 0);
	if (chdir(scratch) == 0) {
		(void)unlink("link");
		(void)rmdir("d");
	}
	(void)rmdir(scratch);
}

static const struct unit_test tests[] = {
    {"SYS-01 become", test_become},
    {"SYS-01 become, no group is kept", test_become_without_groups},
    {"SYS-01 become, many groups", test_become_many_groups},
    {"SYS-03 become, uid 0 is refused", test_become_refused},
    {"SYS-01 become, capabilities kept by securebits", test_become_keepcaps},
    {"SYS-01 become, rootless", test_rootless},
    {"SYS-01 root as saved uid is found", test_saved_uid},
    {"SYS-01 root as saved gid is found", test_saved_gid},
    {"spawner's capabilities", test_keep_setid},
    {"no capability", test_drop_caps},
    {"no capability, rootless", test_drop_caps_rootless},
    {"SYS-03 empty root directory", test_chroot},
    {"SYS-08 not dumpable, no core", test_harden},
    {"descriptor limit", test_nofile},
    {"SYS-08 start of a role", test_role_start},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("privs", tests);
}
