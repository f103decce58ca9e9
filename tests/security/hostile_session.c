/*
 * A session that has been taken, for tests: spawner and sessions that speak the
 * real channels with the real master.  A session becomes its user, greets its
 * client with "+OK hostile ID" and does what the client says, a line each:
 *
 *   send TYPE TIMES LENGTH FDS HEX
 *               send a message of that number: LENGTH octets, which begin with
 *               HEX ("-": none), and FDS descriptors.  "-" as LENGTH: as long as
 *               the longest lawful one, with the own id in front and zeros.
 *   log PRIORITY TIMES TEXT
 *   open DEV INO   say that the mailbox is open, and that this lock is ours
 *   seize DEV INO  ask for the lock: "holder N" is the answer
 *   die         end by a signal
 *   QUIT        end with a report
 *
 * A file "hostile" in the user's home may say "silent" (never takes a grant) or
 * "mute" (takes it and never says that the mailbox is open).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/build.h"
#include "common/channel.h"

enum { LINE_SIZE = 65536, QUEUE_MAX = 4096, FDS_MAX = 200 };

static struct channel master; /* of the spawner, then of the session */
static struct msg_grant grant;
static int client = -1;

#define EXACT(s)			     sizeof(struct s)
#define UP_TO(s, field)			     sizeof(struct s)
#define LIST(s, field)			     sizeof(struct s)
#define BARE				     0
#define MSG(type, word, from, to, size, fds) [MSG_##type] = size,
static const size_t sizes[] = {
#include "common/msg.def"
};
#undef MSG

static void
tell(const char *what, unsigned long long number)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s %llu\r\n", what, number);

	if (write(client, line, (size_t)len) != len)
		exit(EXIT_SUCCESS);
}

/* A packet of whatever form, past the rules of the sending side. */
static void
packet_send(unsigned type, const void *body, size_t len, size_t nfds)
{
	struct msg_head head = {type, (uint32_t)len, build_id};
	struct iovec iov[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, len}};
	union {
		char octets[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	struct pollfd room = {master.fd, POLLOUT, 0};

	if (nfds > 0) {
		struct cmsghdr *c;

		m.msg_control = control.octets;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(nfds * sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		for (size_t i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &client, sizeof(int));
	}
	while (sendmsg(master.fd, &m, MSG_NOSIGNAL) == -1) {
		if (errno != EAGAIN)
			exit(EXIT_SUCCESS);
		(void)poll(&room, 1, -1);
	}
}

static void
do_send(char *words)
{
	static uint8_t body[LINE_SIZE];
	unsigned type = 0, times = 0, octet, fds = 0;
	char length[16] = "", hex[LINE_SIZE / 2] = "";
	size_t len;

	if (sscanf(words, "%u %u %15s %u %32767s", &type, &times, length, &fds, hex) != 5)
		return;
	memset(body, 0, sizeof(body));
	memcpy(body, &grant.id, sizeof(grant.id));
	for (size_t i = 0; sscanf(hex + 2 * i, "%2x", &octet) == 1; i++)
		body[i] = (uint8_t)octet;
	len = length[0] != '-'	      ? strtoul(length, NULL, 10)
	      : type < MSG_TYPE_COUNT ? sizes[type]
				      : 0;
	while (times-- > 0)
		packet_send(type, body, len, fds);
	tell("sent", type);
}

static void
do_log(char *words)
{
	static struct msg_log m;
	unsigned prio = 0, times = 0;
	int text = 0;

	if (sscanf(words, "%u %u %n", &prio, &times, &text) != 2)
		return;
	m.prio = prio;
	m.role = ROLE_SESSION;
	m.id = grant.id;
	(void)snprintf(m.text, sizeof(m.text), "%s", words + text);
	while (times-- > 0)
		packet_send(MSG_LOG, &m, offsetof(struct msg_log, text) + strlen(m.text) + 1, 0);
	tell("logged", prio);
}

static struct msg_lock_place
place_of(const char *words)
{
	unsigned long long dev = 0, ino = 0;

	(void)sscanf(words, "%llu %llu", &dev, &ino);
	return (struct msg_lock_place){dev, ino};
}

static void
do_open(char *words)
{
	struct msg_session_open m = {.id = grant.id, .result = LOGIN_OK, .lock = place_of(words)};

	packet_send(MSG_SESSION_OPEN, &m, sizeof(m), 0);
	tell("opened", 0);
}

static void
do_seize(char *words)
{
	const struct msg_lock_ask m = {
	    .id = grant.id, .purpose = LOCK_TAKE_OVER, .place = place_of(words)};

	packet_send(MSG_LOCK_ASK, &m, sizeof(m), 0);
}

static void
do_die(char *words)
{
	(void)words;
	(void)raise(SIGSEGV);
}

static void
do_quit(char *words)
{
	const struct msg_session_end m = {.id = grant.id, .why = SESSION_END_QUIT};

	(void)words;
	packet_send(MSG_SESSION_END, &m, sizeof(m), 0);
	exit(EXIT_SUCCESS);
}

static const struct {
	const char *word;
	void (*act)(char *words);
} acts[] = {{"send", do_send},	 {"log", do_log}, {"open", do_open},
	    {"seize", do_seize}, {"die", do_die}, {"QUIT", do_quit}};

static void
line_act(char *line)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		size_t len = strlen(acts[i].word);

		if (strncmp(line, acts[i].word, len) == 0)
			acts[i].act(line + len);
	}
}

static void
client_readable(void)
{
	static char text[LINE_SIZE];
	static size_t len;
	ssize_t n = read(client, text + len, sizeof(text) - len - 1);
	char *end;

	if (n <= 0)
		exit(EXIT_SUCCESS);
	len += (size_t)n;
	while ((end = memchr(text, '\n', len)) != NULL) {
		size_t used = (size_t)(end - text) + 1;

		text[used - 1] = '\0';
		text[strcspn(text, "\r")] = '\0';
		line_act(text);
		len -= used;
		memmove(text, text + used, len);
	}
}

static bool
told_to_be(const char *word)
{
	char path[MSG_PATH_SIZE + sizeof("/hostile")], said[16] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "%s/hostile", grant.account.home);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1 && read(fd, said, sizeof(said) - 1) > 0)
		said[strcspn(said, "\n")] = '\0';
	return fd != -1 && strcmp(said, word) == 0;
}

static void
serve(struct msg *m)
{
	static const struct msg_session_open opened = {.result = LOGIN_OK};
	struct msg_session_open open_now = opened;

	grant = m->u.grant;
	client = msg_take_fd(m, 0);
	if (setgroups(0, NULL) == -1 || setgid(grant.account.gid) == -1 ||
	    setuid(grant.account.uid) == -1)
		exit(EXIT_FAILURE);
	if (told_to_be("silent"))
		return;
	packet_send(MSG_HAVE_IT, &grant.id, sizeof(grant.id), 0);
	open_now.id = grant.id;
	if (!told_to_be("mute"))
		packet_send(MSG_SESSION_OPEN, &open_now, sizeof(open_now), 0);
	tell("+OK hostile", grant.id);
}

static void
session_heard(struct msg *m)
{
	if (m->type == MSG_SERVE)
		serve(m);
	else if (m->type == MSG_LOCK_ANSWER)
		tell("holder", m->u.lock_answer.holder);
	msg_discard(m);
}

static _Noreturn void
session(int fd)
{
	static struct msg m;
	int rc;

	channel_init(&master, fd, ROLE_SESSION, ROLE_MASTER, QUEUE_MAX);
	packet_send(MSG_HELLO, NULL, 0, 0);
	for (;;) {
		struct pollfd fds[] = {{master.fd, POLLIN, 0}, {client, POLLIN, 0}};

		if (poll(fds, 2, -1) == -1)
			exit(EXIT_FAILURE);
		while ((rc = channel_recv(&master, &m)) == 1)
			session_heard(&m);
		if (rc == -1)
			exit(EXIT_SUCCESS);
		if (client != -1 && fds[1].revents != 0)
			client_readable();
	}
}

/* ---- the spawner, which is honest ---- */

static void
spawn(void)
{
	static const int on = 1;
	int pair[2];
	struct msg_spare spare;

	if (channel_pair(pair) == -1 ||
	    setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == -1 ||
	    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == -1)
		exit(EXIT_FAILURE);
	spare.pid = (int32_t)fork();
	if (spare.pid == 0) {
		channel_close(&master);
		(void)close(pair[0]);
		session(pair[1]);
	}
	(void)channel_send(&master, MSG_SPARE, &spare, sizeof(spare), &pair[0], 1);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
spawner_heard(struct msg *m)
{
	static const struct msg_ready ready = {0, 0};

	if (m->type == MSG_PING)
		(void)channel_put(&master, MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	else if (m->type == MSG_SPAWN_CONF)
		(void)channel_put(&master, MSG_READY, &ready, sizeof(ready));
	else if (m->type == MSG_SPAWN)
		while (m->u.spawn.count-- > 0)
			spawn();
	msg_discard(m);
}

static void
reap(void)
{
	struct msg_exited m;
	int status;

	while ((m.pid = (int32_t)waitpid(-1, &status, WNOHANG)) > 0) {
		m.status = status;
		(void)channel_put(&master, MSG_EXITED, &m, sizeof(m));
	}
}

int
main(void)
{
	enum { LOOK_MS = 20 }; /* at children that have ended */
	static struct msg m;
	int rc = 0;

	channel_init(&master, CHANNEL_FD, ROLE_SPAWNER, ROLE_MASTER, QUEUE_MAX);
	while (rc != -1) {
		struct pollfd fd = {master.fd, POLLIN, 0};

		(void)poll(&fd, 1, LOOK_MS);
		while ((rc = channel_recv(&master, &m)) == 1)
			spawner_heard(&m);
		reap();
		(void)channel_flush(&master);
	}
	return EXIT_SUCCESS;
}
