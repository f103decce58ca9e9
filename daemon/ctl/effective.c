#include "config.h"

#include "daemon/ctl/effective.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/program.h"
#include "daemon/ctl/request.h"

/* ---- which file ---- */

/* The daemon's own, malloc'ed; NULL: none answers. */
static char *
path_told(const char *socket_path)
{
	static char word[] = "status";
	static const char key[] = "\nconfiguration\t";
	char *words[] = {word}, *path = NULL;
	const char *at;
	struct answer a;

	if (request_quietly(socket_path, 1, words, &a) == CTL_DONE &&
	    (at = strstr(a.text, key)) != NULL) {
		at += strlen(key);
		path = strndup(at, strcspn(at, "\n"));
	}
	free(a.text);
	return path;
}

/* ---- what pop3d -T prints ---- */

/* 'server "x" {' */
static int
server_begin(struct effective *e, const char *text)
{
	const char *name = strchr(text, '"') + 1;
	char **servers = reallocarray(e->servers, e->nservers + 1, sizeof(*servers));

	if (servers == NULL)
		return -1;
	e->servers = servers;
	if ((servers[e->nservers] = strndup(name, strcspn(name, "\""))) == NULL)
		return -1;
	e->nservers++;
	return 0;
}

static int
setting_add(struct effective *e, size_t server, const char *name, size_t len, const char *rest)
{
	struct effective_setting *s = reallocarray(e->settings, e->n + 1, sizeof(*s));

	if (s == NULL)
		return -1;
	e->settings = s;
	s += e->n;
	*s = (struct effective_setting){server, strndup(name, len), strdup(rest)};
	if (s->name == NULL || s->rest == NULL) {
		free(s->name);
		free(s->rest);
		return -1;
	}
	e->n++;
	return 0;
}

static int
line_take(void *arg, char *text)
{
	struct effective *e = arg;
	static const char word[] = "server \"";
	const char *equals;

	text += strspn(text, "\t");
	if (strncmp(text, word, strlen(word)) == 0) {
		e->inside = true;
		return server_begin(e, text);
	}
	if (text[0] == '}')
		e->inside = false;
	if ((equals = strstr(text, " = ")) == NULL)
		return 0;
	return setting_add(e, e->inside ? e->nservers : 0, text, (size_t)(equals - text),
			   equals + 3);
}

int
effective_read(struct effective *e, const char *socket_path, const char *conf_path)
{
	static char program[] = SBINDIR "/pop3d", option_t[] = "-T", option_c[] = "-c";
	char *argv[] = {program, option_t, option_c, NULL, NULL};

	*e = (struct effective){0};
	e->path = conf_path != NULL ? strdup(conf_path) : path_told(socket_path);
	if (e->path == NULL && (e->path = strdup(SYSCONFDIR "/pop3d.conf")) == NULL)
		return -1;
	argv[3] = e->path;
	return program_lines(argv, line_take, e);
}

void
effective_free(struct effective *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->settings[i].name);
		free(e->settings[i].rest);
	}
	for (size_t i = 0; i < e->nservers; i++)
		free(e->servers[i]);
	free(e->settings);
	free(e->servers);
	free(e->path);
}

/* ---- a value ---- */

/* Copy the word at *at, in quotes or without, and go behind it. */
static void
word_copy(const char **at, char *out, size_t cap)
{
	const char *p = *at;
	bool quoted = *p == '"';
	size_t n = 0;

	p += quoted;
	while (*p != '\0' && (quoted ? *p != '"' : strchr(", }\t", *p) == NULL)) {
		p += quoted && *p == '\\' && p[1] != '\0';
		if (n + 1 < cap)
			out[n++] = *p;
		p++;
	}
	out[n] = '\0';
	*at = p + (quoted && *p == '"');
}

char *
effective_word(const struct effective *e, size_t server, const char *name, size_t n, char *out,
	       size_t cap)
{
	const char *at = NULL;

	out[0] = '\0';
	for (size_t i = 0; i < e->n; i++)
		if (e->settings[i].server == server && strcmp(e->settings[i].name, name) == 0)
			at = e->settings[i].rest;
	for (; at != NULL; n--) {
		at += strspn(at, "{, ");
		if (*at == '\0' || *at == '}' || *at == '\t')
			break;
		word_copy(&at, out, cap);
		if (n == 0)
			return out;
	}
	out[0] = '\0';
	return NULL;
}
