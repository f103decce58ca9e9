/*
 * A child of the auth gate.
 *
 * Runs as: root, with the PAM back end (rootless: the daemon's user); the user
 * `auth_user` without any capability, with the user file.
 * Sees: one login request at a time: name, password, the client's address.
 * May never: talk to anybody but the gate, see a connection, serve two
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
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/child.h"

enum {
	CHILD_NEW = 1, /* knows no back end */
	CHILD_IDLE = 2,
	CHILD_KEEPS = 4, /* a PAM session, for a mail session */
	CHILD_DONE = 8
};

static struct {
	struct channel ch;
	int state;
	int status; /* of the process, in the end */
	struct msg_child_answer answer;
	struct msg_child_conf conf;
	const struct auth_backend *backend;
} child = {.state = CHILD_NEW};

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

/* A PAM session stays open until the mail session has ended or nobody is left to say so. */
static void
session_close(void)
{
	if (child.state == CHILD_KEEPS)
		child.backend->close();
	child.state = CHILD_DONE;
}

static int
handle_conf(void *who, struct msg *m)
{
	const char *arg;

	(void)who;
	child.conf = m->u.child_conf;
	title_detail((enum ps_titles)child.conf.ps_titles);
	title_set("auth", "%s idle", child.conf.auth);
	child.backend = backend_find(child.conf.auth, &arg);
	if (child.backend == NULL || child.backend->open(&child.conf, arg) < 0) {
		child.status = EXIT_FAILURE;
		child.state = CHILD_DONE;
		return 0;
	}
	child.state = CHILD_IDLE;
	return 0;
}

/* The password is wiped before the answer leaves. */
static void
request_decide(struct msg *m)
{
	struct msg_child_answer *a = &child.answer;
	struct msg_child_ask *ask = &m->u.child_ask;

	memset(a, 0, sizeof(*a));
	a->id = ask->id;
	if (ask->lookup != 0)
		child.backend->lookup(ask->user, a);
	else
		child.backend->login(ask, a);
	if (a->result == LOGIN_OK && child.conf.pam_session && child.backend->close != NULL &&
	    ask->lookup == 0)
		child.state = CHILD_KEEPS;
	msg_discard(m);
}

static int
handle_ask(void *who, struct msg *m)
{
	(void)who;
	title_set("auth", "%s busy", child.conf.auth);
	request_decide(m);
	if (answer_send() < 0)
		session_close();
	else if (child.state == CHILD_KEEPS)
		title_set("auth", "session of %s", child.answer.account.user);
	else
		title_set("auth", "%s idle", child.conf.auth);
	return 0;
}

static int
handle_close(void *who, struct msg *m)
{
	(void)who, (void)m;
	session_close();
	return 0;
}

static int
child_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return child.state;
}

static const struct inbox_row rows[] = {
    {MSG_CHILD_CONF, CHILD_NEW, 0, handle_conf},
    {MSG_CHILD_ASK, CHILD_IDLE, 0, handle_ask},
    {MSG_CHILD_CLOSE, CHILD_KEEPS, 0, handle_close},
};

static const struct inbox inbox = {rows, COUNT_OF(rows), child_state};

/* Do as the gate says, until it has gone, breaks a rule, or nothing is left to do. */
static void
serve(void)
{
	static struct msg m;
	int got = 0;

	while (child.state != CHILD_DONE && (got = channel_wait(&child.ch, &m, -1)) != -1) {
		if (got == 0)
			continue;
		if (inbox_take(&inbox, NULL, &m) == -1)
			child.status = EXIT_FAILURE;
		msg_discard(&m);
		if (child.status != EXIT_SUCCESS)
			break;
	}
	session_close();
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
	serve();
	_exit(child.status); /* what modules have left for exit(3) may hang or crash */
}
