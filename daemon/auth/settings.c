#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/auth/settings.h"

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

const struct msg_auth_server *
settings_server(const struct settings *s, uint32_t server)
{
	for (size_t i = 0; i < s->nservers; i++)
		if (s->servers[i].server == server)
			return &s->servers[i];
	return NULL;
}

void
settings_free(struct settings *s)
{
	free(s->servers);
	*s = (struct settings){0};
}

int
told_state(const struct told *t)
{
	if (t->started)
		return t->telling ? TOLD_AGAIN : TOLD_READY;
	return t->telling ? TOLD_FIRST : TOLD_NEW;
}

void
told_begin(struct told *t, const struct msg_auth_conf *conf)
{
	settings_begin(&t->next, conf);
	t->telling = true;
}

struct settings
told_take(struct told *t)
{
	struct settings former = t->now;

	t->now = t->next;
	t->next = (struct settings){0};
	t->telling = false;
	t->started = true;
	return former;
}

void
told_drop(struct told *t)
{
	settings_free(&t->next);
	t->telling = false;
}
