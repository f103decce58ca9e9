#include "config.h"

#include "daemon/auth/servers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/backends.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/template.h"

static int
server_check(const struct msg_auth_server *server, char *why, size_t cap)
{
	const char *arg, *expected = "a back end for mailboxes";
	const struct backend *store = backends_find(backends_storage, server->storage, &arg);

	if (server->auth[0] != '\0' && backend_check(server->auth, why, cap) == -1)
		return -1;
	if (store != NULL)
		expected = backends_argument_fault(store, arg);
	if (expected != NULL)
		snprintf(why, cap, "storage %s: expected %s", server->storage, expected);
	return expected == NULL ? 0 : -1;
}

int
servers_check(const struct settings *s, char *why, size_t cap)
{
	for (size_t i = 0; i < s->nservers; i++) {
		const struct msg_auth_server *server = &s->servers[i];
		char what[MSG_TEXT_MAX];

		if (server_check(server, what, sizeof(what)) == 0)
			continue;
		snprintf(why, cap, "server %s: auth %s: %s", server->name, server->auth, what);
		return -1;
	}
	return 0;
}

int
servers_mailbox(const struct msg_auth_server *server, const struct msg_account *account,
		char storage[MSG_WORD_SIZE], char mailbox[MSG_PATH_SIZE])
{
	const char *template;
	const struct backend *store = backends_find(backends_storage, server->storage, &template);
	char below[MSG_SPEC_SIZE + 4];

	if (store == NULL) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(storage, MSG_WORD_SIZE, "%s", store->word);
	mailbox[0] = '\0';
	if (store->argument == ARGUMENT_NONE) /* an empty maildrop for everybody */
		return 0;
	if (store->base && strchr(template, '%') == NULL) {
		(void)snprintf(below, sizeof(below), "%s/%%u", template);
		template = below;
	}
	return template_expand(template, account->user, account->home, mailbox, MSG_PATH_SIZE);
}
