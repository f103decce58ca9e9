/*
 * A child of the auth helper.
 *
 * Runs as: root, with the PAM back end (rootless: the daemon's user); the user
 * `auth_user` without any capability, with the user file.
 * Sees: one login request at a time: name, password, the client's address.
 * May never: talk to anybody but the dispatcher, see a connection, serve two
 * requests at once.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/child.h"

static struct {
	struct channel ch;
	struct msg m;
	struct msg_child_answer answer;
	struct msg_child_conf conf;
	const struct auth_backend *backend;
} child;

/* Wait for the next message.  False: the channel has ended. */
static bool
message_wait(void)
{
	int got;

	do
		got = channel_wait(&child.ch, &child.m, -1);
	while (got == 0);
	return got > 0;
}

static int
answer_send(void)
{
	size_t len = offsetof(struct msg_child_answer, account.groups) +
		     child.answer.account.ngroups * sizeof(child.answer.account.groups[0]);
	int waits;

	if (channel_put(&child.ch, MSG_CHILD_ANSWER, &child.answer, len) < 0)
		return -1;
	while ((waits = channel_flush(&child.ch)) > 0) {
		struct pollfd p = {.fd = child.ch.fd, .events = POLLOUT};

		poll(&p, 1, -1);
	}
	return waits;
}

/* Keep the PAM session until the mail session has ended or nobody is left to say so. */
static void
session_keep(void)
{
	title_set("auth", "session of %s", child.answer.account.user);
	while (message_wait() && child.m.type != MSG_CHILD_CLOSE)
		msg_discard(&child.m);
	child.backend->close();
}

/* Serve one request.  0: ready for another; -1: this child is done. */
static int
request_serve(void)
{
	struct msg_child_answer *a = &child.answer;
	bool keeps, lookup = child.m.u.child_ask.lookup != 0;

	title_set("auth", "%s busy", child.conf.auth);
	memset(a, 0, sizeof(*a));
	a->id = child.m.u.child_ask.id;
	if (lookup)
		child.backend->lookup(child.m.u.child_ask.user, a);
	else
		child.backend->login(&child.m.u.child_ask, a);
	msg_discard(&child.m);
	keeps = a->result == LOGIN_OK && child.conf.pam_session && child.backend->close != NULL &&
		!lookup;
	if (answer_send() < 0) {
		if (keeps)
			child.backend->close();
		return -1;
	}
	if (keeps) {
		session_keep();
		return -1;
	}
	title_set("auth", "%s idle", child.conf.auth);
	return 0;
}

static int
child_configure(void)
{
	const char *arg;

	if (!message_wait() || child.m.type != MSG_CHILD_CONF)
		return -1;
	child.conf = child.m.u.child_conf;
	title_detail((enum ps_titles)child.conf.ps_titles);
	title_set("auth", "%s idle", child.conf.auth);
	child.backend = backend_find(child.conf.auth, &arg);
	if (child.backend == NULL)
		return -1;
	return child.backend->open(&child.conf, arg);
}

int
child_main(void)
{
	prctl(PR_SET_NAME, "pop3d-auth"); /* it was exec'd by descriptor */
	channel_init(&child.ch, CHANNEL_FD, ROLE_AUTH_CHILD, ROLE_AUTH, 64);
	log_to_channel(&child.ch);
	log_set_level(LOG_DEBUG); /* master leaves out what it does not want */
	if (privs_harden(false) < 0) {
		log_error(0, "cannot harden the process: %m");
		return EXIT_FAILURE;
	}
	if (child_configure() < 0)
		return EXIT_FAILURE;
	while (message_wait() && child.m.type == MSG_CHILD_ASK)
		if (request_serve() < 0)
			break;
	_exit(EXIT_SUCCESS); /* what modules have left for exit(3) may hang or crash */
}
