#include "config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/auth/account.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/lookups.h"
#include "daemon/auth/pools.h"
#include "daemon/auth/servers.h"
#include "daemon/auth/username.h"

static struct {
	const struct settings *settings;
	check_tell_fn *tell;
} all;

void
lookups_init(check_tell_fn *tell)
{
	all.tell = tell;
}

void
lookups_configure(const struct settings *s)
{
	all.settings = s;
}

static void
found_send(const struct msg_found *f)
{
	all.tell(MSG_FOUND, f,
		 offsetof(struct msg_found, account.groups) +
		     f->account.ngroups * sizeof(f->account.groups[0]));
}

static void
lookup_refuse(conn_id id, enum login_result result, const char *why)
{
	static struct msg_found f;

	memset(&f, 0, sizeof(f));
	f.id = id;
	f.result = result;
	(void)snprintf(f.why, sizeof(f.why), "%s", why);
	found_send(&f);
}

/* Why no child need be asked; NULL: one has to. */
static const char *
lookup_objection(const struct msg_lookup *ask, const struct msg_auth_server *server)
{
	const struct auth_backend *backend;
	const char *arg;

	if (server == NULL)
		return "no such server";
	if (ask->user[0] == '\0' || !username_is_clean(ask->user) || !username_is_clean(ask->other))
		return "no user has such a name";
	if (server->auth[0] == '\0')
		return "the server has no -auth that knows users";
	backend = backend_find(server->auth, &arg);
	if (backend == NULL || backend->lookup == NULL)
		return "this back end cannot look a user up";
	if (server->storage[0] == '\0')
		return "the server has no -storage";
	return NULL;
}

/* The accounts' names of what an administrator wrote, by the rules for clients.  NULL, or why not.
 */
static const char *
lookup_names(struct msg_lookup *ask, const struct msg_auth_server *server)
{
	bool other = ask->other[0] != '\0';

	if (server == NULL)
		return NULL;
	if (username_apply(server, ask->user) == -1 || username_apply(server, ask->other) == -1)
		return "the server's username_domain is another";
	return other && ask->other[0] == '\0' ? "no user has such a name" : NULL;
}

void
lookups_ask(const struct msg_lookup *lookup)
{
	const struct msg_auth_server *server = settings_server(all.settings, lookup->server);
	struct msg_lookup ask = *lookup;
	const char *why = lookup_names(&ask, server);
	struct msg_login_ask login;
	struct msg_conn conn;
	struct check *c;

	if (why == NULL)
		why = lookup_objection(&ask, server);
	if (why != NULL) {
		lookup_refuse(ask.id, LOGIN_PERM, why);
		return;
	}
	memset(&login, 0, sizeof(login));
	memset(&conn, 0, sizeof(conn));
	memcpy(login.user, ask.user, sizeof(login.user));
	conn.id = ask.id;
	conn.server = ask.server;
	if ((c = check_new(&login, &conn)) == NULL) {
		lookup_refuse(ask.id, LOGIN_TEMP, "no memory");
		return;
	}
	c->lookup = true;
	memcpy(c->other, ask.other, sizeof(c->other));
	pools_ask(server->auth, c);
}

/* Where the mail is, and would be for the other name.  0, or -1 and why not. */
static int
found_place(struct msg_found *f, const struct check *c, const struct msg_child_answer *a,
	    const char **why)
{
	const struct msg_auth_server *server = settings_server(all.settings, c->conn.server);
	struct msg_account other = {.uid = a->account.uid};

	*why = "no mailbox path for this name";
	if (server == NULL || servers_mailbox(server, &a->account, f->storage, f->mailbox) < 0)
		return -1;
	if (a->mailbox[0] == '/')
		(void)snprintf(f->mailbox, sizeof(f->mailbox), "%s", a->mailbox);
	if (c->other[0] == '\0')
		return 0;
	memcpy(other.user, c->other, sizeof(other.user));
	memcpy(other.home, a->account.home, sizeof(other.home));
	*why = "no mailbox path for the new name";
	return servers_mailbox(server, &other, f->storage, f->target);
}

/* Why the account is not served at all; the empty string: it is. */
static void
account_objection(const struct msg_account *a, char *why, size_t cap)
{
	const struct msg_auth_conf *conf = &all.settings->conf;

	why[0] = '\0';
	if (account_uid_allowed(a->uid, conf->minimum_uid, conf->rootless != 0))
		return;
	if (a->uid == 0 || conf->rootless != 0)
		(void)snprintf(why, cap, "uid %u is never served%s", a->uid,
			       conf->rootless != 0 ? " by a daemon of another user" : "");
	else
		(void)snprintf(why, cap, "uid %u is below minimum_uid (%u)", a->uid,
			       conf->minimum_uid);
}

void
lookups_decided(struct check *c, enum login_result result, const char *why,
		const struct msg_child_answer *a)
{
	static struct msg_found f;
	char text[MSG_NAME_SIZE];

	memset(&f, 0, sizeof(f));
	f.id = c->conn.id;
	if (a != NULL && result == LOGIN_OK) {
		f.account = a->account;
		account_objection(&a->account, text, sizeof(text));
		why = text;
		if (text[0] != '\0' || found_place(&f, c, a, &why) < 0)
			result = LOGIN_PERM;
	}
	if (result == LOGIN_OK)
		found_send(&f);
	else
		lookup_refuse(f.id, result, why);
	check_free(c);
}
