/*
 * pop3ctl autoconfig: what lets mail programs find our servers by the domain of an address: SRV
 * records, and the file that Thunderbird and others fetch.
 *
 * Sources: RFC 6186 and RFC 8314 section 5.1 (records), RFC 2782; RFC 1035 section 5.1 (their form
 * in a zone); Thunderbird's "Autoconfiguration: file format" (config-v1.1.xml).
 *
 * Runs as:  whoever calls it.
 * Sees:     the configuration, and by pop3d-login the names in its certificates.
 * May never: change anything.
 */
#include "config.h"

#include "daemon/ctl/autoconfig.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/count.h"
#include "common/ctl_words.h"
#include "daemon/ctl/effective.h"
#include "daemon/ctl/host_name.h"
#include "daemon/ctl/program.h"
#include "daemon/ctl/request.h"

enum { WORD_SIZE = 1024, CERTIFICATES_MAX = 64 };

/* What a kind of server is to clients, the best first. */
static const struct kind {
	const char *socket;  /* of pop3d.conf(5) */
	const char *service; /* RFC 6186 section 3.3 */
	const char *xml;     /* socketType */
} kinds[] = {
    {"tls", "_pop3s", "SSL"},
    {"plain+stls", "_pop3", "STARTTLS"},
    {"plain", "_pop3", "plain"},
};

static const char *const services[] = {"_pop3s", "_pop3"};

struct names {
	char **list;
	size_t n;
};

/* A port that clients may come to. */
struct port {
	const struct kind *kind;
	char number[8];
	struct names hosts; /* of its certificates; without: this host's */
	bool is_address;    /* users log in by their whole address */
	const char *server;
};

struct autoconfig {
	struct effective e;
	const char *conf, *domain, *server; /* as given; NULL: not */
	bool dns, xml;			    /* what is printed; neither: both, and what to do */
	struct port *ports;
	size_t n;
	struct names domains;
};

static void *
must(void *memory)
{
	if (memory != NULL)
		return memory;
	perror("pop3ctl");
	exit(CTL_FAILED);
}

/* ---- names ---- */

static void
name_add(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcasecmp(names->list[i], name) == 0)
			return;
	names->list = must(reallocarray(names->list, names->n + 1, sizeof(*names->list)));
	names->list[names->n++] = must(strdup(name));
}

static void
names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

/* A line of pop3d-login.  A wildcard is the name of no host. */
static int
host_take(void *arg, char *text)
{
	if (strchr(text, '*') == NULL && text[0] != '\0')
		name_add(arg, text);
	return 0;
}

/* The domain of a host: its name without the first label, if two are left. */
static const char *
domain_of(const char *host)
{
	const char *dot = strchr(host, '.');

	return dot != NULL && strchr(dot + 1, '.') != NULL ? dot + 1 : host;
}

/* Is the host the domain, or below it? */
static bool
host_in(const char *host, const char *domain)
{
	size_t h = strlen(host), d = strlen(domain);

	return h >= d && strcasecmp(host + h - d, domain) == 0 &&
	       (h == d || host[h - d - 1] == '.');
}

/* The host that clients of the domain are sent to: the first of its own, else the first. */
static const char *
host_for(const struct port *p, const char *domain)
{
	for (size_t i = 0; i < p->hosts.n; i++)
		if (host_in(p->hosts.list[i], domain))
			return p->hosts.list[i];
	return p->hosts.list[0];
}

/* ---- the servers ---- */

/* The names in the certificates of the server, else this host's.  -1: said. */
static int
hosts_find(const struct autoconfig *a, size_t server, bool tls, struct names *hosts)
{
	static char program[] = PKGLIBEXECDIR "/pop3d-login", word[] = CHECK_NAMES_WORD;
	char *argv[CERTIFICATES_MAX + 3] = {program, word}, path[WORD_SIZE], host[256];
	size_t n = 0;
	int r = 0;

	while (tls && n < CERTIFICATES_MAX &&
	       effective_word(&a->e, server, "certificate", n, path, sizeof(path)) != NULL &&
	       path[0] != '\0')
		argv[2 + n++] = must(strdup(path));
	if (n > 0)
		r = program_lines(argv, host_take, hosts);
	while (n > 0)
		free(argv[2 + --n]);
	host_name(host, sizeof(host));
	if (hosts->n == 0 && host[0] != '\0')
		name_add(hosts, host);
	if (r == 0 && hosts->n == 0)
		fprintf(stderr,
			"pop3ctl: server \"%s\": no name is known that clients could be "
			"given: no certificate has one, and this host's name has no "
			"domain (see hostname(1))\n",
			a->e.servers[server - 1]);
	return r == 0 && hosts->n > 0 ? 0 : -1;
}

/* Does it listen on loopback addresses alone? */
static bool
is_local(const struct autoconfig *a, size_t server)
{
	char address[WORD_SIZE];
	size_t n = 0;

	while (effective_word(&a->e, server, "addresses", n, address, sizeof(address)) != NULL &&
	       (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
		strcmp(address, "[::1]") == 0))
		n++;
	return n > 0 && address[0] == '\0';
}

/* Why no client elsewhere is sent there; NULL: it is one for them. */
static const char *
objection(const struct autoconfig *a, size_t server, const struct kind *kind)
{
	char word[WORD_SIZE];

	if (is_local(a, server))
		return "it listens on this host's own addresses alone";
	if (strcmp(kind->socket, "plain") == 0 &&
	    strcmp(effective_word(&a->e, server, "cleartext_login", 0, word, sizeof(word)) ? word
											   : "",
		   "always") != 0)
		return "it has no TLS, and cleartext_login lets nobody elsewhere log in";
	return NULL;
}

/* Users of several domains have addresses as their names, and so have those whose domain is taken
 * off. */
static bool
names_are_addresses(const struct autoconfig *a, size_t server)
{
	char domain[WORD_SIZE], storage[WORD_SIZE];

	(void)effective_word(&a->e, server, "username_domain", 0, domain, sizeof(domain));
	(void)effective_word(&a->e, server, "storage", 0, storage, sizeof(storage));
	return strcmp(domain, "keep") != 0 || strstr(storage, "%d") != NULL;
}

static const struct kind *
kind_of(const struct autoconfig *a, size_t server)
{
	char word[WORD_SIZE];
	size_t i = 0;

	(void)effective_word(&a->e, server, "socket", 0, word, sizeof(word));
	while (i + 1 < COUNT_OF(kinds) && strcmp(kinds[i].socket, word) != 0)
		i++;
	return &kinds[i];
}

static void
port_add(struct autoconfig *a, size_t server, const struct kind *kind, const char *number,
	 const struct names *hosts)
{
	struct port *p;

	a->ports = must(reallocarray(a->ports, a->n + 1, sizeof(*a->ports)));
	p = &a->ports[a->n++];
	*p = (struct port){.kind = kind,
			   .is_address = names_are_addresses(a, server),
			   .server = a->e.servers[server - 1]};
	(void)snprintf(p->number, sizeof(p->number), "%.7s", number);
	for (size_t i = 0; i < hosts->n; i++)
		name_add(&p->hosts, hosts->list[i]);
}

/* 0, or -1: said. */
static int
server_take(struct autoconfig *a, size_t server)
{
	const struct kind *kind = kind_of(a, server);
	const char *why = objection(a, server, kind);
	struct names hosts = {0};
	char word[WORD_SIZE];
	int r = 0;

	if (why != NULL) {
		fprintf(stderr, "pop3ctl: server \"%s\" is left out: %s\n",
			a->e.servers[server - 1], why);
		return 0;
	}
	r = hosts_find(a, server, strcmp(kind->socket, "plain") != 0, &hosts);
	for (size_t i = 0;
	     r == 0 && effective_word(&a->e, server, "port", i, word, sizeof(word)) != NULL; i++)
		port_add(a, server, kind, word, &hosts);
	names_free(&hosts);
	return r;
}

/* The domains that are written about: the one given, or the one that is taken off, or those of the
 * hosts. */
static void
domains_find(struct autoconfig *a, size_t server)
{
	char word[WORD_SIZE];
	const struct port *p;

	(void)effective_word(&a->e, server, "username_domain", 0, word, sizeof(word));
	if (a->domain != NULL)
		name_add(&a->domains, a->domain);
	else if (strchr(word, '.') != NULL)
		name_add(&a->domains, word);
	else
		for (size_t i = 0; i < a->n; i++)
			for (size_t k = 0; k < (p = &a->ports[i])->hosts.n; k++)
				if (p->server == a->e.servers[server - 1])
					name_add(&a->domains, domain_of(p->hosts.list[k]));
}

/* All of them, or the one that is named.  The exit status. */
static int
servers_take(struct autoconfig *a)
{
	bool known = a->server == NULL;

	for (size_t i = 1; i <= a->e.nservers; i++) {
		if (a->server != NULL && strcmp(a->server, a->e.servers[i - 1]) != 0)
			continue;
		known = true;
		if (server_take(a, i) == -1)
			return CTL_FAILED;
		domains_find(a, i);
	}
	if (!known)
		fprintf(stderr, "pop3ctl: no such server \"%s\" in %s\n", a->server, a->e.path);
	else if (a->n == 0)
		fprintf(stderr, "pop3ctl: no server that clients could be sent to\n");
	else if (a->xml && a->domains.n > 1)
		fprintf(stderr,
			"pop3ctl: a file is for one domain: choose by --domain, as %s or %s\n",
			a->domains.list[0], a->domains.list[1]);
	else
		return CTL_DONE;
	return CTL_FAILED;
}

/* ---- records ---- */

/* A name in a zone: what is special there as \DDD. */
static void
zone_name(const char *name)
{
	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		if (strchr("-_.", c) != NULL || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z'))
			putchar(c);
		else
			printf("\\%03u", c);
	}
	putchar('.');
}

static void
record_print(const char *service, const char *domain, unsigned priority, const char *port,
	     const char *host)
{
	printf("%s._tcp.", service);
	zone_name(domain);
	printf(" IN SRV %u %d %s ", priority, host != NULL, port);
	if (host != NULL)
		zone_name(host);
	else
		putchar('.'); /* RFC 6186 section 3.4: there is no such service */
	putchar('\n');
}

static void
records_print(const struct autoconfig *a, const char *domain)
{
	for (size_t s = 0; s < COUNT_OF(services); s++) {
		unsigned priority = 0;

		for (size_t k = 0; k < COUNT_OF(kinds); k++)
			for (size_t i = 0; i < a->n; i++)
				if (a->ports[i].kind == &kinds[k] &&
				    strcmp(kinds[k].service, services[s]) == 0)
					record_print(services[s], domain, priority++,
						     a->ports[i].number,
						     host_for(&a->ports[i], domain));
		if (priority == 0)
			record_print(services[s], domain, 0, "0", NULL);
	}
}

/* ---- the file ---- */

static void
element(const char *indent, const char *name, const char *text)
{
	static const struct {
		char c;
		const char *as;
	} escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};

	printf("%s<%s>", indent, name);
	for (; *text != '\0'; text++) {
		size_t i = 0;

		while (i < COUNT_OF(escapes) && escapes[i].c != *text)
			i++;
		if (i < COUNT_OF(escapes))
			fputs(escapes[i].as, stdout);
		else
			putchar(*text);
	}
	printf("</%s>\n", name);
}

static void
incoming_print(const struct port *p, const char *domain)
{
	static const char in[] = "      ";

	printf("    <incomingServer type=\"pop3\">\n");
	element(in, "hostname", host_for(p, domain));
	element(in, "port", p->number);
	element(in, "socketType", p->kind->xml);
	element(in, "username", p->is_address ? "%EMAILADDRESS%" : "%EMAILLOCALPART%");
	element(in, "authentication", "password-cleartext");
	printf("    </incomingServer>\n");
}

static void
file_print(const struct autoconfig *a, const char *domain)
{
	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n"
	       "  <emailProvider id=\"pop3d\">\n");
	element("    ", "domain", domain);
	element("    ", "displayName", domain);
	for (size_t k = 0; k < COUNT_OF(kinds); k++)
		for (size_t i = 0; i < a->n; i++)
			if (a->ports[i].kind == &kinds[k])
				incoming_print(&a->ports[i], domain);
	printf(
	    "    <!-- Here goes the <outgoingServer type=\"smtp\"> of the host that takes users' "
	    "mail. -->\n"
	    "  </emailProvider>\n</clientConfig>\n");
}

/* Both, and what to do with them. */
static void
both_print(const struct autoconfig *a, const char *domain)
{
	printf("; Mail programs that know RFC 6186 find the servers by these records.  They belong "
	       "into\n; the zone of %s; a line with \"0 0 0 .\" says that there is no such "
	       "service.\n",
	       domain);
	records_print(a, domain);
	printf(
	    "\n; Thunderbird, K-9 Mail, Evolution and others fetch this file by HTTPS.  Save it, "
	    "by\n; \"pop3ctl autoconfig --xml --domain %s\", on a web server as\n"
	    "; https://autoconfig.%s/mail/config-v1.1.xml, of the type text/xml, or as\n"
	    "; https://%s/.well-known/autoconfig/mail/config-v1.1.xml\n\n",
	    domain, domain, domain);
	file_print(a, domain);
}

/* ---- the words ---- */

/* What may stand in a name: printable ASCII. */
static bool
is_name(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return text[0] != '\0';
}

static bool
words_take(struct autoconfig *a, int argc, char *argv[])
{
	int i = 1;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++)
		if (strcmp(argv[i], "--dns") == 0)
			a->dns = true;
		else if (strcmp(argv[i], "--xml") == 0)
			a->xml = true;
		else if (strcmp(argv[i], "--conf") == 0 && i + 1 < argc)
			a->conf = argv[++i];
		else if (strcmp(argv[i], "--domain") == 0 && i + 1 < argc)
			a->domain = argv[++i];
		else
			return false;
	a->server = i < argc ? argv[i++] : NULL;
	return i == argc && !(a->dns && a->xml);
}

static void
autoconfig_free(struct autoconfig *a)
{
	for (size_t i = 0; i < a->n; i++)
		names_free(&a->ports[i].hosts);
	free(a->ports);
	names_free(&a->domains);
	effective_free(&a->e);
}

int
autoconfig_run(const char *socket_path, int argc, char *argv[])
{
	struct autoconfig a = {0};
	char text[CTL_TEXT_SIZE];
	int status = CTL_FAILED;

	if (!words_take(&a, argc, argv)) {
		fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl %s\"\n",
			ctl_synopsis(text, "autoconfig", NULL));
		return CTL_USAGE;
	}
	if (a.domain != NULL && !is_name(a.domain)) {
		fprintf(stderr, "pop3ctl: --domain: a name of ASCII; an international one begins "
				"with xn--\n");
		return CTL_USAGE;
	}
	if (effective_read(&a.e, socket_path, a.conf) == 0)
		status = servers_take(&a);
	for (size_t i = 0; status == CTL_DONE && i < a.domains.n; i++) {
		if (a.dns)
			records_print(&a, a.domains.list[i]);
		else if (a.xml)
			file_print(&a, a.domains.list[i]);
		else
			both_print(&a, a.domains.list[i]);
		if (!a.dns && i + 1 < a.domains.n)
			putchar('\n');
	}
	autoconfig_free(&a);
	return status;
}
