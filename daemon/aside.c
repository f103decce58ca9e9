#include "config.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/title.h"
#include "daemon/aside.h"

static LIST_HEAD(, aside) running = LIST_HEAD_INITIALIZER(running);

/* Signals stay blocked: the handlers here would wake the loop of the parent. */
static _Noreturn void
be_aside(pid_t parent, aside_work_fn *work)
{
	closefrom(STDERR_FILENO + 1); /* sockets, and the lock that says who is master */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(ECANCELED);
	title_set("writer", NULL);
	_exit(work());
}

int
aside_start(struct aside *a, aside_work_fn *work, aside_done_fn *done)
{
	pid_t pid, parent = getpid();
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if ((pid = fork()) == 0)
		be_aside(parent, work);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	if (pid == -1)
		return -1;
	a->pid = pid;
	a->done = done;
	LIST_INSERT_HEAD(&running, a, next);
	return 0;
}

static void
end(struct aside *a, int status)
{
	LIST_REMOVE(a, next);
	a->pid = 0;
	a->done(WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED);
}

bool
aside_reaped(pid_t pid, int status)
{
	struct aside *a;

	LIST_FOREACH (a, &running, next)
		if (a->pid == pid) {
			end(a, status);
			return true;
		}
	return false;
}

void
aside_kill(const struct aside *a)
{
	if (a->pid != 0)
		kill(a->pid, SIGKILL);
}

void
aside_wait(struct aside *a)
{
	int status;

	if (a->pid == 0)
		return;
	while (waitpid(a->pid, &status, 0) == -1)
		if (errno != EINTR) {
			status = SIGKILL; /* reaped by somebody else: not known how */
			break;
		}
	end(a, status);
}
