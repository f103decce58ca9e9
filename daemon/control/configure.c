/*
 * pop3ctl(8) cget and configure: the options of a server.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/pop3.h"
#include "daemon/control/commands.h"
#include "daemon/ports/listeners.h"

static int
set_port(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	uint64_t port;

	if (pop3_number(value, strlen(value), &port) == -1 || port > 65535) {
		snprintf(expected, CONF_EXPECTED_SIZE, "expected a port from 0 to 65535");
		return -1;
	}
	memset(&set->port, 0, sizeof(set->port));
	set->port.n = 1;
	set->port.number[0] = (uint32_t)port;
	return 0;
}

/* "tls", or with a certificate of its own "tls:CERTIFICATE:KEY"; the same with "plain+stls". */
static int
set_socket(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	char text[3 * MSG_PATH_SIZE], *rest = text, *kind, *certificate, *key;

	snprintf(text, sizeof(text), "%s", value[0] == '\0' ? "plain" : value);
	kind = strsep(&rest, ":");
	certificate = strsep(&rest, ":");
	key = strsep(&rest, ":");
	if (conf_server_set(set, "socket", kind, expected) == -1)
		return -1;
	set->socket_names_certificate = certificate != NULL;
	if (certificate == NULL)
		return 0;
	if (key == NULL || rest != NULL || set->socket == SOCKET_PLAIN) {
		snprintf(expected, CONF_EXPECTED_SIZE, "expected tls:CERTIFICATE:KEY");
		return -1;
	}
	if (conf_server_set(set, "certificate", certificate, expected) == -1)
		return -1;
	return conf_server_set(set, "certificate_key", key, expected);
}

static int
set_auth(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	return conf_server_set(set, "auth", value, expected);
}

static int
set_storage(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	return conf_server_set(set, "storage", value, expected);
}

static void
get_port(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%u", server_port(s));
}

static void
get_auth(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%s", s->set.auth);
}

static void
get_storage(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%s", s->set.storage);
}

void
control_say_socket(struct ctl *c, const struct server *s)
{
	static const char *const words[] = {"plain", "plain+stls", "tls"};

	ctl_say(c, "%s", words[s->set.socket]);
}

static void
get_socket(struct ctl *c, const struct server *s)
{
	control_say_socket(c, s);
	if (s->set.socket_names_certificate)
		ctl_say(c, ":%s:%s", s->set.certificate.path[0], s->set.certificate_key.path[0]);
}

static void
get_state(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%s", server_state_name(s->state));
}

static const struct option {
	const char *name;
	void (*get)(struct ctl *c, const struct server *s);
	int (*set)(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE]);
} options[] = {
    {"-port", get_port, set_port},
    {"-auth", get_auth, set_auth},
    {"-storage", get_storage, set_storage},
    {"-socket", get_socket, set_socket},
    {"-state", get_state, NULL},
};

static const struct option *
option_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

void
command_cget(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const struct server *s = control_server(m, c, words[1]);
	const struct option *o = option_find(words[2]);

	(void)n;
	if (s == NULL)
		return;
	if (o == NULL) {
		ctl_fail(c, CONTROL_USAGE,
			 "Unknown option \"%s\": Expected \"-state\", \"-port\", \"-auth\", "
			 "\"-socket\", "
			 "or \"-storage\"",
			 words[2]);
		return;
	}
	if (strcmp(o->name, "-port") == 0)
		ctl_answers(c, ANSWER_NUMBER);
	o->get(c, s);
	ctl_say(c, "\n");
	ctl_end(c, CONTROL_DONE);
}

/* Back to the certificates of the configuration. */
static void
certificates_restore(const struct conf *conf, struct conf_server *set)
{
	const struct conf_server *from = &conf->shared;

	for (size_t i = 0; i < conf->nservers; i++)
		if (strcmp(conf->servers[i].name, set->name) == 0)
			from = &conf->servers[i];
	set->certificate = from->certificate;
	set->certificate_key = from->certificate_key;
}

/* All or nothing: the options are set in a copy. */
static void
configure_set(struct master *m, struct ctl *c, struct server *s, size_t n, char *words[])
{
	char expected[CONF_EXPECTED_SIZE];
	struct conf_server set = s->set;

	for (size_t i = 0; i + 1 < n; i += 2) {
		const struct option *o = option_find(words[i]);

		if (o == NULL) {
			ctl_fail(
			    c, CONTROL_USAGE,
			    "Unknown option \"%s\": Expected \"-port\", \"-auth\", \"-socket\", or "
			    "\"-storage\"",
			    words[i]);
			return;
		}
		if (o->set == NULL) {
			ctl_fail(c, CONTROL_FAILED, "Option %s is read-only", o->name);
			return;
		}
		if (o->set(&set, words[i + 1], expected) == -1) {
			ctl_fail(c, CONTROL_FAILED, "option %s: %s", o->name, expected);
			return;
		}
	}
	if (s->set.socket_names_certificate && !set.socket_names_certificate)
		certificates_restore(m->conf, &set);
	if (memcmp(&set.port, &s->set.port, sizeof(set.port)) != 0 && listeners_inherited(m, s)) {
		ctl_fail(c, CONTROL_FAILED,
			 "server \"%s\" listens on a socket of the service manager", s->set.name);
		return;
	}
	s->set = set;
	servers_changed(m); /* rows know their server by its slot: theirs is renewed, too */
	ctl_end(c, CONTROL_DONE);
}

void
command_configure(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = control_server(m, c, words[1]);

	if (s == NULL)
		return;
	if (n == 3) {
		command_cget(m, c, n, words);
		return;
	}
	if (n % 2 != 0) {
		ctl_fail(c, CONTROL_USAGE, "wrong # args, expected: -option | (-option value)...");
		return;
	}
	if (n > 2) {
		configure_set(m, c, s, n - 2, words + 2);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		ctl_say(c, "%s\t", options[i].name);
		options[i].get(c, s);
		ctl_say(c, "\n");
	}
	ctl_end(c, CONTROL_DONE);
}
