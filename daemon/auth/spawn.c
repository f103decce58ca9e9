#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/process.h"
#include "daemon/auth/spawn.h"

enum { CHILD_FILES = 1024 };

static int program = -1; /* open for good */

/* In the forked process: only calls that are safe there. */
static void
child_begins(void)
{
	struct rlimit files;

	/* raised for the gate; modules walk over all there may be, and select(2) */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > CHILD_FILES) {
		files.rlim_cur = CHILD_FILES;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(EXIT_FAILURE);
}

int
spawn_init(void)
{
	/* this very file, whatever stands at its path by now; without /proc the path has to do */
	program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (program == -1)
		program = open(SPAWN_PROGRAM, O_PATH | O_CLOEXEC);
	return program == -1 ? -1 : 0;
}

pid_t
spawn_child(int fd)
{
	static char name[] = "pop3d-auth", word[] = SPAWN_CHILD_WORD;
	static char *const argv[] = {name, word, NULL};

	return process_start(program, "", argv, fd, child_begins);
}
