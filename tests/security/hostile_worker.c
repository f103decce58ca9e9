/*
 * A login worker that has been taken, for tests: it speaks the real channels
 * with the real master and helper, and does what the client of each connection
 * says, a line each:
 *
 *   ask NAME PASSWORD   ask the helper for a login, at once
 *   again NAME PASSWORD   the same, and once more when a session has it
 *   twice NAME PASSWORD   the same two times at once
 *   apop NAME DIGEST    the same by APOP, and read nothing more until it is refused
 *   proxied ADDRESS FAMILY   tell master that a PROXY header announces this IPv4 address
 *   keep . .            keep the connection, whatever its client or master says
 *   QUIT                end the connection
 *
 * Its greeting ends with the row's timestamp, if there is one.  It tells the client
 * what it hears: "refused RESULT LAST", "failed RESULT", "renewed PROXY", "dropped".  In clear a
 * client whose login succeeds hears its session.
 */
#include "config.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"

enum { CLIENTS_MAX = 64, LINE_MAX_SIZE = 1024, QUEUE_MAX_ITEMS = 4096 };

struct client {
	conn_id id; /* 0: a free place */
	int fd;
	uint32_t mech;					   /* asked by */
	bool again;					   /* to be asked once more */
	bool stays;					   /* also when a session has it */
	bool silent;					   /* nobody reads here what it says */
	char name[MSG_NAME_SIZE], password[MSG_NAME_SIZE]; /* asked with last */
	size_t len;
	char text[LINE_MAX_SIZE];
};

static struct channel master, helper;
static struct client clients[CLIENTS_MAX];
static struct msg_login_conf conf;

static struct client *
client_find(conn_id id)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].id == id)
			return &clients[i];
	return NULL;
}

static void
tell(conn_id id, const char *what, unsigned a, unsigned b)
{
	const struct client *c = client_find(id);
	char line[128];
	int len = snprintf(line, sizeof(line), "%s %u %u\r\n", what, a, b);

	if (id != 0 && c != NULL && write(c->fd, line, (size_t)len) != len)
		fprintf(stderr, "hostile worker: a client takes no line\n");
}

static void
client_end(struct client *c)
{
	const struct msg_conn_end end = {c->id, CONN_END_QUIT, 0};

	channel_put(&master, MSG_CONN_END, &end, sizeof(end));
	close(c->fd);
	c->id = 0;
}

static void
ask(const struct client *c)
{
	static struct msg_login_ask m;

	memset(&m, 0, sizeof(m));
	m.id = c->id;
	m.mech = c->mech;
	memcpy(m.user, c->name, sizeof(m.user));
	memcpy(m.password.octets, c->password, sizeof(c->password));
	channel_put(&helper, MSG_LOGIN_ASK, &m, sizeof(m));
}

static void
announce(const struct client *c, const char *address, const char *family)
{
	struct msg_proxied m = {.id = c->id, .announced = 1};

	m.peer.family = (uint16_t)strtoul(family, NULL, 10);
	(void)inet_pton(AF_INET, address, m.peer.octets);
	channel_put(&master, MSG_PROXIED, &m, sizeof(m));
}

static void
client_line(struct client *c, char *line)
{
	const char *word = strtok(line, " \r"), *name = strtok(NULL, " \r"),
		   *password = strtok(NULL, " \r");

	if (word == NULL || name == NULL || password == NULL) {
		client_end(c);
		return;
	}
	if (strcmp(word, "proxied") == 0) {
		announce(c, name, password);
		return;
	}
	if (strcmp(word, "keep") == 0) {
		tell(c->id, "kept", 0, 0);
		c->silent = true;
		return;
	}
	c->again = strcmp(word, "again") == 0;
	c->stays = c->again || strcmp(word, "twice") == 0;
	c->mech = strcmp(word, "apop") == 0 ? MECH_APOP : MECH_USER;
	memset(c->name, 0, sizeof(c->name));
	memset(c->password, 0, sizeof(c->password));
	strncpy(c->name, name, sizeof(c->name) - 1);
	strncpy(c->password, password, sizeof(c->password) - 1);
	/* from here on it may be the session's */
	c->silent = c->mech == MECH_APOP;
	ask(c);
	if (strcmp(word, "twice") == 0)
		ask(c);
}

static void
client_readable(struct client *c)
{
	ssize_t n = read(c->fd, c->text + c->len, sizeof(c->text) - c->len);
	char *end;

	if (n <= 0) {
		client_end(c);
		return;
	}
	c->len += (size_t)n;
	while (c->id != 0 && (end = memchr(c->text, '\n', c->len)) != NULL) {
		size_t used = (size_t)(end - c->text) + 1;

		*end = '\0';
		client_line(c, c->text);
		c->len -= used;
		memmove(c->text, c->text + used, c->len);
	}
}

static void
client_new(struct msg *m)
{
	struct client *c = client_find(0);

	if (c == NULL)
		exit(EXIT_FAILURE);
	*c = (struct client){.id = m->u.conn.id, .fd = msg_take_fd(m, 0)};
	if (dprintf(c->fd, "+OK hostile %s\r\n", m->u.conn.stamp) < 0)
		client_end(c);
}

/* As a worker does, so that only the messages are hostile. */
static void
begin(void)
{
	const struct msg_ready ready = {0, 0};

	if (setgid(conf.gid) == -1 || setuid(conf.uid) == -1)
		exit(EXIT_FAILURE);
	channel_put(&master, MSG_READY, &ready, sizeof(ready));
}

static void
taken(conn_id id)
{
	struct client *c = client_find(id);

	if (c != NULL && c->stays) {
		c->silent = true;
		if (c->again)
			ask(c);
	} else if (c != NULL) {
		close(c->fd);
		c->id = 0;
	}
}

static void
refused(const struct msg_login_refused *m)
{
	struct client *c = client_find(m->id);

	if (c != NULL && !c->stays)
		c->silent = false;
	tell(m->id, "refused", m->result, m->last);
}

static void
heard(struct msg *m)
{
	if (m->type == MSG_PING)
		channel_put(&master, MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	else if (m->type == MSG_LOGIN_CONF)
		conf = m->u.login_conf;
	else if (m->type == MSG_LOGIN_START)
		begin();
	else if (m->type == MSG_AUTH_CHANNEL)
		channel_init(&helper, msg_take_fd(m, 0), ROLE_LOGIN, ROLE_DISPATCH,
			     QUEUE_MAX_ITEMS);
	else if (m->type == MSG_CONN_NEW)
		client_new(m);
	else if (m->type == MSG_LOGIN_TAKEN)
		taken(m->u.ref.id);
	else if (m->type == MSG_LOGIN_REFUSED)
		refused(&m->u.login_refused);
	else if (m->type == MSG_LOGIN_FAILED)
		tell(m->u.login_failed.id, "failed", m->u.login_failed.result, 0);
	else if (m->type == MSG_CONN_RENEWED)
		tell(m->u.conn.id, "renewed", m->u.conn.proxy, 0);
	else if (m->type == MSG_CONN_DROP)
		tell(m->u.ref.id, "dropped", 0, 0);
	else if (m->type == MSG_DRAIN)
		exit(EXIT_SUCCESS);
	msg_discard(m);
}

static void
channel_readable(struct channel *ch)
{
	static struct msg m;
	int rc;

	while ((rc = channel_recv(ch, &m)) == 1)
		heard(&m);
	if (rc == -1 && ch == &master)
		exit(EXIT_SUCCESS);
	if (rc == -1)
		channel_close(ch);
}

int
main(void)
{
	channel_init(&master, CHANNEL_FD, ROLE_LOGIN, ROLE_MASTER, QUEUE_MAX_ITEMS);
	helper.fd = -1;
	for (;;) {
		struct pollfd fds[CLIENTS_MAX + 2] = {{.fd = master.fd, .events = POLLIN},
						      {.fd = helper.fd, .events = POLLIN}};
		conn_id ids[CLIENTS_MAX];

		for (size_t i = 0; i < CLIENTS_MAX; i++) {
			ids[i] = clients[i].id;
			fds[i + 2] = (struct pollfd){.fd = helper.fd != -1 && clients[i].id != 0 &&
								   !clients[i].silent
							       ? clients[i].fd
							       : -1,
						     .events = POLLIN};
		}
		if (poll(fds, CLIENTS_MAX + 2, -1) == -1)
			return EXIT_FAILURE;
		/* Master's word that a session has a client stands before what that says to it. */
		channel_readable(&master);
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (fds[i + 2].revents != 0 && clients[i].id == ids[i] &&
			    !clients[i].silent)
				client_readable(&clients[i]);
		if (fds[1].revents != 0)
			channel_readable(&helper);
	}
}
