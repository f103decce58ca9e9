/*
 * Makes one call of one program fail.  A library for LD_PRELOAD; which call of
 * which program stands in a file that the test and all processes share (struct
 * plan), whose path is the environment's POP3D_FAULT_PLAN.  The calls of that
 * program are counted there.  Programs that a process with the library starts have
 * it too.
 */
#include "config.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The test reads them here: each is a line, in the order of its numbers. */
#define CALLS(CALL)                                                                                \
	CALL(accept4)                                                                              \
	CALL(calloc)                                                                               \
	CALL(epoll_wait)                                                                           \
	CALL(fallocate)                                                                            \
	CALL(fdatasync)                                                                            \
	CALL(fork)                                                                                 \
	CALL(fstat)                                                                                \
	CALL(fstatat)                                                                              \
	CALL(fsync)                                                                                \
	CALL(ftruncate)                                                                            \
	CALL(linkat)                                                                               \
	CALL(malloc)                                                                               \
	CALL(memfd_create)                                                                         \
	CALL(mkdirat)                                                                              \
	CALL(mmap)                                                                                 \
	CALL(open)                                                                                 \
	CALL(openat)                                                                               \
	CALL(ppoll)                                                                                \
	CALL(pread)                                                                                \
	CALL(pwrite)                                                                               \
	CALL(read)                                                                                 \
	CALL(readdir)                                                                              \
	CALL(realloc)                                                                              \
	CALL(recv)                                                                                 \
	CALL(recvmsg)                                                                              \
	CALL(renameat)                                                                             \
	CALL(renameat2)                                                                            \
	CALL(send)                                                                                 \
	CALL(sendmsg)                                                                              \
	CALL(socketpair)                                                                           \
	CALL(unlinkat)                                                                             \
	CALL(write)

enum call {
#define CALL(name) CALL_##name,
	CALLS(CALL)
#undef CALL
	    CALL_COUNT
};

/* The last one is a child of the gate, which runs "pop3d-auth child". */
static const char *const programs[] = {"pop3d",		  "pop3d-login",   "pop3d-auth",
				       "pop3d-key",	  "pop3d-session", "pop3d-dispatch",
				       "pop3d-auth child"};

enum { PROGRAM_COUNT = 7, SHORT = 1000 };

/* 32-bit numbers of the host's byte order. */
struct plan {
	uint32_t program; /* index, and that of the call; PROGRAM_COUNT, CALL_COUNT: none */
	uint32_t call;
	uint32_t error;	    /* errno; SHORT: fewer octets than were asked for */
	int32_t left;	    /* at the call that makes it 0 */
	uint32_t happened;  /* it did */
	uint32_t privilege; /* 1: of processes of root alone, 2: of others alone, 0: of all */
	char caller[32];    /* file name of the program or library that called when it did */
	uint32_t seen[CALL_COUNT]; /* calls of that program with that privilege */
};

static struct plan *plan;
static size_t own;

static const char *const names[CALL_COUNT] = {
#define CALL(name) #name,
    CALLS(CALL)
#undef CALL
};

/* The index of the program that runs, or PROGRAM_COUNT. */
static size_t
find_own(const char *word)
{
	char exe[4096] = "", name[4096];
	size_t i;

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) == -1 || strrchr(exe, '/') == NULL)
		return PROGRAM_COUNT;
	(void)snprintf(name, sizeof(name), "%s%s", strrchr(exe, '/') + 1,
		       word != NULL && strcmp(word, "child") == 0 ? " child" : "");
	for (i = 0; i < PROGRAM_COUNT; i++)
		if (strcmp(name, programs[i]) == 0)
			break;
	return i;
}

static void __attribute__((constructor)) begin(int argc, char *argv[])
{
	const char *path = getenv("POP3D_FAULT_PLAN");
	void *shared;
	int fd;

	(void)backtrace(&shared, 1); /* loads what it needs, before the program is confined */
	own = find_own(argc > 1 ? argv[1] : NULL);
	if (own == PROGRAM_COUNT || path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return;
	shared = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (shared != MAP_FAILED)
		plan = shared;
}

/* Other libraries' constructors may call before ours runs. */
static void *
find(enum call call)
{
	static void *found[CALL_COUNT];

	if (found[call] == NULL)
		found[call] = dlsym(RTLD_NEXT, names[call]);
	return found[call];
}

#define REAL(name) ((__typeof__(&name))find(CALL_##name))

/* Disks alone have these errors: a pipe or a socket that is read or written has not. */
static bool
is_possible(int fd)
{
	struct stat st;

	if (fd == -1 || (plan->error != EIO && plan->error != ENOSPC))
		return true;
	return REAL(fstat)(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file name of the object that an address is in. */
static const char *
object_of(const void *at)
{
	Dl_info info;

	if (dladdr(at, &info) == 0 || info.dli_fname == NULL)
		return "";
	return strrchr(info.dli_fname, '/') != NULL ? strrchr(info.dli_fname, '/') + 1
						    : info.dli_fname;
}

/* Whose call it is: of strdup(3) and the like, who called that. */
static void
note_caller(void)
{
	void *frames[16];
	const char *name = "";
	int n = backtrace(frames, 16);

	for (int i = 0; i < n; i++) {
		name = object_of(frames[i]);
		if (strcmp(name, "inject.so") != 0 && strncmp(name, "libc.so", 7) != 0)
			break;
	}
	(void)snprintf(plan->caller, sizeof(plan->caller), "%s", name);
}

/* What happens to this call on a descriptor (-1: it has none): 0, or the plan's error. */
static uint32_t
fault_on(enum call call, int fd)
{
	if (plan == NULL || __atomic_load_n(&plan->program, __ATOMIC_ACQUIRE) != own ||
	    (plan->privilege != 0 && (plan->privilege == 1) != (geteuid() == 0)))
		return 0;
	__atomic_add_fetch(&plan->seen[call], 1, __ATOMIC_RELAXED);
	if (plan->call != call || !is_possible(fd) ||
	    __atomic_sub_fetch(&plan->left, 1, __ATOMIC_RELAXED) != 0)
		return 0;
	note_caller();
	__atomic_store_n(&plan->happened, 1, __ATOMIC_RELEASE);
	return plan->error;
}

static bool
fails(enum call call)
{
	uint32_t error = fault_on(call, -1);

	if (error == 0 || error == SHORT)
		return false;
	errno = (int)error;
	return true;
}

/* A call that fails with -1. */
#define WRAP(type, name, parameters, ...)                                                          \
	type name parameters                                                                       \
	{                                                                                          \
		return fails(CALL_##name) ? -1 : REAL(name)(__VA_ARGS__);                          \
	}

/* One of so many octets: at a short one of them the first half. */
#define WRAP_OCTETS(name, parameters, ...)                                                         \
	ssize_t name parameters                                                                    \
	{                                                                                          \
		uint32_t error = fault_on(CALL_##name, fd);                                        \
                                                                                                   \
		if (error == SHORT)                                                                \
			n = (n + 1) / 2;                                                           \
		else if (error != 0) {                                                             \
			errno = (int)error;                                                        \
			return -1;                                                                 \
		}                                                                                  \
		return REAL(name)(__VA_ARGS__);                                                    \
	}

WRAP(int, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags), fd, a, len, flags)
WRAP(int, epoll_wait, (int fd, struct epoll_event *ev, int n, int ms), fd, ev, n, ms)
WRAP(int, fallocate, (int fd, int mode, off_t at, off_t len), fd, mode, at, len)
WRAP(int, fdatasync, (int fd), fd)
WRAP(pid_t, fork, (void), )
WRAP(int, fstat, (int fd, struct stat *st), fd, st)
WRAP(int, fstatat, (int fd, const char *p, struct stat *st, int flags), fd, p, st, flags)
WRAP(int, fsync, (int fd), fd)
WRAP(int, ftruncate, (int fd, off_t len), fd, len)
WRAP(int, linkat, (int a, const char *p, int b, const char *q, int flags), a, p, b, q, flags)
WRAP(int, memfd_create, (const char *name, unsigned flags), name, flags)
WRAP(int, mkdirat, (int fd, const char *p, mode_t mode), fd, p, mode)
WRAP(int, ppoll, (struct pollfd * p, nfds_t n, const struct timespec *t, const sigset_t *s), p, n,
     t, s)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), fd, m, flags)
WRAP(int, renameat, (int a, const char *p, int b, const char *q), a, p, b, q)
WRAP(int, renameat2, (int a, const char *p, int b, const char *q, unsigned f), a, p, b, q, f)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), fd, m, flags)
WRAP(int, socketpair, (int domain, int type, int protocol, int pair[2]), domain, type, protocol,
     pair)
WRAP(int, unlinkat, (int fd, const char *p, int flags), fd, p, flags)
WRAP_OCTETS(pread, (int fd, void *buf, size_t n, off_t at), fd, buf, n, at)
WRAP_OCTETS(pwrite, (int fd, const void *buf, size_t n, off_t at), fd, buf, n, at)
WRAP_OCTETS(read, (int fd, void *buf, size_t n), fd, buf, n)
WRAP_OCTETS(recv, (int fd, void *buf, size_t n, int flags), fd, buf, n, flags)
WRAP_OCTETS(send, (int fd, const void *buf, size_t n, int flags), fd, buf, n, flags)
WRAP_OCTETS(write, (int fd, const void *buf, size_t n), fd, buf, n)

/* As _FORTIFY_SOURCE calls them. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
int __openat_2(int fd, const char *path, int flags);

ssize_t
__read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (n > room)
		abort();
	return read(fd, buf, n);
}

ssize_t
__pread_chk(int fd, void *buf, size_t n, off_t at, size_t room)
{
	if (n > room)
		abort();
	return pread(fd, buf, n, at);
}

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

int
open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fails(CALL_open) ? -1 : REAL(open)(path, flags, mode);
}

int
openat(int fd, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fails(CALL_openat) ? -1 : REAL(openat)(fd, path, flags, mode);
}

int
__openat_2(int fd, const char *path, int flags)
{
	return openat(fd, path, flags);
}

struct dirent *
readdir(DIR *dir)
{
	return fails(CALL_readdir) ? NULL : REAL(readdir)(dir);
}

void *
mmap(void *at, size_t len, int prot, int flags, int fd, off_t from)
{
	return fails(CALL_mmap) ? MAP_FAILED : REAL(mmap)(at, len, prot, flags, fd, from);
}

/* dlsym(3) needs memory itself. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
	return fails(CALL_malloc) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails(CALL_calloc) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails(CALL_realloc) ? NULL : __libc_realloc(p, n);
}

/* A program's environment is made for it: the library and the plan go with it. */
int
execveat(int fd, const char *path, char *const argv[], char *const env[], int flags)
{
	static char library[4096] = "LD_PRELOAD=", file[4096] = "POP3D_FAULT_PLAN=";
	char *with[16];
	size_t n = 0;

	(void)strncat(library, getenv("LD_PRELOAD"), sizeof(library) - 16);
	(void)strncat(file, getenv("POP3D_FAULT_PLAN"), sizeof(file) - 32);
	while (env[n] != NULL && n < 13) {
		with[n] = env[n];
		n++;
	}
	with[n++] = library;
	with[n++] = file;
	with[n] = NULL;
	return (int)syscall(SYS_execveat, fd, path, argv, with, flags);
}
