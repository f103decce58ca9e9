#include "config.h"

#include "daemon/auth/helper.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"

enum {
	MASTER_QUEUE = 16384, /* messages on their way to master */
	OTHER_QUEUE = 4096    /* checks or answers on their way to the other */
};

struct helper helper = {.master.ch.fd = -1, .other.ch.fd = -1};
static const struct helper_role *role;

void
helper_exit(int status)
{
	_exit(status);
}

void
helper_end(struct evchannel *ec, int error, void *arg)
{
	(void)arg;
	if (error != EPIPE && ec == &helper.other)
		log_warn(0, "channel to %s lost: %s", role_name(role->other),
			 channel_end_text(error));
	helper_exit(error == EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

void
helper_put(enum msg_type type, const void *body, size_t len)
{
	evchannel_put(&helper.master, type, body, len);
}

int
helper_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return told_state(&helper.told);
}

int
helper_pinged(void *who, struct msg *m)
{
	(void)who;
	helper_put(MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	return 0;
}

int
helper_connected(void *who, struct msg *m)
{
	int fd = msg_take_fd(m, 0);

	(void)who;
	if (fd == -1 || evchannel_is_open(&helper.other))
		return -1;
	return evchannel_open(&helper.other, helper.base, fd, role->self, role->other, OTHER_QUEUE,
			      role->from_other, helper_end, NULL);
}

int
helper_conf(void *who, struct msg *m)
{
	(void)who;
	told_begin(&helper.told, &m->u.auth_conf);
	return 0;
}

int
helper_server(void *who, struct msg *m)
{
	(void)who;
	return settings_add(&helper.told.next, &m->u.auth_server);
}

static void
master_message(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(role->from_master, NULL, m) == -1)
		helper_end(ec, EBADMSG, arg);
}

int
helper_open(const struct helper_role *r)
{
	role = r;
	title_set("auth", "%s starting", r->title);
	privs_raise_nofile();
	helper.base = event_base_new();
	if (helper.base == NULL || privs_harden(false) == -1 ||
	    evchannel_open(&helper.master, helper.base, CHANNEL_FD, r->self, ROLE_MASTER,
			   MASTER_QUEUE, master_message, helper_end, NULL) == -1)
		return -1;
	log_to_channel(&helper.master.ch);
	log_set_level(LOG_DEBUG); /* master leaves out what it does not want */
	return 0;
}
