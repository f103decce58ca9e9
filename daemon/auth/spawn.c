#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/title.h"
#include "daemon/auth/spawn.h"

#define ROOM64	"0123456789012345678901234567890123456789012345678901234567890123"
#define ROOM256 ROOM64 ROOM64 ROOM64 ROOM64

enum { CHILD_FILES = 1024 };

/* Sanitizers report on standard error. */
#if defined(__SANITIZE_ADDRESS__)
enum { KEEP_STDERR = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
enum { KEEP_STDERR = 1 };
#else
enum { KEEP_STDERR = 0 };
#endif
#else
enum { KEEP_STDERR = 0 };
#endif

/* In the forked process: only calls that are safe there. */
static _Noreturn void
spawn_exec(int fd)
{
	static char name[] = "pop3d-auth", word[] = SPAWN_CHILD_WORD;
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C";
	static char room[] = TITLE_PADDING "=" ROOM256;
	static char *const argv[] = {name, word, NULL};
	static char *const envp[] = {path, lang, room, NULL};
	int null = open("/dev/null", O_RDWR);
	struct rlimit files;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(EXIT_FAILURE);
	if (!KEEP_STDERR && dup2(null, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	if (fd == CHANNEL_FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, CHANNEL_FD) < 0)
		_exit(EXIT_FAILURE);
	closefrom(CHANNEL_FD + 1);
	/* raised for the dispatcher; modules walk over all there may be, and select(2) */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > CHILD_FILES) {
		files.rlim_cur = CHILD_FILES;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(EXIT_FAILURE);
	execve("/proc/self/exe", argv, envp);
	_exit(EXIT_FAILURE);
}

pid_t
spawn_child(int fd)
{
	pid_t pid = fork();

	if (pid == 0)
		spawn_exec(fd);
	if (pid > 0)
		setpgid(pid, pid); /* both do, so that it holds for both from here on */
	return pid;
}
