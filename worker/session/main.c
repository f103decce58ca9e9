/*
 * pop3d-session: the spawner, and the spares and sessions that it forks.
 *
 * Runs as: the spawner and its spares as root with the capabilities SETUID,
 *   SETGID and SETPCAP only; a session as the mailbox owner for good, without
 *   any.  All under one seccomp filter; a session also under Landlock.
 * Sees: the spawner, its channel to master and nothing else; a session, its
 *   own channel to master, one client's stream and one mailbox.
 * May never: serve a second user, hold another session's descriptor or
 *   memory, read a configuration, call PAM, NSS or a TLS library.
 *
 * The spawner stays small, since every session begins as its copy: it forks
 * spares ahead, so that a login waits for neither fork nor exec, and reports
 * every end.  Killing it ends no session.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/sandbox.h"
#include "common/title.h"
#include "worker/session/scan.h"
#include "worker/session/session.h"

enum { MASTER_QUEUE = 1024, RETRY_SECONDS = 1 };

static struct channel master;
static struct msg_spawn_conf conf;
static bool ready;    /* set up and confined */
static uint32_t owed; /* spares that master has ordered and not got */

/* SIGCHLD is blocked but in ppoll(2), which it ends: that is all it has to do. */
static void
on_child(int sig)
{
	(void)sig;
}

static void
catch_children(void)
{
	struct sigaction sa = {.sa_handler = on_child};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGCHLD, &sa, NULL);
}

static noreturn void
refuse(const char *what)
{
	struct msg_refused m;

	memset(&m, 0, sizeof(m));
	(void)snprintf(m.why, sizeof(m.why), "session spawner: %s: %s", what, strerror(errno));
	(void)channel_put(&master, MSG_REFUSED, &m,
			  offsetof(struct msg_refused, why) + strlen(m.why) + 1);
	exit(EXIT_SUCCESS);
}

/*
 * Setting up has left the heap full of holes; the first larger allocation sorts
 * them.  Better once here than in every session, which would copy each page
 * that it touches.
 */
static void
tidy_heap(void)
{
	enum { LARGER_THAN_ANY_HOLE = 100000 };
	void *volatile room = malloc(LARGER_THAN_ANY_HOLE);

	free(room);
	(void)malloc_trim(0);
}

/* When memory runs out the kernel ends a session before anything else of ours; master may have
 * been told to be spared, which all inherit (proc(5), oom_score_adj). */
static void
come_first_out_of_memory(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	(void)!write(fd, "500", 3);
	(void)close(fd);
}

/* Give up what neither spawner nor session needs; from then on spares may be made. */
static void
confine(void)
{
	struct msg_ready answer = {0};
	int listener = -1, attached;

	come_first_out_of_memory();
	if (privs_harden(true) == -1)
		refuse("hardening");
	if ((conf.rootless != 0 ? privs_drop_caps() : privs_keep_setid_caps()) == -1)
		refuse("capabilities");
	attached = sandbox_seccomp(ROLE_SPAWNER, (enum sandbox_mode)conf.sandbox, &listener);
	if (attached == -1)
		refuse("seccomp");
	if (listener != -1) {
		(void)channel_send(&master, MSG_SANDBOX_LOG, NULL, 0, &listener, 1);
		(void)close(listener);
	}
	tidy_heap();
	answer.seccomp = attached == 1;
	(void)channel_put(&master, MSG_READY, &answer, sizeof(answer));
	ready = true;
}

/* In the child: keep the own end of the own channel and nothing else.  SIGCHLD stays blocked: a
 * session has no children. */
static noreturn void
be_spare(const int pair[2])
{
	channel_close(&master); /* with what waits there: other spares' channels */
	(void)close(pair[0]);
	session_run(&conf, pair[1]);
}

/* Fork one spare and hand its channel to master.  0 or -1 with errno. */
static int
spawn_one(void)
{
	static const int on = 1;
	int pair[2], result = -1, error;
	struct msg_spare spare;

	if (channel_pair(pair) == -1)
		return -1;
	/* on both ends before the first message: master believes no other word about the pid */
	if (setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
	    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
	    (spare.pid = (int32_t)fork()) != -1) {
		if (spare.pid == 0)
			be_spare(pair);
		/* if this fails the child reads the end of its channel, and goes */
		result = channel_send(&master, MSG_SPARE, &spare, sizeof(spare), &pair[0], 1);
	}
	error = errno;
	(void)close(pair[0]);
	(void)close(pair[1]);
	errno = error;
	return result;
}

static void
spawn_owed(void)
{
	for (; owed > 0; owed--)
		if (spawn_one() == -1) {
			log_error(0, "cannot make a spare session: %s", strerror(errno));
			return;
		}
}

static void
reap(void)
{
	struct msg_exited m;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		m.pid = (int32_t)pid;
		m.status = status;
		(void)channel_put(&master, MSG_EXITED, &m, sizeof(m));
	}
}

enum { SPAWNER_NEW = 1, SPAWNER_READY = 2 };

static int
spawner_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return ready ? SPAWNER_READY : SPAWNER_NEW;
}

static int
handle_ping(void *who, struct msg *m)
{
	(void)who;
	(void)channel_put(&master, MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	return 0;
}

static int
handle_conf(void *who, struct msg *m)
{
	(void)who;
	conf = m->u.spawn_conf;
	title_detail((enum ps_titles)conf.ps_titles);
	title_set("session", "spawner");
	confine();
	return 0;
}

static int
handle_spawn(void *who, struct msg *m)
{
	(void)who;
	owed += m->u.spawn.count;
	return 0;
}

static const struct inbox_row rows[] = {
    {MSG_PING, INBOX_ALWAYS, 0, handle_ping},
    {MSG_SPAWN_CONF, SPAWNER_NEW, 0, handle_conf},
    {MSG_SPAWN, SPAWNER_READY, 0, handle_spawn},
};

static const struct inbox inbox = {rows, COUNT_OF(rows), spawner_state};

/* Wait for master, for the end of a child, or to try again. */
static void
await(void)
{
	struct pollfd pfd = {master.fd, POLLIN, 0};
	struct timespec retry = {RETRY_SECONDS, 0};
	sigset_t none;

	if (master.queued > 0)
		pfd.events |= POLLOUT;
	sigemptyset(&none);
	(void)ppoll(&pfd, 1, owed > 0 ? &retry : NULL, &none);
}

int
main(int argc, char *argv[], char *envp[])
{
	struct msg m;
	int r;

	if (argc > 1)
		return scan_run(argc, argv);
	title_init(argc, argv, envp);
	privs_role_start(CHANNEL_FD + 1);
	channel_init(&master, CHANNEL_FD, ROLE_SPAWNER, ROLE_MASTER, MASTER_QUEUE);
	log_to_channel(&master);
	title_set("session", "spawner");
	catch_children();
	for (;;) {
		while ((r = channel_recv(&master, &m)) == 1) {
			if (inbox_take(&inbox, NULL, &m) == -1)
				exit(EXIT_FAILURE);
			msg_discard(&m);
		}
		if (r == -1 || channel_flush(&master) == -1)
			break;
		reap();
		spawn_owed();
		await();
	}
	channel_close(&master);
	return EXIT_SUCCESS;
}
