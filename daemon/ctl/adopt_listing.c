/*
 * What another server tells a client of a user's messages: its own program is asked, without a
 * password.  It opens the mailbox as it does for any client.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "daemon/ctl/adopt.h"

enum {
	PEER_MS = 120000,	/* that it may take for one mailbox */
	END_MS = 10000,		/* that it may take to end when it has said all */
	LISTING_MAX = 64 << 20, /* octets: those of a million messages */
	FAILED_TO_RUN = 127
};

/* A program of theirs. */
struct program {
	const char *path; /* looked for in PATH if it has no "/" */
	char *const *argv, *const *environment;
	const struct passwd *as; /* NULL: as its caller */
};

static int
become(const struct passwd *as)
{
	return (geteuid() == 0 && initgroups(as->pw_name, as->pw_gid) == -1) ||
		       setgid(as->pw_gid) == -1 || setuid(as->pw_uid) == -1 ||
		       chdir(as->pw_dir) == -1
		   ? -1
		   : 0;
}

/* In the child; what it says of itself goes to `errors`.  The user may trace what runs as he: it
 * has no terminal, into which he could type for its caller (TIOCSTI, ioctl_tty(2)). */
static void
program_exec(const struct program *p, int in, int out, int errors)
{
	(void)setsid();
	if (dup2(in, STDIN_FILENO) == -1 || dup2(out, STDOUT_FILENO) == -1 ||
	    dup2(errors, STDERR_FILENO) == -1 || (p->as != NULL && become(p->as) == -1))
		_exit(FAILED_TO_RUN);
	if (p->environment != NULL)
		execve(p->path, p->argv, p->environment);
	else
		execvp(p->path, p->argv);
	_exit(FAILED_TO_RUN);
}

/* Copy what comes to `to` until its end.  NULL, or what went wrong.  Whoever traces the program can
 * have it say anything, without an end. */
static const char *
copy_all(int from, int to)
{
	uint64_t deadline = clock_ms() + PEER_MS, now;
	char block[8192];
	size_t all = 0;
	ssize_t n;

	while ((now = clock_ms()) < deadline) {
		struct pollfd p = {from, POLLIN, 0};

		if (poll(&p, 1, (int)(deadline - now)) <= 0)
			continue;
		if ((n = read(from, block, sizeof(block))) == 0)
			return NULL;
		if (n == -1 && errno != EINTR)
			return strerror(errno);
		all += n > 0 ? (size_t)n : 0;
		if (all > LISTING_MAX)
			return "says too much for a listing";
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(to, block + at, (size_t)(n - at))) == -1)
				return strerror(errno);
	}
	return "does not answer";
}

/* Has the child ended, or does it within END_MS? */
static bool
ends_soon(pid_t pid)
{
	struct pollfd p = {pidfd_open(pid, 0), POLLIN, 0};
	bool ended = p.fd != -1 && poll(&p, 1, END_MS) == 1;

	close(p.fd);
	return ended;
}

/* Append what it answers, until it has ended.  NULL, or what went wrong. */
static const char *
answer_take(pid_t pid, int from, int to)
{
	const char *wrong = copy_all(from, to);
	int status = 0;

	if (wrong == NULL && !ends_soon(pid))
		wrong = "does not end";
	if (wrong != NULL)
		kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	if (wrong != NULL || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return wrong;
	return WIFEXITED(status) && WEXITSTATUS(status) == FAILED_TO_RUN ? "cannot be run"
									 : "fails";
}

/* A pipe with what a client says.  Its end to read, or -1.  Dovecot refuses a socket. */
static int
client_words(void)
{
	static const char lines[] = "UIDL\r\nQUIT\r\n";
	int ends[2];
	bool good;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	good = write(ends[1], lines, strlen(lines)) == (ssize_t)strlen(lines);
	close(ends[1]);
	if (good)
		return ends[0];
	close(ends[0]);
	return -1;
}

/* "PROGRAM fails: what it said", the first line of that. */
static void
program_complain(const struct program *p, const char *wrong, int errors, char *why, size_t cap)
{
	char said[256];
	ssize_t n = pread(errors, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	for (char *c = said; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	(void)snprintf(why, cap, "%s %s%s%s", p->path, wrong, said[0] != '\0' ? ": " : "", said);
}

/* Run it, say what a client says, and append what it answers.  False: said in `why`. */
static bool
program_listing(const struct program *p, int to, char *why, size_t cap)
{
	int ends[2] = {-1, -1}, words = client_words(),
	    errors = memfd_create("errors", MFD_CLOEXEC);
	const char *wrong;
	pid_t pid = -1;

	if (words != -1 && errors != -1 && pipe2(ends, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		program_exec(p, words, ends[1], errors);
	wrong = pid == -1 ? strerror(errno) : NULL;
	close(ends[1]);
	close(words);
	if (pid != -1)
		wrong = answer_take(pid, ends[0], to);
	close(ends[0]);
	if (wrong != NULL)
		program_complain(p, wrong, errors, why, cap);
	close(errors);
	return wrong == NULL;
}

/* ---- Dovecot */

static char dovecot_pop3[PATH_MAX]; /* of 2.3, its pop3; "": doveadm is to start it */

/* doveadm-exec(1): its pop3 with -u has the user looked up by the running Dovecot. */
static bool
dovecot_listing(const char *user, int fd, char *why, size_t cap)
{
	const char *const by_doveadm[] = {"doveadm", "exec", "pop3", "-u", user, NULL};
	const char *const itself[] = {dovecot_pop3, "-u", user, NULL}; /* its whole path */
	bool direct = dovecot_pop3[0] != '\0';
	const struct program p = {direct ? dovecot_pop3 : "doveadm",
				  (char *const *)(direct ? itself : by_doveadm), NULL, NULL};

	return program_listing(&p, fd, why, cap);
}

bool
adopt_ask(char *const argv[], char *out, size_t cap)
{
	int ends[2], status = 0;
	FILE *in;
	pid_t pid;
	bool got;

	if (pipe2(ends, 0) == -1 || (pid = fork()) == -1)
		return false;
	if (pid == 0) {
		if (dup2(ends[1], STDOUT_FILENO) != -1)
			execvp(argv[0], argv);
		_exit(FAILED_TO_RUN);
	}
	close(ends[1]);
	in = fdopen(ends[0], "r");
	got = in != NULL && fgets(out, (int)cap, in) != NULL;
	if (in != NULL)
		fclose(in);
	(void)waitpid(pid, &status, 0);
	out[got ? strcspn(out, "\n") : 0] = '\0';
	return got && status == 0;
}

/* A setting, with what stands in "protocol pop3 {", in out (ADOPT_VALUE_SIZE / 2).  False: doveconf
 * does not say it. */
static bool
doveconf_ask(const char *name, char *out)
{
	const char *const argv[] = {"doveconf", "-f", "protocol=pop3", name, NULL};
	size_t len = strlen(name);

	if (!adopt_ask((char *const *)argv, out, ADOPT_VALUE_SIZE / 2) ||
	    strncmp(out, name, len) != 0 || strncmp(out + len, " = ", 3) != 0 ||
	    out[len + 3] == '\0')
		return false;
	memmove(out, out + len + 3, strlen(out + len + 3) + 1);
	return true;
}

/* doveadm of 2.3 hands its own settings on to what it executes, and they lack those that stand in
 * "protocol pop3 {".  Its pop3 reads them itself if another starts it. */
static void
dovecot_find_pop3(void)
{
	static const char *const argv[] = {"dovecot", "--version", NULL};
	char version[ADOPT_VALUE_SIZE / 2], folder[ADOPT_VALUE_SIZE / 2];

	if (adopt_ask((char *const *)argv, version, sizeof(version)) &&
	    strncmp(version, "2.3.", 4) == 0 && doveconf_ask("libexec_dir", folder))
		(void)snprintf(dovecot_pop3, sizeof(dovecot_pop3), "%s/pop3", folder);
	if (access(dovecot_pop3, X_OK) == -1)
		dovecot_pop3[0] = '\0';
}

/* The format of unique-ids is asked for with its name: 2.4 refuses doveconf -h where a section of
 * the configuration may have another. */
static bool
dovecot_begin(const char *config, char *source)
{
	char said[ADOPT_VALUE_SIZE / 2];

	(void)config; /* CONFIG_FILE names another to its own programs */
	if (!doveconf_ask("pop3_uidl_format", said)) {
		fprintf(stderr, "pop3ctl: doveconf does not say what pop3_uidl_format is\n");
		return false;
	}
	(void)snprintf(source, ADOPT_VALUE_SIZE, "dovecot:%s", said);
	dovecot_find_pop3();
	return true;
}

/* ---- Courier */

static const char *const courier_paths[] = {
    "/usr/lib/courier/courier/courierpop3d", "/usr/lib/courier/courierpop3d",
    "/usr/libexec/courier/courierpop3d", "/usr/lib/courier-imap/bin/pop3d"};

static char *courier_maildir; /* where it looks in a home; until pop3ctl ends */

/* Its server is started behind the login, as the user: courierpop3d(8). */
static bool
courier_listing(const char *user, int fd, char *why, size_t cap)
{
	const struct passwd *as = getpwnam(user);
	const char *const argv[] = {"courierpop3d", courier_maildir, NULL};
	char home[PATH_MAX + 8], name[128], address[128], maildir[PATH_MAX + 16];
	char *const environment[] = {(char *)"PATH=/usr/bin:/bin",    home, name, address, maildir,
				     (char *)"TCPREMOTEIP=127.0.0.1", NULL};
	struct program p = {NULL, (char *const *)argv, environment, as};

	for (size_t i = 0; p.path == NULL && i < COUNT_OF(courier_paths); i++)
		if (access(courier_paths[i], X_OK) == 0)
			p.path = courier_paths[i];
	if (as == NULL || as->pw_uid == 0 || p.path == NULL) {
		(void)snprintf(why, cap, "%s",
			       p.path == NULL ? "there is no courierpop3d to ask"
					      : "it is no account of this host, as whom Courier "
						"could be asked");
		return false;
	}
	(void)snprintf(home, sizeof(home), "HOME=%s", as->pw_dir);
	(void)snprintf(name, sizeof(name), "AUTHENTICATED=%s", user);
	(void)snprintf(address, sizeof(address), "AUTHADDR=%s", user);
	(void)snprintf(maildir, sizeof(maildir), "MAILDIR=%s", courier_maildir);
	return program_listing(&p, fd, why, cap);
}

static bool
courier_begin(const char *config, char *source)
{
	(void)snprintf(source, ADOPT_VALUE_SIZE, "courier");
	courier_maildir = adopt_courier_maildir(config);
	return courier_maildir != NULL;
}

static const struct adopt_peer peers[] = {
    {"courier", true, courier_begin, courier_listing},
    {"dovecot", false, dovecot_begin, dovecot_listing},
};

const struct adopt_peer *
adopt_peer_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(peers); i++)
		if (strcmp(peers[i].name, name) == 0)
			return &peers[i];
	return NULL;
}
