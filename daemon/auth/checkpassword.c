/*
 * Programs with the checkpassword interface (https://cr.yp.to/checkpwd/interface.html):
 * such a program reads name, password and timestamp at descriptor 3, becomes
 * the user and runs the program that it is given, or exits.  We give it
 * "pop3d-auth checked", which tells who it has become; see checked.h.  One that
 * takes longer than auth_deadline is killed with this child, whose process group
 * it is in.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/auth/account.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/checked.h"
#include "daemon/auth/spawn.h"

enum {
	CREDENTIALS_FD = 3,
	CREDENTIALS_MAX = 512 /* octets, by the interface */
};

static struct {
	struct msg_child_conf conf;
	char program[MSG_SPEC_SIZE];
	char address[sizeof("TCPREMOTEIP=") + MSG_WORD_SIZE];
	bool heard;  /* our program said something; nothing that is said later counts */
	bool told;   /* and `account` is who it was */
	bool hidden; /* it ran, and /proc does not show it */
	struct msg_account account;
} state;

/* One run of the program. */
struct run {
	pid_t pid;
	int pidfd, out; /* our end of its standard output */
	int status;	/* of waitpid(2) */
};

static void
answer_set(struct msg_child_answer *a, enum login_result result, const char *why)
{
	a->result = result;
	snprintf(a->why, sizeof(a->why), "%s", why);
}

/* A pipe that holds the credentials and then ends.  Its reading end; -1 with errno, E2BIG if
 * they are longer than the interface allows. */
static int
credentials_pipe(const struct msg_child_ask *ask)
{
	const char *const parts[] = {ask->user, ask->password.octets, ask->challenge};
	char text[3 * MSG_NAME_SIZE], *to = text;
	int fd[2], saved = 0;
	size_t len;

	for (size_t i = 0; i < 3; i++)
		to = stpcpy(to, parts[i]) + 1;
	len = (size_t)(to - text);
	if (len > CREDENTIALS_MAX) {
		saved = E2BIG;
	} else if (pipe2(fd, O_CLOEXEC) < 0) {
		saved = errno;
	} else {
		/* less than PIPE_BUF octets: whole and at once */
		if (write(fd[1], text, len) != (ssize_t)len) {
			saved = EIO;
			close(fd[0]);
		}
		close(fd[1]);
	}
	explicit_bzero(text, sizeof(text));
	errno = saved;
	return saved == 0 ? fd[0] : -1;
}

/* In the forked process: descriptors 0 to 3, signals as by default, no shell. */
static _Noreturn void
program_exec(int in, int out)
{
	static char helper[] = SPAWN_PROGRAM, word[] = CHECKED_WORD, lang[] = "LANG=C",
		    proto[] = "PROTO=TCP";
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const argv[] = {state.program, helper, word, NULL};
	char *const envp[] = {path, lang, proto, state.address, NULL};
	static const int signals[] = {SIGPIPE, SIGINT, SIGTERM};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	/* neither is below 4: the channel is 3, and 0 to 2 are open */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(in, CREDENTIALS_FD) < 0)
		_exit(111);
	closefrom(CREDENTIALS_FD + 1);
	execve(state.program, argv, envp);
	_exit(111);
}

/* A pair of sockets for standard output: the receiver learns who writes. */
static int
output_pair(int out[2])
{
	int on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out) < 0)
		return -1;
	if (setsockopt(out[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0)
		return 0;
	close(out[0]);
	close(out[1]);
	return -1;
}

static int
program_start(struct run *r, int in)
{
	int out[2];

	if (output_pair(out) < 0)
		return -1;
	r->pid = fork();
	if (r->pid == 0)
		program_exec(in, out[1]);
	close(out[1]);
	r->out = out[0];
	if (r->pid > 0 && (r->pidfd = pidfd_open(r->pid, 0)) >= 0)
		return 0;
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	close(r->out);
	return -1;
}

/* Do the four ids of a line of /proc/PID/status (real, effective, saved, of files) agree? */
static bool
ids_are(const char *text, uint32_t id)
{
	unsigned v[4];

	return sscanf(text, "%u %u %u %u", &v[0], &v[1], &v[2], &v[3]) == 4 && v[0] == id &&
	       v[1] == id && v[2] == id && v[3] == id;
}

static bool
groups_parse(const char *text, struct msg_account *a)
{
	char *end;

	for (a->ngroups = 0;; a->ngroups++) {
		unsigned long v = strtoul(text, &end, 10);

		if (end == text)
			return true;
		if (a->ngroups == MSG_GROUPS_MAX)
			return false;
		a->groups[a->ngroups] = (uint32_t)v;
		text = end;
	}
}

/* The groups of a process whose ids are all these: what can be changed back has not been given
 * up.  Only /proc tells the saved ids. */
static bool
process_look(pid_t pid, struct msg_account *a)
{
	char path[64], *line = NULL;
	size_t cap = 0;
	unsigned right = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	state.hidden = f == NULL;
	if (f == NULL)
		return false;
	while (getline(&line, &cap, f) > 0) {
		if (strncmp(line, "Uid:", 4) == 0)
			right += ids_are(line + 4, a->uid);
		else if (strncmp(line, "Gid:", 4) == 0)
			right += ids_are(line + 4, a->gid);
		else if (strncmp(line, "Groups:", 7) == 0)
			right += groups_parse(line + 7, a);
	}
	free(line);
	fclose(f);
	return right == 3;
}

/* A packet came: is it our program's, and who is that? */
static void
packet_judge(const struct checked *c, size_t len, const struct ucred *from, int out)
{
	struct msg_account *a = &state.account;

	if (state.heard || len != sizeof(*c) ||
	    memcmp(c->magic, CHECKED_MAGIC, sizeof(c->magic)) != 0 ||
	    memchr(c->user, '\0', sizeof(c->user)) == NULL ||
	    memchr(c->home, '\0', sizeof(c->home)) == NULL || c->home[0] != '/')
		return;
	state.heard = true;
	memset(a, 0, sizeof(*a));
	memcpy(a->user, c->user, sizeof(c->user));
	memcpy(a->home, c->home, sizeof(c->home));
	a->uid = (uint32_t)from->uid;
	a->gid = (uint32_t)from->gid;
	state.told = process_look(from->pid, a);
	send(out, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Take one packet of what is said.  False: there is none now. */
static bool
output_take(int out)
{
	static struct checked c;
	union {
		struct cmsghdr align;
		char octets[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = {&c, sizeof(c)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.octets,
			    .msg_controllen = sizeof(control.octets)};
	ssize_t n = recvmsg(out, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
	struct ucred from;

	if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS &&
	    h->cmsg_len == CMSG_LEN(sizeof(from)) && (mh.msg_flags & MSG_TRUNC) == 0) {
		memcpy(&from, CMSG_DATA(h), sizeof(from));
		packet_judge(&c, (size_t)n, &from, out);
	}
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Until the process itself has ended: what it started may hold its output open. */
static void
program_wait(struct run *r)
{
	struct pollfd p[] = {{.fd = r->pidfd, .events = POLLIN}, {.fd = r->out, .events = POLLIN}};

	state.heard = state.told = state.hidden = false;
	while ((p[0].revents & POLLIN) == 0) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents != 0 && !output_take(r->out) && (p[1].revents & POLLHUP) != 0)
			p[1].fd = -1;
	}
	while (p[1].fd >= 0 && output_take(r->out))
		;
	while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR)
		;
	close(r->pidfd);
	close(r->out);
}

/* The account that the program let in.  Of a user of the host his passwd entry says where he is at
 * home; who logs in under another name than his own is nobody that the host knows. */
static void
answer_account(struct msg_child_answer *a, const struct msg_child_ask *ask)
{
	struct msg_account *account = &a->account;
	const struct passwd *pw;

	*account = state.account;
	if (account->user[0] == '\0')
		snprintf(account->user, sizeof(account->user), "%s", ask->user);
	pw = getpwnam(account->user);
	if (!account_uid_allowed(account->uid, state.conf.minimum_uid, state.conf.rootless != 0))
		answer_set(a, LOGIN_BAD, "uid not allowed");
	else if (pw != NULL && pw->pw_uid == account->uid)
		snprintf(account->home, sizeof(account->home), "%s", pw->pw_dir);
	else if (pw != NULL && strcmp(account->user, ask->user) != 0)
		answer_set(a, LOGIN_PERM, "checkpassword program: another user's name");
}

/* The interface's exit codes, CKP-02. */
static void
answer_judge(struct msg_child_answer *a, const struct msg_child_ask *ask, int status)
{
	char why[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && state.told) {
		answer_account(a, ask);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 1) {
		answer_set(a, LOGIN_BAD, "password");
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 111) {
		answer_set(a, LOGIN_TEMP, "checkpassword program: trouble");
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && state.hidden) {
		answer_set(a, LOGIN_PERM,
			   "checkpassword program: /proc does not show its process (hidepid= "
			   "without CAP_SYS_PTRACE)");
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		answer_set(a, LOGIN_PERM, "checkpassword program: did not run what it was given");
	} else {
		snprintf(why, sizeof(why), "checkpassword program: %s %d",
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		answer_set(a, LOGIN_PERM, why);
	}
}

static void
checkpassword_login(const struct msg_child_ask *ask, struct msg_child_answer *a)
{
	struct run r = {0};
	int in = credentials_pipe(ask);

	if (in < 0) {
		answer_set(a, errno == E2BIG ? LOGIN_BAD : LOGIN_TEMP,
			   errno == E2BIG ? "credentials too long" : "no pipe");
		return;
	}
	snprintf(state.address, sizeof(state.address), "TCPREMOTEIP=%s", ask->rhost);
	if (program_start(&r, in) < 0) {
		answer_set(a, LOGIN_TEMP, "checkpassword program: cannot be started");
	} else {
		program_wait(&r);
		answer_judge(a, ask, r.status);
	}
	close(in);
}

static int
checkpassword_open(const struct msg_child_conf *conf, const char *arg)
{
	state.conf = *conf;
	snprintf(state.program, sizeof(state.program), "%s", arg);
	return 0;
}

static int
checkpassword_check(const char *arg, char *why, size_t cap)
{
	if (access("/proc/self/status", R_OK) < 0) {
		snprintf(why, cap, "needs /proc, which is not mounted here");
		return -1;
	}
	if (access(arg, X_OK) < 0)
		log_warn(0, "checkpassword program %s: %m", arg);
	return 0;
}

static uint64_t
checkpassword_stamp(const char *arg)
{
	return backend_stamp_file(0, arg);
}

const struct auth_backend backend_checkpassword = {
    .name = "checkpassword",
    .check = checkpassword_check,
    .stamp = checkpassword_stamp,
    .open = checkpassword_open,
    .login = checkpassword_login,
};
