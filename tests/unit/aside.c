/* daemon/aside.c */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/title.h"
#include "daemon/aside.h"
#include "tests/unit/unit.h"

/* What both processes see. */
static struct {
	volatile pid_t pid;
	volatile int descriptors;
	volatile bool go;
} * seen;

static struct aside aside;
static int ended = -1;
static volatile sig_atomic_t signals;

static void
hear_end(int error)
{
	ended = error;
}

static void
count_signal(int number)
{
	(void)number;
	signals++;
}

static void
reap(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	CU_ASSERT_FALSE(aside_reaped(pid + 1, status));
	CU_ASSERT_TRUE(aside_reaped(pid, status));
	CU_ASSERT_EQUAL(aside.pid, 0);
	CU_ASSERT_FALSE(aside_reaped(pid, status));
}

static int
do_nothing(void)
{
	return 0;
}

static int
fail(void)
{
	return ENOSPC;
}

static int
crash(void)
{
	kill(getpid(), SIGKILL);
	return 0;
}

static void
test_results(void)
{
	static const struct {
		aside_work_fn *work;
		int error;
	} rows[] = {{do_nothing, 0}, {fail, ENOSPC}, {crash, ECANCELED}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ended = -1;
		CU_ASSERT_EQUAL(aside_start(&aside, rows[i].work, hear_end), 0);
		CU_ASSERT_NOT_EQUAL(aside.pid, 0);
		CU_ASSERT_EQUAL(ended, -1);
		reap();
		CU_ASSERT_EQUAL(ended, rows[i].error);
		ended = -1;
		CU_ASSERT_EQUAL(aside_start(&aside, rows[i].work, hear_end), 0);
		aside_wait(&aside);
		CU_ASSERT_EQUAL(ended, rows[i].error);
		CU_ASSERT_EQUAL(aside.pid, 0);
	}
	ended = -1;
	aside_wait(&aside); /* nothing is being done */
	aside_kill(&aside);
	CU_ASSERT_EQUAL(ended, -1);
}

static int
look_at_descriptors(void)
{
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		seen->descriptors += fcntl(fd, F_GETFD) != -1;
	return 0;
}

/* A lock, for example, would outlive this process. */
static void
test_descriptors(void)
{
	int fd = open("/dev/null", O_RDONLY);

	CU_ASSERT_TRUE(fd > STDERR_FILENO);
	seen->descriptors = 0;
	CU_ASSERT_EQUAL(aside_start(&aside, look_at_descriptors, hear_end), 0);
	reap();
	CU_ASSERT_EQUAL(ended, 0);
	CU_ASSERT_EQUAL(seen->descriptors, 0);
	CU_ASSERT_NOT_EQUAL(fcntl(fd, F_GETFD), -1);
	close(fd);
}

static int
wait_for_go(void)
{
	seen->pid = getpid();
	while (!seen->go)
		(void)usleep(1000);
	return (int)signals;
}

/* Those of this process are not caught there, and end nothing but by KILL. */
static void
test_signals(void)
{
	pid_t pid;

	CU_ASSERT_NOT_EQUAL(signal(SIGTERM, count_signal), SIG_ERR);
	seen->go = false;
	CU_ASSERT_EQUAL(aside_start(&aside, wait_for_go, hear_end), 0);
	kill(aside.pid, SIGTERM);
	kill(aside.pid, SIGHUP);
	seen->go = true;
	reap();
	CU_ASSERT_EQUAL(ended, 0);
	kill(getpid(), SIGTERM);
	CU_ASSERT_EQUAL(signals, 1);
	seen->go = false;
	CU_ASSERT_EQUAL(aside_start(&aside, wait_for_go, hear_end), 0);
	pid = aside.pid;
	aside_kill(&aside);
	CU_ASSERT_EQUAL(aside.pid, pid);
	reap();
	CU_ASSERT_EQUAL(ended, ECANCELED);
}

/* So that it does not rename what another master is writing.  Its parent is a process between. */
static void
test_dies_with_its_parent(void)
{
	siginfo_t info;
	pid_t between;
	int status;

	seen->go = false;
	seen->pid = 0;
	if ((between = fork()) == 0) {
		(void)aside_start(&aside, wait_for_go, hear_end);
		while (seen->pid == 0)
			(void)usleep(1000);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(between, &status, 0), between);
	/* an orphan of ours: main() is a subreaper */
	CU_ASSERT_EQUAL(waitid(P_PID, (id_t)seen->pid, &info, WEXITED), 0);
	CU_ASSERT_EQUAL(info.si_code, CLD_KILLED);
	CU_ASSERT_EQUAL(info.si_status, SIGKILL);
}

static const struct unit_test tests[] = {
    {"what came of it", test_results},
    {"no descriptors", test_descriptors},
    {"no signals", test_signals},
    {"it dies with its parent", test_dies_with_its_parent},
    {NULL, NULL},
};

int
main(int argc, char *argv[], char *envp[])
{
	int status;

	title_init(argc, argv, envp);
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
		abort();
	status = unit_run("aside", tests);
	(void)munmap(seen, sizeof(*seen));
	return status;
}
