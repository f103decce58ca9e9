/* common/sandbox.c, Landlock; each test in a child of its own, since nothing of it can be undone.
 */
#include "config.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/privs.h"
#include "common/sandbox.h"
#include "tests/unit/child.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static int tcp;

static bool
landlock_is_there(long abi)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= abi)
		return true;
	unit_skip("the kernel's Landlock is too old or switched off");
	return false;
}

static int
child_landlock_write(void)
{
	int passwd = open("/etc/passwd", O_RDONLY);
	char c;

	NEED(privs_harden(true) == 0);
	NEED(sandbox_landlock(scratch_fd, 1, SANDBOX_REQUIRE, 0) >= 2);
	NEED(scratch_use() == 0);
	NEED_ERROR(open("/etc/passwd", O_RDONLY), EACCES);
	NEED_ERROR(open("/tmp", O_RDONLY | O_DIRECTORY), EACCES);
	NEED_ERROR(openat(scratch_fd, "..", O_RDONLY | O_DIRECTORY), EACCES);
	NEED_ERROR(openat(scratch_fd, "../pop3d-sandbox-made", O_CREAT | O_WRONLY, 0600), EACCES);
	NEED_ERROR(mkdirat(scratch_fd, "made", 0700), EACCES);
	NEED_ERROR(symlinkat("/etc", scratch_fd, "made"), EACCES);
	NEED_ERROR(mkfifoat(scratch_fd, "made", 0600), EACCES);
	NEED_ERROR(unlinkat(scratch_fd, "a", AT_REMOVEDIR), EACCES);
	NEED(passwd >= 0 && read(passwd, &c, 1) == 1);
	return 0;
}

static int
child_landlock_read(void)
{
	NEED(privs_harden(true) == 0);
	close(openat(scratch_fd, "a/old", O_CREAT | O_WRONLY, 0600));
	NEED(sandbox_landlock(scratch_fd, 0, SANDBOX_REQUIRE, 0) >= 1);
	NEED(openat(scratch_fd, "a/old", O_RDONLY) >= 0);
	NEED_ERROR(openat(scratch_fd, "a/old", O_WRONLY), EACCES);
	NEED_ERROR(openat(scratch_fd, "a/new", O_CREAT | O_WRONLY, 0600), EACCES);
	NEED_ERROR(unlinkat(scratch_fd, "a/old", 0), EACCES);
	return 0;
}

/* A directory for lock files beside one for everything else. */
static int
child_landlock_paths(void)
{
	struct sandbox_path paths[2] = {{openat(scratch_fd, "a", O_PATH), SANDBOX_MAKE},
					{openat(scratch_fd, "b", O_PATH), SANDBOX_WRITE}};

	NEED(privs_harden(true) == 0);
	close(openat(scratch_fd, "a/old", O_CREAT | O_WRONLY, 0600));
	NEED(sandbox_landlock_paths(paths, 2, SANDBOX_REQUIRE, 0) >= 2);
	NEED(mknodat(paths[0].fd, "lock.new", S_IFREG | 0600, 0) == 0);
	NEED(linkat(paths[0].fd, "lock.new", paths[0].fd, "lock", 0) == 0);
	NEED_ERROR(openat(paths[0].fd, "old", O_RDONLY), EACCES);
	NEED_ERROR(openat(paths[0].fd, "old", O_WRONLY), EACCES);
	NEED_ERROR(mkdirat(paths[0].fd, "made", 0700), EACCES);
	NEED(unlinkat(paths[0].fd, "lock", 0) == 0 && unlinkat(paths[0].fd, "lock.new", 0) == 0);
	NEED(close(openat(paths[1].fd, "file", O_CREAT | O_RDWR | O_TRUNC, 0600)) == 0);
	NEED(unlinkat(paths[1].fd, "file", 0) == 0);
	return 0;
}

/* What a job may do beside the mailbox: names only, or directories and no file. */
static int
child_landlock_folders(void)
{
	struct sandbox_path paths[2] = {{openat(scratch_fd, "a", O_PATH), SANDBOX_FOLDERS},
					{openat(scratch_fd, "b", O_PATH), SANDBOX_LOOK}};

	NEED(privs_harden(true) == 0);
	close(openat(scratch_fd, "a/old", O_CREAT | O_WRONLY, 0600));
	close(openat(scratch_fd, "b/old", O_CREAT | O_WRONLY, 0600));
	NEED(sandbox_landlock_paths(paths, 2, SANDBOX_REQUIRE, 0) >= 2);
	NEED(mkdirat(paths[0].fd, "made", 0700) == 0);
	NEED(mkdirat(paths[0].fd, "made/cur", 0700) == 0);
	NEED(renameat(paths[0].fd, "made", paths[0].fd, "moved") == 0);
	NEED(unlinkat(paths[0].fd, "moved/cur", AT_REMOVEDIR) == 0);
	NEED(unlinkat(paths[0].fd, "moved", AT_REMOVEDIR) == 0);
	NEED_ERROR(openat(paths[0].fd, "old", O_RDONLY), EACCES);
	NEED_ERROR(openat(paths[0].fd, "new", O_CREAT | O_WRONLY, 0600), EACCES);
	NEED_ERROR(unlinkat(paths[0].fd, "old", 0), EACCES);
	NEED(openat(paths[1].fd, ".", O_RDONLY | O_DIRECTORY) >= 0);
	NEED_ERROR(openat(paths[1].fd, "old", O_RDONLY), EACCES);
	NEED_ERROR(mkdirat(paths[1].fd, "made", 0700), EACCES);
	return 0;
}

static int
child_landlock_nothing(void)
{
	NEED(privs_harden(true) == 0);
	NEED(sandbox_landlock(-1, 0, SANDBOX_REQUIRE, 0) >= 1);
	NEED_ERROR(open("/", O_RDONLY | O_DIRECTORY), EACCES);
	NEED_ERROR(openat(scratch_fd, "a", O_RDONLY | O_DIRECTORY), EACCES);
	NEED_ERROR(openat(scratch_fd, "made", O_CREAT | O_WRONLY, 0600), EACCES);
	return 0;
}

/* As on Debian 12: renaming works, the network is not covered. */
static int
child_landlock_abi2(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};

	NEED(privs_harden(true) == 0);
	NEED(sandbox_landlock(scratch_fd, 1, SANDBOX_REQUIRE, 2) == 2);
	NEED(scratch_use() == 0);
	NEED_ERROR(open("/etc/passwd", O_RDONLY), EACCES);
	NEED(bind(tcp, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	return 0;
}

static int
child_landlock_abi1(void)
{
	NEED(privs_harden(true) == 0);
	NEED(sandbox_landlock(scratch_fd, 1, SANDBOX_ON, 1) == 0);
	NEED_ERROR(sandbox_landlock(scratch_fd, 1, SANDBOX_REQUIRE, 1), EOPNOTSUPP);
	NEED(access("/etc/passwd", R_OK) == 0);
	NEED(sandbox_landlock(-1, 0, SANDBOX_REQUIRE, 1) == 1);
	NEED_ERROR(open("/etc/passwd", O_RDONLY), EACCES);
	return 0;
}

static int
child_landlock_net(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = 9};

	NEED(privs_harden(true) == 0);
	NEED(sandbox_landlock(-1, 0, SANDBOX_REQUIRE, 0) >= 4);
	NEED_ERROR(bind(tcp, (struct sockaddr *)&sin, sizeof(sin)), EACCES);
	NEED_ERROR(connect(tcp, (struct sockaddr *)&sin, sizeof(sin)), EACCES);
	return 0;
}

static int
child_landlock_signal(void)
{
	NEED(privs_harden(true) == 0);
	NEED(kill(getppid(), 0) == 0);
	NEED(sandbox_landlock(-1, 0, SANDBOX_REQUIRE, 0) >= 6);
	NEED_ERROR(kill(getppid(), 0), EPERM);
	return 0;
}

/* From now on the kernel answers such a call so.  Not by libseccomp, which remembers what it has
 * found out about the kernel. */
static bool
kernel_answers(long call, uint32_t error)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The same for an error that says that there is none, and one that does not. */
static int
child_landlock_missing(void)
{
	NEED(privs_harden(true) == 0);
	NEED(kernel_answers(SYS_landlock_create_ruleset, ENOSYS));
	NEED(sandbox_landlock(scratch_fd, 1, SANDBOX_ON, 0) == 0);
	NEED_ERROR(sandbox_landlock(scratch_fd, 1, SANDBOX_REQUIRE, 0), ENOSYS);
	return 0;
}

static int
child_landlock_fails(void)
{
	NEED(privs_harden(true) == 0);
	NEED(kernel_answers(SYS_landlock_create_ruleset, EINVAL));
	NEED_ERROR(sandbox_landlock(scratch_fd, 1, SANDBOX_ON, 0), EINVAL);
	NEED_ERROR(sandbox_landlock(scratch_fd, 1, SANDBOX_REQUIRE, 0), EINVAL);
	return 0;
}

static int
child_seccomp_missing(void)
{
	int listener;

	NEED(privs_harden(true) == 0);
	NEED(kernel_answers(SYS_seccomp, ENOSYS));
	NEED(sandbox_seccomp(ROLE_LOGIN, SANDBOX_ON, &listener) == 0);
	NEED_ERROR(sandbox_seccomp(ROLE_LOGIN, SANDBOX_REQUIRE, &listener), ENOSYS);
	return 0;
}

static int
child_seccomp_fails(void)
{
	int listener;

	NEED(privs_harden(true) == 0);
	NEED(kernel_answers(SYS_seccomp, EINVAL));
	NEED_ERROR(sandbox_seccomp(ROLE_LOGIN, SANDBOX_ON, &listener), EINVAL);
	NEED_ERROR(sandbox_seccomp(ROLE_LOGIN, SANDBOX_REQUIRE, &listener), EINVAL);
	return 0;
}

static void
test_no_lack(void)
{
	CU_ASSERT_EQUAL(child_run(child_landlock_missing), 0);
	CU_ASSERT_EQUAL(child_run(child_landlock_fails), 0);
	CU_ASSERT_EQUAL(child_run(child_seccomp_missing), 0);
	CU_ASSERT_EQUAL(child_run(child_seccomp_fails), 0);
}

static void
test_landlock_rules(void)
{
	if (!landlock_is_there(2))
		return;
	CU_ASSERT_EQUAL(child_run(child_landlock_write), 0);
	CU_ASSERT_EQUAL(child_run(child_landlock_read), 0);
	CU_ASSERT_EQUAL(child_run(child_landlock_paths), 0);
	CU_ASSERT_EQUAL(child_run(child_landlock_folders), 0);
	CU_ASSERT_EQUAL(child_run(child_landlock_nothing), 0);
}

static void
test_landlock_caps(void)
{
	if (!landlock_is_there(4))
		return;
	CU_ASSERT_EQUAL(child_run(child_landlock_abi2), 0);
	CU_ASSERT_EQUAL(child_run(child_landlock_abi1), 0);
}

static void
test_landlock_net(void)
{
	if (landlock_is_there(4))
		CU_ASSERT_EQUAL(child_run(child_landlock_net), 0);
}

static void
test_landlock_signal(void)
{
	if (landlock_is_there(6))
		CU_ASSERT_EQUAL(child_run(child_landlock_signal), 0);
}

static const struct unit_test tests[] = {
    {"SYS-05 one directory", test_landlock_rules},    {"SYS-05 older ABIs", test_landlock_caps},
    {"SYS-05 no network", test_landlock_net},	      {"SYS-05 no signals", test_landlock_signal},
    {"SYS-05 errors that are no lack", test_no_lack}, {NULL, NULL},
};

int
main(void)
{
	int status;

	scratch_make();
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (tcp < 0)
		abort();
	status = unit_run("landlock", tests);
	scratch_remove();
	return status;
}
