/* common/sandbox.c; each test in a child of its own, since nothing of it can be undone. */
#include "config.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "common/channel.h"
#include "common/count.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/sandbox.h"
#include "tests/unit/child.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

/* Made before the filter, which lets no login worker make them. */
static int pair[2], tcp;
static uid_t own_uid;
static gid_t own_gid;

static bool
confine(enum role role)
{
	int listener;

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && privs_harden(true) == 0 &&
	       sandbox_seccomp(role, SANDBOX_REQUIRE, &listener) == 1 && listener == -1;
}

/* ---- memory that ends */

enum { PIECE = 2048, PIECES = 300 };

/* Leave the process so many pieces of memory. */
static bool
leave_pieces(int left)
{
	static void *taken[4 * PIECES];
	struct rlimit none = {0, 0};
	int n = 0;

	if (setrlimit(RLIMIT_DATA, &none) == -1)
		return false;
	while (n < 4 * PIECES && (taken[n] = malloc(PIECE)) != NULL)
		n++;
	for (int i = 0; i < left && n > 0; i++)
		free(taken[--n]);
	return n < 4 * PIECES;
}

static int memory_left;
static enum role memory_role;

/* The filter is the whole one, or there is none. */
static int
child_little_memory(void)
{
	int listener, rc;

	NEED(privs_harden(true) == 0);
	NEED(leave_pieces(memory_left));
	rc = sandbox_seccomp(memory_role, SANDBOX_REQUIRE, &listener);
	if (rc != 1)
		return rc == -1 && errno == ENOMEM ? 0 : 1;
	return getpid() > 0 && clock() != (clock_t)-1 ? 0 : 1;
}

static void
test_little_memory(void)
{
#ifdef SANITIZE /* its memory is of another kind */
	return;
#endif
	static const enum role roles[] = {ROLE_KEY, ROLE_LOGIN, ROLE_SPAWNER};

	for (size_t i = 0; i < COUNT_OF(roles); i++)
		for (memory_left = 0; memory_left < PIECES; memory_left += 4) {
			memory_role = roles[i];
			CU_ASSERT_EQUAL(child_run(child_little_memory), 0);
		}
}

/* ---- what must work */

static int
child_memory(void)
{
	char *p = malloc(1 << 20), *q;

	NEED(p != NULL);
	memset(p, 1, 1 << 20);
	q = realloc(p, 64 << 20);
	NEED(q != NULL);
	free(q);
	NEED(getrandom(&p, sizeof(p), 0) == sizeof(p));
	return 0;
}

static int
child_socket_calls(void)
{
	struct pollfd pfd = {.fd = pair[0], .events = POLLIN};
	struct timespec ts;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int waits = 0;
	char c;

	NEED(send(pair[1], "x", 1, MSG_NOSIGNAL) == 1);
	NEED(poll(&pfd, 1, 1000) == 1);
	NEED(ioctl(pair[0], TIOCOUTQ, &waits) == 0);
	NEED(recv(pair[0], &c, 1, MSG_PEEK) == 1 && read(pair[0], &c, 1) == 1 && c == 'x');
	NEED(fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK) == 0);
	NEED_ERROR(recv(pair[0], &c, 1, 0), EAGAIN);
	NEED(getsockopt(tcp, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
	NEED(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts) == 0);
	NEED_ERROR(syscall(SYS_clone3, NULL, 0), ENOSYS);
	NEED(shutdown(pair[0], SHUT_RDWR) == 0);
	NEED(close(pair[0]) == 0);
	return 0;
}

static int
child_login_works(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll;

	NEED(confine(ROLE_LOGIN));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	NEED(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event) == 0);
	NEED(epoll_wait(epoll, &event, 1, 0) == 0);
	NEED(send(pair[1], "x", 1, MSG_NOSIGNAL) == 1);
	NEED(epoll_wait(epoll, &event, 1, 1000) == 1);
	NEED(recv(pair[0], &event, sizeof(event), 0) == 1);
	NEED(child_memory() == 0);
	return child_socket_calls();
}

static int
compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* glibc's qsort asks for the size of the memory, and takes memory of its own. */
static int
child_sort(void)
{
	static int numbers[50000];

	for (int i = 0; i < 50000; i++)
		numbers[i] = 50000 - i;
	qsort(numbers, 50000, sizeof(numbers[0]), compare_ints);
	NEED(numbers[0] == 1);
	return 0;
}

/* What a session does from its fork on. */
static int
child_session(void)
{
	static const uint32_t groups[] = {SCRATCH_GID};
	struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

	if (geteuid() == 0)
		NEED(privs_become(SCRATCH_UID, SCRATCH_GID, groups, 1) == 0);
	else
		NEED(privs_become(own_uid, own_gid, NULL, 0) == 0);
	NEED(setrlimit(RLIMIT_NPROC, &none) == 0);
	NEED(sandbox_landlock(scratch_fd, 1, SANDBOX_ON, 0) >= 0);
	NEED(scratch_use() == 0);
	NEED(ioctl(pair[0], FIONREAD, &none) == 0);
	NEED(child_sort() == 0);
	NEED(child_memory() == 0);
	return child_socket_calls();
}

/* A datagram socket of another program, as the log daemon's, and a name in the message. */
static struct sockaddr_un elsewhere = {.sun_family = AF_UNIX};
static int receiver;

static int
child_names_another(void)
{
	struct iovec one = {(char[]){'x'}, 1};
	struct msghdr m = {&elsewhere, sizeof(elsewhere), &one, 1, NULL, 0, 0};
	int fd[2], tell[2];
	char c;

	NEED(confine(ROLE_SPAWNER));
	NEED(channel_pair(fd) == 0 && channel_pair(tell) == 0);
	(void)sendmsg(fd[0], &m, MSG_NOSIGNAL);
	(void)sendmsg(pair[0], &m, MSG_NOSIGNAL);
	(void)sendmsg(tcp, &m, MSG_NOSIGNAL);
	NEED(close(fd[1]) == 0);
	(void)sendmsg(fd[0], &m, MSG_NOSIGNAL);
	NEED_ERROR(recv(receiver, &c, 1, MSG_DONTWAIT), EAGAIN);
	return 0;
}

static void
test_names_another(void)
{
	snprintf(elsewhere.sun_path, sizeof(elsewhere.sun_path), "%s/socket", scratch);
	receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(
	    bind(receiver, (const struct sockaddr *)&elsewhere, sizeof(elsewhere)), 0);
	CU_ASSERT_EQUAL(child_run(child_names_another), 0);
	(void)unlink(elsewhere.sun_path);
	(void)close(receiver);
}

static int
child_spawner_works(void)
{
	int fd[2], status, pass = 1;
	pid_t pid;

	NEED(privs_harden(true) == 0);
	if (getuid() == 0)
		NEED(privs_keep_setid_caps() == 0);
	NEED(confine(ROLE_SPAWNER));
	NEED(channel_pair(fd) == 0);
	NEED(setsockopt(fd[0], SOL_SOCKET, SO_PASSCRED, &pass, sizeof(pass)) == 0);
	for (int i = 0; i < 3; i++) {
		pid = fork();
		NEED(pid >= 0);
		if (pid == 0)
			_exit(i == 0 ? child_session() : 0);
		NEED(waitpid(pid, &status, 0) == pid);
		NEED(status == 0);
	}
	return 0;
}

/* The filter comes along: a session is no freer than its spawner. */
static int
child_inherits(void)
{
	int status;
	pid_t pid;

	NEED(confine(ROLE_SPAWNER));
	pid = fork();
	if (pid == 0) {
		(void)socket(AF_UNIX, SOCK_STREAM, 0);
		_exit(0);
	}
	NEED(waitpid(pid, &status, 0) == pid);
	NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	return 0;
}

static void
test_login_works(void)
{
	CU_ASSERT_EQUAL(child_run(child_login_works), 0);
}

static void
test_spawner_works(void)
{
	CU_ASSERT_EQUAL(child_run(child_spawner_works), 0);
	CU_ASSERT_EQUAL(child_run(child_inherits), 0);
}

/* ---- modes */

static int
child_off(void)
{
	int listener = 7;

	NEED(privs_harden(true) == 0);
	NEED(sandbox_seccomp(ROLE_LOGIN, SANDBOX_OFF, &listener) == 0 && listener == -1);
	NEED(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	NEED(sandbox_landlock(-1, 0, SANDBOX_OFF, 0) == 0);
	NEED(sandbox_landlock(-1, 0, SANDBOX_LOG, 0) == 0);
	NEED(access("/etc", R_OK) == 0);
	NEED_ERROR(sandbox_seccomp(ROLE_MASTER, SANDBOX_ON, &listener), EINVAL);
	NEED_ERROR(sandbox_seccomp(ROLE_AUTH, SANDBOX_ON, &listener), EINVAL);
	return 0;
}

static void
test_modes(void)
{
	CU_ASSERT_EQUAL(child_run(child_off), 0);
}

static struct channel log_worker, log_master;

/* Calls what is not in the list, with the listener at master. */
static int
child_log(void)
{
	pid_t parent = getppid();
	int listener;

	NEED(privs_harden(true) == 0);
	NEED(sandbox_seccomp(ROLE_LOGIN, SANDBOX_LOG, &listener) == 1 && listener >= 0);
	NEED(channel_send(&log_worker, MSG_SANDBOX_LOG, NULL, 0, &listener, 1) == 0);
	NEED(close(listener) == 0);
	NEED(getppid() == parent);
	return 0;
}

/* Master is gone: the call fails, nobody waits for ever. */
static int
child_log_alone(void)
{
	int listener;

	NEED(privs_harden(true) == 0);
	NEED(sandbox_seccomp(ROLE_LOGIN, SANDBOX_LOG, &listener) == 1);
	NEED(close(listener) == 0);
	NEED_ERROR(syscall(SYS_getppid), ENOSYS);
	return 0;
}

/* The child that runs `fn`, answered as master would; its status. */
static int
run_reported(int (*fn)(void))
{
	struct msg m;
	int fd[2], status, listener;
	struct pollfd pfd;
	pid_t pid;

	if (channel_pair(fd) < 0)
		abort();
	channel_init(&log_worker, fd[0], ROLE_LOGIN, ROLE_MASTER, 4);
	channel_init(&log_master, fd[1], ROLE_MASTER, ROLE_LOGIN, 4);
	pid = fork();
	if (pid == 0) {
		(void)alarm(CHILD_SECONDS);
		_exit(fn());
	}
	channel_close(&log_worker);
	CU_ASSERT_EQUAL(channel_wait(&log_master, &m, CHILD_SECONDS * 1000), 1);
	CU_ASSERT_EQUAL(m.type, MSG_SANDBOX_LOG);
	listener = msg_take_fd(&m, 0);
	CU_ASSERT_TRUE(sandbox_is_listener(listener));
	CU_ASSERT_EQUAL(sandbox_report(listener) < 0, 0);
	pfd = (struct pollfd){.fd = listener, .events = POLLIN};
	do {
		CU_ASSERT_EQUAL_FATAL(poll(&pfd, 1, CHILD_SECONDS * 1000), 1);
	} while (sandbox_report(listener) == 0);
	CU_ASSERT_EQUAL(errno, EPIPE);
	close(listener);
	channel_close(&log_master);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

/* What a worker could send in place of a listener. */
static void
test_no_listener(void)
{
	int fds[] = {eventfd(0, EFD_CLOEXEC),
		     epoll_create1(EPOLL_CLOEXEC),
		     socket(AF_UNIX, SOCK_STREAM, 0),
		     memfd_create("x", MFD_CLOEXEC),
		     open("/dev/null", O_RDONLY | O_CLOEXEC),
		     -1};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		CU_ASSERT_FALSE(sandbox_is_listener(fds[i]));
		if (fds[i] != -1)
			(void)close(fds[i]);
	}
}

static void
test_log(void)
{
	int log = memfd_create("log", MFD_CLOEXEC), real = dup(STDERR_FILENO);
	char text[4096];
	ssize_t n;

	if (log < 0 || dup2(log, STDERR_FILENO) < 0)
		abort();
	log_to_stderr();
	CU_ASSERT_EQUAL(run_reported(child_log), 0);
	if (dup2(real, STDERR_FILENO) < 0)
		abort();
	n = pread(log, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "sandbox: pid "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " called getppid("));
	close(log);
	close(real);
	CU_ASSERT_EQUAL(child_run(child_log_alone), 0);
}

static const struct unit_test tests[] = {
    {"SYS-04 what a login worker needs", test_login_works},
    {"SYS-04 what spawner and sessions need", test_spawner_works},
    {"SYS-04 a name in a message leads nowhere", test_names_another},
    {"SYS-04 off, wrong roles", test_modes},
    {"SYS-04 log names the call", test_log},
    {"SYS-04 memory that ends", test_little_memory},
    {"SYS-04 what is no listener", test_no_listener},
    {NULL, NULL},
};

int
main(void)
{
	int status;

	scratch_make();
	own_uid = getuid();
	own_gid = getgid();
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (tcp < 0)
		abort();
	status = unit_run("sandbox", tests);
	scratch_remove();
	return status;
}
