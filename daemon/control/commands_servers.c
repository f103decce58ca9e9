/*
 * pop3ctl(8) new, up, down, destroy, list: the life of a server.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/change.h"
#include "daemon/table/conns.h"
#include "daemon/control/commands.h"

void
command_new(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const char *expected = n > 1 ? conf_check_server_name(words[1]) : NULL;
	char name[MSG_SERVER_SIZE];

	if (expected != NULL) {
		ctl_fail(c, CONTROL_FAILED, "bad name \"%s\": expected %s", words[1], expected);
		return;
	}
	if (n > 1 && servers_find(m, words[1]) != NULL) {
		ctl_fail(c, CONTROL_FAILED,
			 "command \"%s\" already exists, unable to create pop3 server", words[1]);
		return;
	}
	if (n > 1)
		snprintf(name, sizeof(name), "%s", words[1]);
	else
		servers_auto_name(m, name);
	if (server_make(m, name) == NULL) {
		ctl_fail(c, CONTROL_FAILED, "cannot make a server: %s", strerror(errno));
		return;
	}
	servers_changed(m);
	ctl_say(c, "%s\n", name);
	ctl_end(c, CONTROL_DONE);
}

void
control_up_then(struct master *m, struct ctl *c, uint64_t what, bool in_time, const void *refusal)
{
	const struct server *s = servers_at(m, (uint32_t)what);

	/* It may have been another's generation, adopted or refused. */
	if (in_time && s != NULL && s->wanted_up) {
		ctl_wait(c, WAIT_GENERATION, 0, what, READY_SECONDS, control_up_then);
		return;
	}
	if (!in_time)
		ctl_fail(c, CONTROL_FAILED, "the workers are not ready yet; see the log");
	else if (refusal != NULL)
		ctl_fail(c, CONTROL_FAILED, "%s", (const char *)refusal);
	else
		ctl_end(c, CONTROL_DONE);
}

void
command_up(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = control_server(m, c, words[1]);
	char why[MSG_PATH_SIZE];

	(void)n;
	if (s == NULL)
		return;
	if (server_up(m, s, why) == -1) {
		ctl_fail(c, CONTROL_FAILED, "%s", why);
		return;
	}
	change_serve(m);
	if (s->wanted_up)
		ctl_wait(c, WAIT_GENERATION, 0, s->slot, READY_SECONDS, control_up_then);
	else
		ctl_end(c, CONTROL_DONE);
}

void
command_down(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = control_server(m, c, words[1]);
	char why[MSG_PATH_SIZE];

	(void)n;
	if (s == NULL)
		return;
	if (server_down(m, s, why) == -1)
		ctl_fail(c, CONTROL_FAILED, "%s", why);
	else
		ctl_end(c, CONTROL_DONE);
}

static void
destroy_then(struct master *m, struct ctl *c, uint64_t slot, bool in_time, const void *result)
{
	(void)result;
	if (!in_time) {
		ctl_say(c, "these connections are still there:\n");
		control_say_conns(m, c, servers_at(m, (uint32_t)slot));
	}
	ctl_end(c, in_time ? CONTROL_DONE : CONTROL_FAILED);
}

void
command_destroy(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = control_server(m, c, words[1]);
	bool wait = n > 2 && strcmp(words[n - 1], "--wait") == 0;
	const char *mode = n - wait > 2 ? words[2] : "kill";
	bool kill = strcmp(mode, "kill") == 0;

	if (s == NULL)
		return;
	if (n - wait > 3) {
		ctl_fail(c, CONTROL_USAGE,
			 "wrong # args: should be \"pop3ctl destroy name ?mode?\"");
		return;
	}
	if (!kill && strcmp(mode, "defer") != 0) {
		ctl_fail(c, CONTROL_USAGE,
			 "Illegal destruction mode \"%s\": Expected \"kill\", or \"defer\"", mode);
		return;
	}
	if (kill || wait)
		ctl_wait(c, WAIT_SERVER, s->slot, s->slot, kill ? KILL_SECONDS : 0, destroy_then);
	server_destroy(m, s);
	if (kill)
		conns_kill_server(m, s);
	if (!kill && !wait)
		ctl_end(c, CONTROL_DONE);
}

static void
say_ports(struct ctl *c, const struct server *s)
{
	const struct conf_server *set = s->state == SERVER_UP ? &s->active : &s->set;

	ctl_say(c, "%u", server_port(s));
	for (size_t i = 1; i < set->port.n; i++)
		ctl_say(c, ",%u", set->port.number[i]);
}

void
command_list(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const struct server *s;

	(void)n, (void)words;
	ctl_say(c, "name\tstate\tport\tsocket\tauth\tstorage\tconnections\n");
	TAILQ_FOREACH (s, servers_all(m), next) {
		ctl_say(c, "%s\t%s\t", s->set.name, server_state_name(s->state));
		say_ports(c, s);
		ctl_say(c, "\t");
		control_say_socket(c, s);
		ctl_say(c, "\t%s\t%s\t%zu\n", s->set.auth, s->set.storage, s->connections);
	}
	ctl_end(c, CONTROL_DONE);
}
