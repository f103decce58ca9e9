#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <bsd/string.h>

#include "common/pop3.h"
#include "daemon/notify.h"

enum { WAITING_MAX = 8, LINES_SIZE = 256 };

static struct sockaddr_un manager;
static socklen_t manager_len;
static uint64_t watchdog_ms;
static int listen_fds;

/* What a manager that does not read has not taken, the oldest first. */
static char waiting[WAITING_MAX][LINES_SIZE];
static size_t nwaiting;

/* A variable that is a number and, with `pid_name`, meant for this process. */
static uint64_t
number_from_env(const char *name, const char *pid_name)
{
	const char *text = getenv(name), *pid_text = getenv(pid_name);
	uint64_t value, pid;

	if (text == NULL || pop3_number(text, strlen(text), &value) == -1)
		return 0;
	if (pid_text != NULL &&
	    (pop3_number(pid_text, strlen(pid_text), &pid) == -1 || pid != (uint64_t)getpid()))
		return 0;
	return value;
}

static void
read_listen_fds(void)
{
	enum { LISTEN_FDS_MAX = 256 };
	uint64_t n = getenv("LISTEN_PID") == NULL ? 0 : number_from_env("LISTEN_FDS", "LISTEN_PID");

	listen_fds = n <= LISTEN_FDS_MAX ? (int)n : 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	watchdog_ms = number_from_env("WATCHDOG_USEC", "WATCHDOG_PID") / 1000;
	if (path != NULL && (path[0] == '/' || path[0] == '@') &&
	    strlen(path) < sizeof(manager.sun_path)) {
		manager.sun_family = AF_UNIX;
		memcpy(manager.sun_path, path, strlen(path));
		if (path[0] == '@')
			manager.sun_path[0] = '\0';
		manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	read_listen_fds();
	closefrom(NOTIFY_FDS_START + listen_fds);
}

/* 0: there is nothing more to do; -1: the manager is behind. */
static int
send_now(const char *lines)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool behind;

	if (fd == -1)
		return 0;
	behind = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&manager,
			manager_len) == -1 &&
		 (errno == EAGAIN || errno == ENOBUFS);
	close(fd);
	return behind ? -1 : 0;
}

static void
drop_oldest(void)
{
	memmove(waiting[0], waiting[1], --nwaiting * sizeof(waiting[0]));
}

int
notify_flush(void)
{
	while (nwaiting > 0) {
		if (send_now(waiting[0]) == -1)
			return 1;
		drop_oldest();
	}
	return 0;
}

void
notify_send(const char *lines)
{
	if (manager_len == 0 || (notify_flush() == 0 && send_now(lines) == 0))
		return;
	if (nwaiting == WAITING_MAX)
		drop_oldest();
	(void)strlcpy(waiting[nwaiting++], lines, sizeof(waiting[0]));
}

void
notify_alive(void)
{
	if (manager_len != 0 && notify_flush() == 0)
		(void)send_now("WATCHDOG=1");
}

uint64_t
notify_watchdog_ms(void)
{
	return manager_len == 0 ? 0 : watchdog_ms;
}

int
notify_listen_fds(void)
{
	return listen_fds;
}
