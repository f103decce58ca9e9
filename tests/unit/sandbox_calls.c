/* common/sandbox.c: the calls that kill whoever makes them, one a child. */
#include "config.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "common/privs.h"
#include "common/sandbox.h"
#include "tests/unit/child.h"
#include "tests/unit/unit.h"

/* Who must not; a build with AddressSanitizer permits to all what its own code calls. */
enum { NO_LOGIN = 1, NO_SPAWNER = 2, NOBODY = 3 };
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined WITH_ADDRESS_SANITIZER
enum { NO_LOGIN_PLAIN = 0, NO_SPAWNER_PLAIN = 0 };
#else
enum { NO_LOGIN_PLAIN = NO_LOGIN, NO_SPAWNER_PLAIN = NO_SPAWNER };
#endif

enum { CHANNEL_TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK };

/* Descriptors made before the filter. */
enum { FD_TCP = 50, FD_UNIX, FD_NULL };

#define AT(what) ((uintptr_t)(what))

static const struct sockaddr_in discard = {.sin_family = AF_INET, .sin_port = 9};
static const struct sockaddr_un dev_log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
static const int one = 1;
static char *none[] = {NULL};
static int room[64];

/* Each would be harmless if it were permitted. */
static const struct forbidden {
	const char *name;
	unsigned who;
	long call;
	uintptr_t args[6];
} forbidden[] = {
    /* other files, programs, processes */
    {"openat", NO_LOGIN_PLAIN, SYS_openat, {AT(AT_FDCWD), AT("/etc/passwd"), O_RDONLY}},
    {"mkdirat", NO_LOGIN, SYS_mkdirat, {AT(AT_FDCWD), AT("/dev/null/x"), 0700}},
    {"symlinkat", NOBODY, SYS_symlinkat, {AT("x"), AT(AT_FDCWD), AT("/dev/null/x")}},
    {"mknodat", NO_LOGIN, SYS_mknodat, {AT(AT_FDCWD), AT("/dev/null/x"), S_IFREG | 0600}},
    {"mknodat, fifo", NOBODY, SYS_mknodat, {AT(AT_FDCWD), AT("/dev/null/x"), S_IFIFO | 0600}},
    {"mknodat, device", NOBODY, SYS_mknodat, {AT(AT_FDCWD), AT("/dev/null/x"), S_IFCHR | 0600}},
    {"linkat",
     NO_LOGIN,
     SYS_linkat,
     {AT(AT_FDCWD), AT("/dev/null/x"), AT(AT_FDCWD), AT("/dev/null/y"), 0}},
    {"utimensat", NO_LOGIN, SYS_utimensat, {AT(AT_FDCWD), AT("/dev/null/x"), 0, 0}},
    {"fallocate, size kept", NO_LOGIN, SYS_fallocate, {FD_NULL, FALLOC_FL_KEEP_SIZE, 0, 1}},
    {"fallocate", NOBODY, SYS_fallocate, {FD_NULL, 0, 0, 1}},
    {"fallocate, hole",
     NOBODY,
     SYS_fallocate,
     {FD_NULL, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 1}},
    {"fchmod", NOBODY, SYS_fchmod, {FD_UNIX, 0700}},
    {"fchown", NOBODY, SYS_fchown, {FD_UNIX, AT(-1), AT(-1)}},
    {"chroot", NOBODY, SYS_chroot, {AT("/dev/null")}},
    {"mount", NOBODY, SYS_mount, {AT("none"), AT("/dev/null/x"), AT("tmpfs"), 0, 0}},
    {"execve", NOBODY, SYS_execve, {AT("/bin/true"), AT(none), AT(none)}},
    {"execveat", NOBODY, SYS_execveat, {FD_NULL, AT("x"), AT(none), AT(none), 0}},
    {"fork", NO_LOGIN, SYS_clone, {CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD}},
    {"clone as vfork", NOBODY, SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}},
    {"clone, user namespace", NOBODY, SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"clone, parent", NOBODY, SYS_clone, {CLONE_PARENT | SIGCHLD}},
    {"clone, thread", NOBODY, SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}},
    {"unshare", NOBODY, SYS_unshare, {CLONE_NEWUSER}},
    {"kill", NOBODY, SYS_kill, {1, 0}},
    {"tgkill", NOBODY, SYS_tgkill, {1, 1, 0}},
    {"pidfd_open", NOBODY, SYS_pidfd_open, {1, 0}},
    {"pidfd_getfd", NOBODY, SYS_pidfd_getfd, {FD_NULL, 0, 0}},
    {"pidfd_send_signal", NOBODY, SYS_pidfd_send_signal, {FD_NULL, 0, 0, 0}},
    {"ptrace", NOBODY, SYS_ptrace, {PTRACE_TRACEME, 0, 0, 0}},
    {"process_vm_readv", NOBODY, SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}},
    {"prlimit64 of another", NOBODY, SYS_prlimit64, {1, 0, 0, AT(room)}},
    {"setpriority", NOBODY, SYS_setpriority, {0, 1, 0}},
    {"setpgid", NOBODY, SYS_setpgid, {0, 0}},
    /* the network */
    {"socket", NOBODY, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket, netlink", NOBODY, SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"connect", NOBODY, SYS_connect, {FD_TCP, AT(&discard), sizeof(discard)}},
    {"bind", NOBODY, SYS_bind, {FD_TCP, AT(&discard), sizeof(discard)}},
    {"listen", NOBODY, SYS_listen, {FD_UNIX, 1}},
    {"accept4", NOBODY, SYS_accept4, {FD_TCP, 0, 0, 0}},
    {"sendto elsewhere", NOBODY, SYS_sendto, {FD_UNIX, AT("x"), 0, 0, AT(&dev_log), 2}},
    {"socketpair", NO_LOGIN, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, AT(room)}},
    {"socketpair, datagrams", NOBODY, SYS_socketpair, {AF_UNIX, SOCK_DGRAM, 0, AT(room)}},
    {"socketpair, stream", NOBODY, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, AT(room)}},
    {"socketpair, packets", NO_LOGIN, SYS_socketpair, {AF_UNIX, CHANNEL_TYPE, 0, AT(room)}},
    {"socketpair, protocol", NOBODY, SYS_socketpair, {AF_UNIX, CHANNEL_TYPE, 1, AT(room)}},
    {"sendmsg, MSG_FASTOPEN", NOBODY, SYS_sendmsg, {FD_TCP, AT(room), MSG_FASTOPEN}},
    {"sendmmsg", NOBODY, SYS_sendmmsg, {FD_UNIX, 0, 0, 0}},
    {"recvmmsg", NOBODY, SYS_recvmmsg, {FD_UNIX, 0, 0, 0, 0}},
    {"getsockname", NOBODY, SYS_getsockname, {FD_UNIX, AT(room), AT(&one)}},
    {"getpeername", NOBODY, SYS_getpeername, {FD_UNIX, AT(room), AT(&one)}},
    {"SO_LINGER", NOBODY, SYS_setsockopt, {FD_TCP, SOL_SOCKET, SO_LINGER, 0, 0}},
    {"SO_SNDBUF", NOBODY, SYS_setsockopt, {FD_TCP, SOL_SOCKET, SO_SNDBUF, AT(&one), 4}},
    {"SO_PASSCRED", NO_LOGIN, SYS_setsockopt, {FD_UNIX, SOL_SOCKET, SO_PASSCRED, AT(&one), 4}},
    {"TCP_NODELAY", NOBODY, SYS_setsockopt, {FD_TCP, IPPROTO_TCP, TCP_NODELAY, AT(&one), 4}},
    {"SO_PEERCRED", NOBODY, SYS_getsockopt, {FD_UNIX, SOL_SOCKET, SO_PEERCRED, AT(room), AT(&one)}},
    {"socketpair, inet", NOBODY, SYS_socketpair, {AF_INET, SOCK_STREAM, 0, AT(room)}},
    {"SO_ATTACH_FILTER", NOBODY, SYS_setsockopt, {FD_UNIX, SOL_SOCKET, SO_ATTACH_FILTER, 0, 0}},
    {"TCP_ULP", NOBODY, SYS_setsockopt, {FD_TCP, IPPROTO_TCP, TCP_ULP, AT("tls"), 3}},
    {"IP_TOS", NOBODY, SYS_setsockopt, {FD_TCP, IPPROTO_IP, IP_TOS, AT(&one), 4}},
    {"getsockopt, ip", NOBODY, SYS_getsockopt, {FD_TCP, IPPROTO_IP, IP_TOS, AT(room), AT(&one)}},
    /* files, beyond what a mailbox takes */
    {"statfs", NOBODY, SYS_statfs, {AT("/dev/null/x"), AT(room)}},
    {"sendfile", NOBODY, SYS_sendfile, {FD_UNIX, FD_NULL, 0, 0}},
    {"splice", NOBODY, SYS_splice, {FD_UNIX, 0, FD_NULL, 0, 0, 0}},
    {"copy_file_range", NOBODY, SYS_copy_file_range, {FD_NULL, 0, FD_NULL, 0, 0, 0}},
    {"preadv", NOBODY, SYS_preadv, {FD_NULL, AT(room), 0, 0, 0}},
    {"preadv2", NOBODY, SYS_preadv2, {FD_NULL, AT(room), 0, 0, 0, 0}},
    {"pwritev", NOBODY, SYS_pwritev, {FD_NULL, AT(room), 0, 0, 0}},
    {"readv", NOBODY, SYS_readv, {FD_NULL, AT(room), 0}},
    {"inotify_init1", NOBODY, SYS_inotify_init1, {0}},
    {"fgetxattr", NOBODY, SYS_fgetxattr, {FD_NULL, AT("user.x"), 0, 0}},
    /* code and descriptors */
    {"mmap, executable",
     NOBODY,
     SYS_mmap,
     {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, AT(-1), 0}},
    {"mprotect, executable", NOBODY, SYS_mprotect, {0, 0, PROT_EXEC}},
    {"pkey_mprotect", NOBODY, SYS_pkey_mprotect, {0, 0, PROT_EXEC, AT(-1)}},
    {"memfd_create", NO_LOGIN, SYS_memfd_create, {AT("x"), 0}},
    {"ioctl TIOCSTI", NOBODY, SYS_ioctl, {FD_NULL, TIOCSTI, AT("x")}},
    {"F_SETLK", NO_LOGIN, SYS_fcntl, {FD_NULL, F_SETLK, AT(room)}},
    {"F_SETLKW", NOBODY, SYS_fcntl, {FD_NULL, F_SETLKW, AT(room)}},
    {"F_GETLK", NO_LOGIN, SYS_fcntl, {FD_NULL, F_GETLK, AT(room)}},
    {"F_SETFD", NO_LOGIN, SYS_fcntl, {FD_NULL, F_SETFD, FD_CLOEXEC}},
    {"close_range", NOBODY, SYS_close_range, {FD_NULL, FD_NULL, 0}},
    {"dup2", NOBODY, SYS_dup3, {FD_NULL, FD_NULL + 1, 0}},
    {"F_SETOWN", NOBODY, SYS_fcntl, {FD_UNIX, F_SETOWN, 0}},
    {"F_NOTIFY", NOBODY, SYS_fcntl, {FD_NULL, F_NOTIFY, 0}},
    {"flock", NO_LOGIN, SYS_flock, {FD_NULL, 0}},
    {"unlinkat", NO_LOGIN, SYS_unlinkat, {AT(AT_FDCWD), AT("/dev/null/x"), 0}},
    {"renameat2", NO_LOGIN, SYS_renameat2, {AT(AT_FDCWD), AT("x/"), AT(AT_FDCWD), AT("x/"), 0}},
    /* the kernel */
    {"setresuid", NO_LOGIN, SYS_setresuid, {AT(-1), AT(-1), AT(-1)}},
    {"capset", NO_LOGIN, SYS_capset, {0, 0}},
    {"getppid", NOBODY, SYS_getppid, {0}},
    {"uname", NOBODY, SYS_uname, {AT(room)}},
    {"PR_SET_DUMPABLE, on", NOBODY, SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}},
    {"PR_CAPBSET_DROP", NOBODY, SYS_prctl, {PR_CAPBSET_DROP, 0, 0, 0, 0}},
    {"PR_CAP_AMBIENT_RAISE", NOBODY, SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0}},
    {"rt_sigaction", NO_LOGIN_PLAIN | NO_SPAWNER_PLAIN, SYS_rt_sigaction, {SIGUSR1, 0, 0, 8}},
    {"PR_SET_NAME", NOBODY, SYS_prctl, {PR_SET_NAME, AT("x")}},
    {"PR_SET_SECCOMP", NOBODY, SYS_prctl, {PR_SET_SECCOMP, 9, 0, 0, 0}},
    {"PR_SET_PTRACER", NOBODY, SYS_prctl, {PR_SET_PTRACER, 1, 0, 0, 0}},
    {"PR_SET_MM", NOBODY, SYS_prctl, {PR_SET_MM, 0, 0, 0, 0}},
    {"PR_SET_SECUREBITS", NOBODY, SYS_prctl, {PR_SET_SECUREBITS, 0, 0, 0, 0}},
    {"personality", NOBODY, SYS_personality, {0xffffffff}},
    {"seccomp", NOBODY, SYS_seccomp, {0, 9, 0}},
    {"bpf", NOBODY, SYS_bpf, {0, 0, 0}},
    {"io_uring_setup", NOBODY, SYS_io_uring_setup, {1, 0}},
    {"userfaultfd", NOBODY, SYS_userfaultfd, {0}},
    {"perf_event_open", NOBODY, SYS_perf_event_open, {0, 0, 0, 0, 0}},
    {"keyctl", NOBODY, SYS_keyctl, {0, 0, 0, 0, 0}},
    {"name_to_handle_at", NOBODY, SYS_name_to_handle_at, {FD_NULL, AT("x"), 0, 0, 0}},
    {"a call that does not exist", NOBODY, 9999, {0}},
#ifdef __x86_64__
    {"x32", NOBODY, 0x40000000 | SYS_getpid, {0}},
#endif
};

static const struct forbidden *tried; /* for the child */
static enum role tried_as;

static bool
child_confine(void)
{
	int fd[2], listener;

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0 && dup2(fd[0], FD_UNIX) == FD_UNIX &&
	       dup2(socket(AF_INET, SOCK_STREAM, 0), FD_TCP) == FD_TCP &&
	       dup2(open("/dev/null", O_RDWR), FD_NULL) == FD_NULL && privs_harden(true) == 0 &&
	       sandbox_seccomp(tried_as, SANDBOX_REQUIRE, &listener) == 1;
}

static int
child_forbidden(void)
{
	const uintptr_t *a = tried->args;

	NEED(child_confine());
	(void)syscall(tried->call, a[0], a[1], a[2], a[3], a[4], a[5]);
	return 0;
}

static int
child_abort(void)
{
	NEED(child_confine());
	abort();
	return 0;
}

#ifdef __x86_64__
static int
call_i386(void)
{
	long n = 20; /* getpid there */

	__asm__ volatile("int $0x80" : "+a"(n) : : "memory");
	return 0;
}

/* The filter is told the architecture of each call. */
static int
child_i386(void)
{
	NEED(child_confine());
	return call_i386();
}
#endif

static void
check_killed(const char *name, int (*fn)(void))
{
	int status = child_run(fn);
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;

	if (!killed)
		printf("%s by %s: status %#x\n", name, role_name(tried_as), (unsigned)status);
	CU_ASSERT_TRUE(killed);
}

/* Every family of addresses that there is, by each way to a socket. */
static void
check_families(void)
{
	static struct forbidden one_family = {
	    "socket", NOBODY, SYS_socket, {0, SOCK_DGRAM, 0, AT(room)}};

	tried = &one_family;
	for (one_family.args[0] = 0; one_family.args[0] < AF_MAX; one_family.args[0]++) {
		one_family.call = SYS_socket;
		check_killed("socket", child_forbidden);
		one_family.call = SYS_socketpair;
		check_killed("socketpair", child_forbidden);
	}
}

static void
check_forbidden(enum role role, unsigned who)
{
	tried_as = role;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		tried = &forbidden[i];
		if ((tried->who & who) != 0)
			check_killed(tried->name, child_forbidden);
	}
	check_families();
	check_killed("abort", child_abort);
#ifdef __x86_64__
	/* A kernel that was started without them kills whoever makes such a call. */
	if (child_run(call_i386) == 0)
		check_killed("i386", child_i386);
#endif
}

static void
test_login(void)
{
	check_forbidden(ROLE_LOGIN, NO_LOGIN);
}

static void
test_key(void)
{
	check_forbidden(ROLE_KEY, NO_LOGIN);
}

static void
test_spawner(void)
{
	check_forbidden(ROLE_SPAWNER, NO_SPAWNER);
}

static const struct unit_test tests[] = {
    {"SYS-04 calls that kill a login worker", test_login},
    {"SYS-04 calls that kill the key process", test_key},
    {"SYS-04 calls that kill spawner and sessions", test_spawner},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("sandbox_calls", tests);
}
