/*
 * What can be said of servers only when the whole file was read: defaults that
 * hang on other settings, and whether they get along with each other.
 */
#include "config.h"

#include <bsd/string.h>
#include <string.h>

#include "common/source.h"
#include "daemon/conf/conf_priv.h"

/* Fill in what the file does not say of a server. */
static void
server_complete(const struct conf_given *given, struct conf_server *server, uint64_t set)
{
	char expected[CONF_EXPECTED_SIZE];
	const struct conf_setting *s;
	size_t i;

	for (i = 0; (s = &conf_server_settings[i])->name != NULL; i++) {
		if ((set & conf_bit(i)) != 0)
			continue;
		if (s->shared)
			memcpy((char *)server + s->offset, (const char *)&given->shared + s->offset,
			       s->size);
		else if (s->def != NULL)
			(void)conf_setting_store(s, server, s->def, expected);
	}
	(void)conf_setting_find(conf_server_settings, "port", &i);
	if ((set & conf_bit(i)) == 0)
		server->port.number[server->port.n++] = server->socket == SOCKET_TLS ? 995 : 110;
}

/* Is there a path, and none of them empty? */
static bool
paths_are_there(const struct conf_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		if (paths->path[i][0] == '\0')
			return false;
	return paths->n > 0;
}

/* The place of a server, or, of a built-in one, that of the setting itself. */
static struct conf_place
setting_place(const struct conf_given *given, struct conf_place at, const char *name)
{
	size_t index = 0;

	(void)conf_setting_find(conf_server_settings, name, &index);
	return at.line == 0 && given->shared_at[index].line != 0 ? given->shared_at[index] : at;
}

static void
server_check_tls(struct conf_faults *f, const struct conf_given *given, struct conf_server *server,
		 struct conf_place at)
{
	static const char certificate[] = "certificate", key[] = "certificate_key";
	bool have_certificate = paths_are_there(&server->certificate);
	bool have_key = paths_are_there(&server->certificate_key);

	if (server->socket == SOCKET_PLAIN) {
		memset(&server->certificate, 0, sizeof(server->certificate));
		memset(&server->certificate_key, 0, sizeof(server->certificate_key));
		return;
	}
	if (!have_certificate)
		conf_fault(f, setting_place(given, at, certificate),
			   "server \"%s\": expected a %s, as it offers TLS", server->name,
			   certificate);
	if (!have_key)
		conf_fault(f, setting_place(given, at, key),
			   "server \"%s\": expected a %s, as it offers TLS", server->name, key);
	if (have_certificate && have_key && server->certificate.n != server->certificate_key.n)
		conf_fault(f, setting_place(given, setting_place(given, at, certificate), key),
			   "server \"%s\": expected a %s for each %s", server->name, key,
			   certificate);
}

static void
server_check_proxy(struct conf_faults *f, const struct conf_given *given,
		   const struct conf_server *server, struct conf_place at)
{
	const struct conf_networks *from = &server->proxy_from;

	for (size_t i = 0; i < from->n && !server->proxy_loopback; i++)
		if (source_is_loopback(&from->network[i].address))
			conf_fault(
			    f, setting_place(given, at, "proxy_from"),
			    "server \"%s\": expected proxy_loopback = yes, as proxy_from has "
			    "loopback addresses, where any local user can announce any client",
			    server->name);
}

/* Could two sockets not be bound to these addresses, at one port? */
static bool
address_overlap(const char *a, const char *b)
{
	bool a6 = strchr(a, ':') != NULL, b6 = strchr(b, ':') != NULL;

	if (strcmp(a, b) == 0 || strcmp(a, "*") == 0 || strcmp(b, "*") == 0)
		return true;
	if (a6 != b6)
		return false;
	return strcmp(a, a6 ? "::" : "0.0.0.0") == 0 || strcmp(b, b6 ? "::" : "0.0.0.0") == 0;
}

/* The first address of b that is taken by a, or NULL; of one server: by an earlier one of its own.
 */
static const char *
server_overlap(const struct conf_server *a, const struct conf_server *b)
{
	size_t i, k;

	for (i = 0; i < b->addresses.n; i++)
		for (k = 0; k < (a == b ? i : a->addresses.n); k++)
			if (address_overlap(a->addresses.address[k], b->addresses.address[i]))
				return b->addresses.address[i];
	return NULL;
}

/* The first port of b that is also a's, or 0. */
static uint32_t
server_common_port(const struct conf_server *a, const struct conf_server *b)
{
	for (size_t i = 0; i < b->port.n; i++)
		for (size_t k = 0; k < a->port.n; k++)
			if (a->port.number[k] == b->port.number[i])
				return b->port.number[i];
	return 0;
}

/* Complain of each other server that has what server i wants, and of doubles of its own. */
static void
server_check_overlap(struct conf_faults *f, const struct conf *c, size_t i, struct conf_place at)
{
	const char *address;
	uint32_t port;
	size_t k;

	for (k = 0; k <= i; k++) {
		port = server_common_port(&c->servers[k], &c->servers[i]);
		address = server_overlap(&c->servers[k], &c->servers[i]);
		if (port != 0 && address != NULL)
			conf_fault(
			    f, at,
			    "server \"%s\": expected another address or port than \"%s\" port %u, "
			    "which server \"%s\" has",
			    c->servers[i].name, address, port, c->servers[k].name);
	}
}

/* The servers of a file without any. */
static void
servers_default(struct conf *c, struct conf_given *given)
{
	static const struct {
		const char *name;
		enum conf_socket socket;
	} servers[] = {{"pop3s", SOCKET_TLS}, {"pop3", SOCKET_STLS}};
	size_t i, index = 0;

	(void)conf_setting_find(conf_server_settings, "socket", &index);
	for (i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		(void)strlcpy(c->servers[i].name, servers[i].name, sizeof(c->servers[i].name));
		c->servers[i].socket = servers[i].socket;
		given->server_set[i] = conf_bit(index);
		given->server_at[i] = (struct conf_place){given->path, 0};
		c->nservers++;
	}
}

void
conf_begin(struct conf *c, struct conf_given *given)
{
	memset(c, 0, sizeof(*c));
	memset(given, 0, sizeof(*given));
	conf_settings_default(conf_global_settings, c);
	conf_settings_default(conf_server_settings, &given->shared);
}

void
conf_finish(struct conf *c, struct conf_given *given, struct conf_faults *f)
{
	size_t i;

	c->shared = given->shared;
	if (c->nservers == 0)
		servers_default(c, given);
	for (i = 0; i < c->nservers; i++) {
		server_complete(given, &c->servers[i], given->server_set[i]);
		server_check_tls(f, given, &c->servers[i], given->server_at[i]);
		server_check_proxy(f, given, &c->servers[i], given->server_at[i]);
		server_check_overlap(f, c, i, given->server_at[i]);
	}
}

void
conf_defaults(struct conf *c)
{
	struct conf_faults none = {.hearer = NULL};
	struct conf_given given;

	conf_begin(c, &given);
	conf_finish(c, &given, &none);
}

void
conf_servers_built_in(const struct conf *c, struct conf *out)
{
	struct conf_faults none = {.hearer = NULL};
	struct conf_given given = {.shared = c->shared};

	memset(out, 0, sizeof(*out));
	conf_finish(out, &given, &none);
}

void
conf_server_plain(const struct conf *c, const struct conf_server *server, struct conf_server *plain)
{
	struct conf_faults none = {.hearer = NULL};
	struct conf_given given = {.shared = c->shared};
	char expected[CONF_EXPECTED_SIZE];
	const struct conf_setting *s;
	size_t socket;

	memset(plain, 0, sizeof(*plain));
	s = conf_setting_find(conf_server_settings, "socket", &socket);
	plain->socket = server->socket;
	server_complete(&given, plain, conf_bit(socket));
	server_check_tls(&none, &given, plain, (struct conf_place){"", 0});
	/* The socket itself is compared with its default. */
	(void)conf_setting_store(s, plain, s->def, expected);
}
