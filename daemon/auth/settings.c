#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/auth/backend.h"
#include "daemon/auth/settings.h"
#include "daemon/auth/template.h"

void
settings_begin(struct settings *s, const struct msg_auth_conf *conf)
{
	settings_free(s);
	s->conf = *conf;
	if (s->conf.children == 0)
		s->conf.children = 1;
	if (s->conf.deadline == 0)
		s->conf.deadline = 1;
}

int
settings_add(struct settings *s, const struct msg_auth_server *server)
{
	struct msg_auth_server *more;

	more = reallocarray(s->servers, s->nservers + 1, sizeof(s->servers[0]));
	if (more == NULL)
		return -1;
	s->servers = more;
	s->servers[s->nservers++] = *server;
	return 0;
}

/* Cut "BACKEND:ARGUMENT"; NULL if the name does not fit. */
static const char *
storage_split(const char *spec, char name[MSG_WORD_SIZE])
{
	size_t len = strcspn(spec, ":");

	if (len >= MSG_WORD_SIZE)
		return NULL;
	memcpy(name, spec, len);
	name[len] = '\0';
	return spec[len] == ':' ? spec + len + 1 : "";
}

static int
server_check(const struct msg_auth_server *server, char *why, size_t cap)
{
	char name[MSG_WORD_SIZE];
	const char *arg;
	const struct auth_backend *be = backend_find(server->auth, &arg);

	if (server->auth[0] != '\0') {
		if (be == NULL) {
			snprintf(why, cap, "no such back end");
			return -1;
		}
		if (be->check(arg, why, cap) < 0)
			return -1;
	}
	arg = storage_split(server->storage, name);
	if (arg == NULL || template_check(arg) < 0) {
		snprintf(why, cap, "storage %s: only %%u %%d %%n %%h %%%% may stand in it",
			 server->storage);
		return -1;
	}
	return 0;
}

int
settings_check(const struct settings *s, char *why, size_t cap)
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

const struct msg_auth_server *
settings_server(const struct settings *s, uint32_t server)
{
	for (size_t i = 0; i < s->nservers; i++)
		if (s->servers[i].server == server)
			return &s->servers[i];
	return NULL;
}

int
settings_mailbox(const struct msg_auth_server *server, const struct msg_account *account,
		 char storage[MSG_WORD_SIZE], char mailbox[MSG_PATH_SIZE])
{
	const char *template = storage_split(server->storage, storage);
	char below[MSG_SPEC_SIZE + 4];

	if (template == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (strcmp(storage, "dir") == 0 && strchr(template, '%') == NULL) {
		/* a base directory, with one directory a user in it */
		(void)snprintf(below, sizeof(below), "%s/%%u", template);
		template = below;
	}
	if (storage[0] == '\0') { /* an empty maildrop for everybody */
		mailbox[0] = '\0';
		return 0;
	}
	return template_expand(template, account->user, account->home, mailbox, MSG_PATH_SIZE);
}

void
settings_free(struct settings *s)
{
	free(s->servers);
	*s = (struct settings){0};
}
