/*
 * seccomp and Landlock: see sandbox.h.
 *
 * A table lists what its role may call; everything else kills the process.
 * Calls that do the same with the same rights (openat and openat2, rename and
 * renameat) are all listed, since which one a C library picks is its own affair.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "common/sandbox.h"

/* One permitted call; with arguments, permitted only if each comparison holds. */
struct rule {
	int call;
	unsigned nargs;
	struct scmp_arg_cmp args[3];
};

/* The kernel takes an int from the lower half of the register, so only that is compared. */
#define INT_MASK UINT64_C(0xffffffff)

/* clang-format off */
#define ARG_IS(n, value)   {(n), SCMP_CMP_MASKED_EQ, INT_MASK, (uint64_t)(value) & INT_MASK}
#define ARG_LACKS(n, bits) {(n), SCMP_CMP_MASKED_EQ, (uint64_t)(bits), 0}
#define ARG_IS_REGULAR(n)  {(n), SCMP_CMP_MASKED_EQ, S_IFMT, S_IFREG} /* a mode */
#define ARG_IS_NULL(n)     {(n), SCMP_CMP_EQ, 0, 0}

#define ANY(name)                     {SCMP_SYS(name), 0, {{0, 0, 0, 0}}}
#define WHEN(name, one)               {SCMP_SYS(name), 1, {one}}
#define WHEN2(name, one, two)         {SCMP_SYS(name), 2, {one, two}}
#define WHEN3(name, one, two, three)  {SCMP_SYS(name), 3, {one, two, three}}
/* clang-format on */

#if defined __s390__
enum { CLONE_FLAGS_ARG = 1 };
#else
enum { CLONE_FLAGS_ARG = 0 };
#endif

/* clang-format off */

/* What every role does: memory, time, its descriptors and channels, its end. */
static const struct rule common_rules[] = {
	ANY(read), ANY(write), ANY(close), ANY(shutdown),
	ANY(writev), /* the last words of glibc before it aborts */
	ANY(recvfrom), ANY(recvmsg),
	WHEN(sendto, ARG_IS_NULL(4)), /* to the peer it has */
	WHEN(sendmsg, ARG_LACKS(2, MSG_FASTOPEN)), /* which connects; a name is of no use without */
	WHEN(fcntl, ARG_IS(1, F_GETFL)), WHEN(fcntl, ARG_IS(1, F_SETFL)),
	WHEN(fcntl, ARG_IS(1, F_DUPFD_CLOEXEC)),
	ANY(poll), ANY(ppoll),
	ANY(brk), ANY(munmap), ANY(mremap), ANY(madvise),
	WHEN(mmap, ARG_LACKS(2, PROT_EXEC)), WHEN(mprotect, ARG_LACKS(2, PROT_EXEC)),
	ANY(futex), ANY(getrandom),
	ANY(clock_gettime), ANY(gettimeofday), ANY(time),
	ANY(getpid),
	ANY(rt_sigreturn), ANY(rt_sigprocmask), ANY(restart_syscall),
	ANY(exit_group),
	WHEN(ioctl, ARG_IS(1, TIOCOUTQ)), /* SIOCOUTQ: what the client's TCP has not acknowledged, */
	WHEN2(getsockopt, ARG_IS(1, IPPROTO_TCP), ARG_IS(2, TCP_INFO)), /* and whether it is gone */
};

/* An event loop. */
static const struct rule loop_rules[] = {
	ANY(epoll_create1), ANY(epoll_ctl), ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2),
};

/* The spawner and, since a filter is inherited, its sessions. */
static const struct rule spawner_rules[] = {
	/* fork and what glibc does in the child; the sessions' ends */
	WHEN(clone, ARG_IS(CLONE_FLAGS_ARG, CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)),
	ANY(set_robust_list), ANY(wait4), ANY(waitid),
	/* a session's channel: of a kind that sends to nobody but its other end */
	WHEN3(socketpair, ARG_IS(0, AF_UNIX),
	      ARG_IS(1, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK), ARG_IS(2, 0)),
	WHEN2(setsockopt, ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_PASSCRED)),
	/* becoming the user and proving it */
	ANY(setgroups), ANY(setresgid), ANY(setresuid), ANY(setuid), ANY(setgid),
	ANY(getgroups), ANY(getresgid), ANY(getresuid), ANY(geteuid),
	ANY(capget), ANY(capset), ANY(gettid), /* the last by libcap-ng */
	WHEN2(prctl, ARG_IS(0, PR_CAP_AMBIENT), ARG_IS(1, PR_CAP_AMBIENT_CLEAR_ALL)),
	WHEN2(prctl, ARG_IS(0, PR_SET_DUMPABLE), ARG_IS(1, 0)),
	WHEN(prlimit64, ARG_IS(0, 0)), ANY(setrlimit), /* on itself */
	ANY(landlock_create_ruleset), ANY(landlock_add_rule), ANY(landlock_restrict_self),
	/* the mailbox */
	ANY(open), ANY(openat), ANY(openat2),
	ANY(stat), ANY(lstat), ANY(fstat), ANY(newfstatat), ANY(statx), ANY(fstatfs),
	ANY(access), ANY(faccessat), ANY(faccessat2), ANY(readlinkat), ANY(getdents64),
	ANY(pread64), ANY(pwrite64), ANY(lseek), ANY(ftruncate), ANY(fsync), ANY(fdatasync),
	WHEN(fcntl, ARG_IS(1, F_SETFD)), /* by fdopendir(3) */
	WHEN(rt_sigaction, ARG_IS(0, SIGBUS)), /* of a mapped file that was cut short */
	ANY(memfd_create), /* the list of messages, where the mailbox takes no file */
	ANY(rename), ANY(renameat), ANY(renameat2), ANY(unlink), ANY(unlinkat),
	ANY(mkdir), ANY(mkdirat), /* of the mbox store's lock and journal, before Landlock refuses it */
	WHEN(mknod, ARG_IS_REGULAR(1)), WHEN(mknodat, ARG_IS_REGULAR(2)), /* a dot-lock, which ... */
	ANY(link), ANY(linkat), /* ... gets its name by this, and ... */
	ANY(utimensat), /* ... is kept fresh; and an mbox with new mail still looks so */
	WHEN(fallocate, ARG_IS(1, FALLOC_FL_KEEP_SIZE)), /* makes a host read an mbox anew, ... */
	ANY(fadvise64), /* ... after which what it remembers is forgotten */
	ANY(flock), WHEN(fcntl, ARG_IS(1, F_SETLK)), WHEN(fcntl, ARG_IS(1, F_OFD_SETLK)),
	WHEN(fcntl, ARG_IS(1, F_GETLK)), WHEN(fcntl, ARG_IS(1, F_OFD_GETLK)), /* "box locked" */
	ANY(nanosleep), ANY(clock_nanosleep),
	ANY(sysinfo), /* glibc's qsort asks for the size of the memory */
	WHEN(ioctl, ARG_IS(1, FIONREAD)), /* what the client has sent behind a command */
};

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ && !defined WITH_ADDRESS_SANITIZER
#define WITH_ADDRESS_SANITIZER 1
#endif

/* What AddressSanitizer's own code does, to clean up and to report. */
static const struct rule sanitizer_rules[] = {
#ifdef WITH_ADDRESS_SANITIZER
	ANY(sigaltstack), ANY(sched_yield), ANY(gettid), ANY(openat), ANY(readlink), ANY(newfstatat),
	ANY(rt_sigaction), ANY(getrlimit), WHEN(prlimit64, ARG_IS(0, 0)), ANY(lseek), ANY(getuid),
	WHEN(prctl, ARG_IS(0, PR_GET_DUMPABLE)), WHEN(ioctl, ARG_IS(1, TCGETS)),
#else
	ANY(exit_group), /* a table has to have a line; this one is permitted to all */
#endif
};

#define BIT(role) (1u << (role))
enum { CONFINED = BIT(ROLE_LOGIN) | BIT(ROLE_KEY) | BIT(ROLE_DISPATCH) | BIT(ROLE_SPAWNER) };

static const struct {
	const struct rule *rules;
	size_t count;
	unsigned roles; /* a set */
} tables[] = {
	{common_rules, COUNT_OF(common_rules), CONFINED},
	{loop_rules, COUNT_OF(loop_rules), BIT(ROLE_LOGIN) | BIT(ROLE_KEY) | BIT(ROLE_DISPATCH)},
	{spawner_rules, COUNT_OF(spawner_rules), BIT(ROLE_SPAWNER)},
	{sanitizer_rules, COUNT_OF(sanitizer_rules), CONFINED},
};

/* clang-format on */

/* What is missing without being anybody's mistake: `mode` says whether that is an error. */
static int
sandbox_missing(const char *what, enum sandbox_mode mode, int error)
{
	log_line(mode == SANDBOX_REQUIRE ? LOG_ERR : LOG_DEBUG, 0,
		 "sandbox: %s is not available: %s", what, strerror(error));
	errno = error;
	return mode == SANDBOX_REQUIRE ? -1 : 0;
}

static int
seccomp_add_rules(scmp_filter_ctx ctx, enum role role)
{
	int rc;

	for (size_t t = 0; t < COUNT_OF(tables); t++) {
		if ((tables[t].roles & BIT(role)) == 0)
			continue;
		for (size_t i = 0; i < tables[t].count; i++) {
			const struct rule *r = &tables[t].rules[i];

			rc =
			    seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->call, r->nargs, r->args);
			if (rc < 0)
				return rc;
		}
	}
	/* its flags are behind a pointer; glibc goes back to clone */
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* 0 or a negative errno: why the kernel takes no filter that kills. */
static int
seccomp_find(void)
{
	uint32_t kill = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill) == 0 ? 0 : -errno;
}

enum {
	ROOM_PIECE = 120 * 1024, /* not mapped by itself (mallopt(3)) */
	ROOM_PIECES = 3
};

/* libseccomp passes over some allocations that fail: it makes a filter without some of the rules,
 * ends with a signal, or never comes back.  So the heap has what it takes (90 KiB in use, more on
 * the way) before it begins, below a piece that keeps the heap from shrinking until the caller
 * frees it.  0 or -ENOMEM. */
static int
seccomp_have_memory(void **last)
{
	void *room[ROOM_PIECES];
	bool had = true;

	for (size_t i = 0; i < ROOM_PIECES; i++) {
		room[i] = malloc(ROOM_PIECE);
		had = had && room[i] != NULL;
	}
	*last = room[ROOM_PIECES - 1];
	for (size_t i = 0; i < ROOM_PIECES - 1; i++)
		free(room[i]);
	return had ? 0 : -ENOMEM;
}

/* Make the role's filter and load it.  0 or a negative errno. */
static int
seccomp_attach(enum role role, enum sandbox_mode mode, int *listener)
{
	uint32_t action = mode == SANDBOX_LOG ? SCMP_ACT_NOTIFY : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx ctx = seccomp_init(action);
	int rc, fd = -1;

	if (ctx == NULL)
		return -EINVAL;
	/* errors of the kernel as they are, not ECANCELED for all */
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0 && mode != SANDBOX_LOG) /* a listener cannot go with it */
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_add_rules(ctx, role);
	if (rc == 0)
		rc = seccomp_load(ctx);
	if (rc == 0 && mode == SANDBOX_LOG) {
		/* the library's own copy must go: while one is open here, whoever calls what is
		 * not listed waits for an answer, even if master is dead */
		fd = seccomp_notify_fd(ctx);
		*listener = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	seccomp_release(ctx);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Does this error say that the kernel, or a container around us, cannot do it? */
static bool
is_missing(int error)
{
	return error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
}

int
sandbox_seccomp(enum role role, enum sandbox_mode mode, int *listener)
{
	void *last = NULL;
	int rc;

	*listener = -1;
	if (mode == SANDBOX_OFF)
		return 0;
	if ((CONFINED & BIT(role)) == 0) {
		errno = EINVAL;
		return -1;
	}
	/* first, since libseccomp does not say what it lacked */
	rc = seccomp_find();
	if (rc == 0)
		rc = seccomp_have_memory(&last);
	if (rc == 0)
		rc = seccomp_attach(role, mode, listener);
	free(last);
	if (rc == 0)
		return 1;
	/* EBUSY: there is a listener around us already */
	if (is_missing(-rc) || (rc == -EBUSY && mode == SANDBOX_LOG))
		return sandbox_missing("seccomp", mode, -rc);
	errno = -rc;
	return -1;
}

static void
sandbox_name_call(const struct seccomp_notif *req)
{
	char *name = seccomp_syscall_resolve_num_arch(req->data.arch, req->data.nr);

	log_warn(0, "sandbox: pid %u called %s(%d)", (unsigned)req->pid, name != NULL ? name : "?",
		 req->data.nr);
	free(name);
}

/* Nothing to be read is no error: whoever waited may have been killed. */
static int
sandbox_answer(int listener, struct seccomp_notif *req, struct seccomp_notif_resp *resp)
{
	int rc = seccomp_notify_receive(listener, req);

	if (rc == 0) {
		sandbox_name_call(req);
		resp->id = req->id;
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		rc = seccomp_notify_respond(listener, resp);
	}
	if (rc == 0 || rc == -ECANCELED || rc == -ENOENT || rc == -EINTR)
		return 0;
	errno = -rc;
	return -1;
}

int
sandbox_is_listener(int fd)
{
	struct statfs fs;
	uint64_t id = 0; /* of no report */

	/* an inode of the kernel's own first: what else somebody sends may answer an ioctl late */
	return fstatfs(fd, &fs) == 0 && fs.f_type == ANON_INODE_FS_MAGIC &&
	       ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == -1 && errno == ENOENT;
}

int
sandbox_report(int listener)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN, .revents = 0};
	struct seccomp_notif_resp *resp = NULL;
	struct seccomp_notif *req = NULL;
	int rc;

	/* receiving waits whatever the descriptor's flags say */
	if (poll(&pfd, 1, 0) <= 0)
		return 0;
	if ((pfd.revents & POLLIN) == 0) {
		errno = EPIPE; /* nobody has the filter any more */
		return -1;
	}
	rc = seccomp_notify_alloc(&req, &resp);
	if (rc == 0) {
		rc = sandbox_answer(listener, req, resp);
		seccomp_notify_free(req, resp);
		return rc;
	}
	errno = -rc;
	return -1;
}

/* Headers older than the kernel lack the later rights and calls. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP	(1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL		    (1ULL << 1)
#endif

/* struct landlock_ruleset_attr of ABI 6; an older kernel takes as much of it as it knows. */
struct landlock_attr {
	uint64_t fs, net, scoped;
};

enum {
	LANDLOCK_ABI_REFER = 2,
	LANDLOCK_FS_FIRST = (1 << 13) - 1 /* the rights of ABI 1: execute to make_sym */
};

/* What is taken away, by the ABI that knows it. */
static const struct {
	uint32_t abi;
	size_t size; /* of struct landlock_attr to pass */
	struct landlock_attr add;
} landlock_abis[] = {
    {1, 8, {LANDLOCK_FS_FIRST, 0, 0}},
    {LANDLOCK_ABI_REFER, 8, {LANDLOCK_ACCESS_FS_REFER, 0, 0}},
    {3, 8, {LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0}},
    {4, 16, {0, LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP, 0}},
    {5, 16, {LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0}},
    {6, 24, {0, 0, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL}},
};

enum {
	LANDLOCK_READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	LANDLOCK_MAKE = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

static const uint64_t landlock_accesses[] = {
    [SANDBOX_READ] = LANDLOCK_READ,
    [SANDBOX_WRITE] = LANDLOCK_READ | LANDLOCK_MAKE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		      LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE,
    [SANDBOX_MAKE] = LANDLOCK_MAKE,
    [SANDBOX_LOOK] = LANDLOCK_ACCESS_FS_READ_DIR,
    [SANDBOX_FOLDERS] =
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER,
};

/* The ABI to use, 0 if there is none (errno). */
static uint32_t
landlock_find_abi(int write, uint32_t abi_max)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi <= 0)
		return 0;
	if (abi_max != 0 && abi > (long)abi_max)
		abi = (long)abi_max;
	/* without REFER every rename from new/ to cur/ would fail with EXDEV */
	if (write && abi < LANDLOCK_ABI_REFER) {
		errno = EOPNOTSUPP;
		return 0;
	}
	return (uint32_t)abi;
}

/* A ruleset that takes everything the ABI knows; its descriptor, or -1. */
static int
landlock_make_ruleset(uint32_t abi, struct landlock_attr *attr)
{
	size_t size = 0;

	memset(attr, 0, sizeof(*attr));
	for (size_t i = 0; i < COUNT_OF(landlock_abis) && landlock_abis[i].abi <= abi; i++) {
		size = landlock_abis[i].size;
		attr->fs |= landlock_abis[i].add.fs;
		attr->net |= landlock_abis[i].add.net;
		attr->scoped |= landlock_abis[i].add.scoped;
	}
	return (int)syscall(SYS_landlock_create_ruleset, attr, size, 0);
}

/* Add the rule of one directory.  0 or -1 with errno. */
static int
landlock_add_path(int ruleset, const struct landlock_attr *attr, const struct sandbox_path *path)
{
	struct landlock_path_beneath_attr beneath;

	memset(&beneath, 0, sizeof(beneath));
	beneath.parent_fd = path->fd;
	beneath.allowed_access = landlock_accesses[path->access] & attr->fs;
	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath,
			    0);
}

int
sandbox_landlock_paths(const struct sandbox_path *paths, size_t count, enum sandbox_mode mode,
		       uint32_t abi_max)
{
	struct landlock_attr attr;
	int ruleset, error, write = 0, result = -1;
	uint32_t abi;

	if (mode == SANDBOX_OFF || mode == SANDBOX_LOG)
		return 0;
	for (size_t i = 0; i < count; i++)
		write =
		    write || (landlock_accesses[paths[i].access] & LANDLOCK_ACCESS_FS_REFER) != 0;
	abi = landlock_find_abi(write, abi_max);
	if (abi == 0)
		return is_missing(errno) ? sandbox_missing("Landlock", mode, errno) : -1;
	ruleset = landlock_make_ruleset(abi, &attr);
	if (ruleset < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (landlock_add_path(ruleset, &attr, &paths[i]) < 0)
			goto out;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		goto out;
	result = (int)abi;
out:
	error = errno;
	close(ruleset);
	errno = error;
	return result;
}

int
sandbox_landlock(int fd, int write, enum sandbox_mode mode, uint32_t abi_max)
{
	const struct sandbox_path path = {fd, write ? SANDBOX_WRITE : SANDBOX_READ};

	return sandbox_landlock_paths(&path, fd >= 0 ? 1 : 0, mode, abi_max);
}

const char *
sandbox_lacks(uint32_t abi_max)
{
	bool filters = seccomp_find() == 0;
	bool landlock = landlock_find_abi(1, abi_max) != 0;

	return filters	  ? (landlock ? NULL : "Landlock")
	       : landlock ? "seccomp"
			  : "seccomp, Landlock";
}
