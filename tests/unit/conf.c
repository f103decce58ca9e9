/*
 * pop3d.conf: defaults, every kind of fault with its line, round trip.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/conf/conf_priv.h"
#include "tests/unit/unit.h"

static struct conf conf, other;
static char said[65536]; /* what the last load wrote */

static void
hear(void *arg, bool is_fault, const char *line)
{
	size_t n = strlen(said);

	(void)arg;
	CU_ASSERT_EQUAL(is_fault, strstr(line, ": warning: ") == NULL);
	snprintf(said + n, sizeof(said) - n, "%s\n", line);
}

static const struct conf_hearer hearer = {hear, NULL};

static int
load_octets(const char *octets, size_t len, struct conf *c)
{
	char *text = malloc(len + 1);
	int result;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(said, 0, sizeof(said));
	memcpy(text, octets, len);
	result = conf_load_text("x.conf", text, len, c, &hearer);
	free(text);
	return result;
}

/* Load a file by its path. */
static int
load_path(const char *path)
{
	memset(said, 0, sizeof(said));
	return conf_load(path, &conf, &hearer);
}

static int
load(const char *text)
{
	return load_octets(text, strlen(text), &conf);
}

/* Was exactly this written?  Shows both if not. */
static void
expect_said(const char *expected)
{
	if (strcmp(said, expected) != 0)
		printf("expected: %s\nsaid: %s\n", expected, said);
	CU_ASSERT_STRING_EQUAL(said, expected);
}

/* This text is refused with just these words. */
static void
refuse(const char *text, const char *expected)
{
	CU_ASSERT_EQUAL(load(text), -1);
	expect_said(expected);
}

static void
test_defaults(void)
{
	conf_defaults(&conf);
	CU_ASSERT_EQUAL(conf.login_workers, 2);
	CU_ASSERT_EQUAL(conf.worker_connections, 4096);
	CU_ASSERT_EQUAL(conf.auth_children, 4);
	CU_ASSERT_EQUAL(conf.session_spares, 4);
	CU_ASSERT_STRING_EQUAL(conf.login_user, "_pop3d");
	CU_ASSERT_STRING_EQUAL(conf.auth_user, "_pop3auth");
	CU_ASSERT_STRING_EQUAL(conf.runtime_dir, "/run/pop3d");
	CU_ASSERT_EQUAL(conf.max_connections, 2000);
	CU_ASSERT_EQUAL(conf.max_connections_per_address, 50);
	CU_ASSERT_EQUAL(conf.max_connections_per_network, 500);
	CU_ASSERT_EQUAL(conf.max_connections_per_site, 1000);
	CU_ASSERT_EQUAL(conf.max_connections_before_login, 500);
	CU_ASSERT_EQUAL(conf.session_memory, 256);
	CU_ASSERT_EQUAL(conf.login_timeout, 60);
	CU_ASSERT_EQUAL(conf.password_timeout, 300);
	CU_ASSERT_EQUAL(conf.handshake_timeout, 30);
	CU_ASSERT_EQUAL(conf.idle_timeout, 600);
	CU_ASSERT_EQUAL(conf.shutdown_timeout, 30);
	CU_ASSERT_EQUAL(conf.max_auth_failures, 6);
	CU_ASSERT_EQUAL(conf.auth_deadline, 30);
	CU_ASSERT_EQUAL(conf.auth_failure_delay, 1000);
	CU_ASSERT_EQUAL(conf.auth_failure_window, 300);
	CU_ASSERT_EQUAL(conf.auth_failures_per_user, 20);
	CU_ASSERT_EQUAL(conf.auth_failures_per_source, 100);
	CU_ASSERT_EQUAL(conf.auth_account_delay, 5000);
	CU_ASSERT_EQUAL(conf.minimum_uid, 1000);
	CU_ASSERT_FALSE(conf.pam_session);
	CU_ASSERT_EQUAL(conf.missing_maildir, MISSING_EMPTY);
	CU_ASSERT_EQUAL(conf.takeover, 0);
	CU_ASSERT_EQUAL(conf.last_logins, 31536000);
	CU_ASSERT_EQUAL(conf.shared.max_sessions_per_user, 100);
	CU_ASSERT_STRING_EQUAL(conf.tls_ciphers, "");
	CU_ASSERT_EQUAL(conf.sandbox, SANDBOX_ON);
	CU_ASSERT_EQUAL(conf.landlock_abi_max, 0);
	CU_ASSERT_EQUAL(conf.ps_titles, PS_TITLES_ROLE);
	CU_ASSERT_EQUAL(conf.log, CONF_LOG_SYSLOG);
	CU_ASSERT_EQUAL(conf.log_level, LOG_INFO);
	CU_ASSERT_FALSE(conf.trace);
}

static void
test_default_servers(void)
{
	static const struct {
		const char *name;
		uint32_t port;
		enum conf_socket socket;
	} expected[] = {{"pop3s", 995, SOCKET_TLS}, {"pop3", 110, SOCKET_STLS}};
	const struct conf_server *s;
	size_t i;

	conf_defaults(&conf);
	CU_ASSERT_EQUAL_FATAL(conf.nservers, 2);
	for (i = 0; i < 2; i++) {
		s = &conf.servers[i];
		CU_ASSERT_STRING_EQUAL(s->name, expected[i].name);
		CU_ASSERT_EQUAL(s->port.n, 1);
		CU_ASSERT_EQUAL(s->port.number[0], expected[i].port);
		CU_ASSERT_EQUAL(s->socket, expected[i].socket);
		CU_ASSERT_EQUAL(s->addresses.n, 1);
		CU_ASSERT_STRING_EQUAL(s->addresses.address[0], "*");
		CU_ASSERT_EQUAL(s->cleartext_login, CLEARTEXT_LOOPBACK);
		CU_ASSERT_STRING_EQUAL(s->auth, "pam:pop3d");
		CU_ASSERT_STRING_EQUAL(s->storage, "maildir:%h/Maildir");
		CU_ASSERT_EQUAL(s->certificate.n, 1);
		CU_ASSERT_STRING_EQUAL(s->certificate.path[0], SYSCONFDIR "/pop3d/cert.pem");
		CU_ASSERT_STRING_EQUAL(s->certificate_key.path[0], SYSCONFDIR "/pop3d/key.pem");
	}
}

static void
test_empty(void)
{
	static const char *const texts[] = {"", "\n", "#", "#\n", "# a = 1\n\n\t \r\n#", "   "};
	size_t i;

	conf_defaults(&other);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CU_ASSERT_EQUAL(load(texts[i]), 0);
		CU_ASSERT_STRING_EQUAL(said, "");
		CU_ASSERT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
	}
}

/* Print what `conf` holds, read that, and compare. */
static void
round_trip(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_FATAL(out != NULL);
	conf_print(&conf, out);
	fclose(out);
	CU_ASSERT_EQUAL(load_octets(text, len, &other), 0);
	expect_said("");
	CU_ASSERT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
	free(text);
}

/* What differs from the defaults, printed, is exactly this and says the same. */
static void
expect_changed(const char *loaded, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_FATAL(out != NULL);
	CU_ASSERT_EQUAL(load(loaded), 0);
	conf_print_changed(&conf, out);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected) != 0)
		printf("printed: %s\n", text);
	CU_ASSERT_EQUAL(load_octets(text, len, &other), 0);
	CU_ASSERT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
	free(text);
}

static void
test_print_changed(void)
{
	expect_changed("", "");
	expect_changed("idle_timeout = 600 auth = \"pam:pop3d\"", "");
	expect_changed("idle_timeout = 20m apop = yes",
		       "idle_timeout = 1200\t# seconds\napop = yes\n");
	expect_changed("server a { port = 995 auth = '' }\nserver b { socket = plain }\nauth = ''",
		       "auth = \"\"\nserver \"a\" {\n}\nserver \"b\" {\n\tsocket = \"plain\"\n}\n");
	expect_changed("server pop3 { socket = 'plain+stls' port = {110, 1110} }",
		       "server \"pop3\" {\n\tport = {110, 1110}\n\tsocket = \"plain+stls\"\n}\n");
}

static void
test_round_trip(void)
{
	conf_defaults(&conf);
	round_trip();
	CU_ASSERT_EQUAL(
	    load("log = stderr log_level = \"debug\" trace = on pam_session = true\n"
		 "idle_timeout = 1200 minimum_uid = 0 sandbox = require ps_titles = full\n"
		 "tls_ciphers = 'a \"b\\\\ c\\' d' landlock_abi_max = 2\n"
		 "missing_maildir = \"error\" runtime_dir = /tmp/x # here\n"
		 "certificate = \"/c \xc3\xa9.pem\"\n"
		 "server a { port = {1100, 1101} socket = plain cleartext_login = always }\n"
		 "server b.2-_ { socket = \"plain+stls\" auth = \"file:/etc/users\"\n"
		 "  addresses = {127.0.0.1, \"0:0::1\", ::ffff} storage = '' }\n"
		 "server c { cleartext_login = never auth = \"\"\n"
		 "  storage = \"maildir:/var/%%/%d/%n/%u%h\" }\n"),
	    0);
	expect_said("");
	CU_ASSERT_STRING_EQUAL(conf.tls_ciphers, "a \"b\\ c' d");
	CU_ASSERT_STRING_EQUAL(conf.servers[1].addresses.address[1], "::1");
	CU_ASSERT_EQUAL(conf.servers[1].port.number[0], 110);
	CU_ASSERT_EQUAL(conf.servers[2].port.number[0], 995);
	CU_ASSERT_STRING_EQUAL(conf.servers[0].certificate.path[0], "");
	CU_ASSERT_STRING_EQUAL(conf.servers[2].certificate.path[0], "/c \xc3\xa9.pem");
	CU_ASSERT_TRUE(conf.trace);
	CU_ASSERT_TRUE(conf.pam_session);
	CU_ASSERT_EQUAL(conf.log_level, LOG_DEBUG);
	round_trip();
}

static void
test_networks(void)
{
	static const char *const faults[][2] = {
	    {"192.0.2.1/24", "a network whose address has no bits behind the first 24"},
	    {"2001:db8::1/64", "a network whose address has no bits behind the first 64"},
	};
	static const char *const others[] = {"192.0.2.0/33", "2001:db8::/129", "192.0.2/24",
					     "192.0.2.0/",   "localhost",      "::ffff:192.0.2.1"};
	char text[128], expected[256];

	CU_ASSERT_EQUAL(load("trusted_networks = {'192.0.2.0/24', '2001:db8::1', '0.0.0.0/0'}"), 0);
	CU_ASSERT_EQUAL(conf.trusted_networks.n, 3);
	CU_ASSERT_EQUAL(conf.trusted_networks.network[0].bits, 24);
	CU_ASSERT_EQUAL(conf.trusted_networks.network[1].bits, 128);
	CU_ASSERT_EQUAL(conf.trusted_networks.network[2].bits, 0);
	round_trip();
	CU_ASSERT_EQUAL(load("allow = '10.0.0.0/8'\n"
			     "server a { deny = {'10.1.0.0/16', '10.2.0.1'} }\n"
			     "server b { allow = '' port = 110 }\n"),
			0);
	CU_ASSERT_EQUAL(conf.servers[0].allow.network[0].bits, 8);
	CU_ASSERT_EQUAL(conf.servers[0].deny.n, 2);
	CU_ASSERT_FALSE(conf_networks_given(&conf.servers[1].allow));
	CU_ASSERT_FALSE(conf_networks_given(&conf.servers[1].deny));
	round_trip();
	for (size_t i = 0; i < COUNT_OF(faults) + COUNT_OF(others); i++) {
		bool plain = i >= COUNT_OF(faults);
		const char *value = plain ? others[i - COUNT_OF(faults)] : faults[i][0];

		snprintf(text, sizeof(text), "trusted_networks = '%s'", value);
		snprintf(expected, sizeof(expected),
			 "x.conf:1: trusted_networks: expected %s, not \"%s\"\n",
			 plain ? "a network such as \"192.0.2.0/24\" or \"2001:db8::/32\", or an "
				 "address"
			       : faults[i][1],
			 value);
		CU_ASSERT_EQUAL(load(text), -1);
		expect_said(expected);
	}
}

/* A value of every setting that differs from the default, one by one. */
static void
test_round_trip_each(void)
{
	char text[256];
	const struct conf_setting *s;

	for (s = conf_global_settings; s->name != NULL; s++) {
		if (s->kind == CONF_NUMBER)
			snprintf(text, sizeof(text), "%s = %u", s->name, s->max);
		else if (s->kind == CONF_WORD)
			snprintf(text, sizeof(text), "%s = %s", s->name,
				 strcmp(s->words[0].word, s->def) != 0 ? s->words[0].word
								       : s->words[1].word);
		else
			snprintf(text, sizeof(text), "%s = %s", s->name,
				 s->kind == CONF_FLAG ? "yes" : "/a");
		if (s->kind == CONF_TEXT && s->check != NULL && s->check("/a") != NULL)
			snprintf(text, sizeof(text), "%s = other", s->name);
		if (s->kind == CONF_NETWORK)
			snprintf(text, sizeof(text), "%s = '2001:db8::/33'", s->name);
		CU_ASSERT_EQUAL(load(text), 0);
		expect_said("");
		conf_defaults(&other);
		CU_ASSERT_NOT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
		round_trip();
	}
}

static void
test_ranges(void)
{
	char text[256], expected[512];
	const struct conf_setting *s;
	const uint64_t huge[] = {UINT64_C(4294967296), UINT64_C(18446744073709551615)};
	size_t i;

	for (s = conf_global_settings; s->name != NULL; s++) {
		if (s->kind != CONF_NUMBER)
			continue;
		snprintf(text, sizeof(text), "%s = %u", s->name, s->min);
		CU_ASSERT_EQUAL(load(text), 0);
		for (i = 0; i < 4; i++) {
			snprintf(text, sizeof(text), "\n%s = %llu", s->name,
				 i < 2	  ? (unsigned long long)huge[i]
				 : i == 2 ? (unsigned long long)s->max + 1
					  : (unsigned long long)s->min - 1);
			snprintf(
			    expected, sizeof(expected),
			    "x.conf:2: %s: expected a number from %u to %u%s%s%s%s, not \"%s\"\n",
			    s->name, s->min, s->max, s->unit != NULL ? " (" : "",
			    s->unit != NULL ? s->unit->name : "", s->unit != NULL ? ")" : "",
			    s->words != NULL ? " or \"off\"" : "", strrchr(text, ' ') + 1);
			refuse(text, expected);
		}
	}
}

static void
test_values(void)
{
	static const char *const numbers[] = {"1x",	"-1",	  "0x10", "1.5",
					      "\" 7\"", "\"+7\"", "\"\""};
	char text[128], expected[256];
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(text, sizeof(text), "login_timeout = %s", numbers[i]);
		snprintf(expected, sizeof(expected),
			 "x.conf:1: login_timeout: expected a number from 1 to 3600 (seconds), not "
			 "\"%.*s\"\n",
			 (int)strcspn(numbers[i] + (*numbers[i] == '"'), "\""),
			 numbers[i] + (*numbers[i] == '"'));
		refuse(text, expected);
	}
	CU_ASSERT_EQUAL(load("takeover = off"), 0);
	CU_ASSERT_EQUAL(conf.takeover, 0);
	CU_ASSERT_EQUAL(load("takeover = \"90\""), 0);
	CU_ASSERT_EQUAL(conf.takeover, 90);
	refuse("takeover = on",
	       "x.conf:1: takeover: expected a number from 1 to 86400 (seconds) or "
	       "\"off\", not \"on\"\n");
	refuse("sandbox = yes", "x.conf:1: sandbox: expected one of \"off\", \"log\", \"on\", "
				"\"require\", not \"yes\"\n");
	refuse("trace = 2", "x.conf:1: trace: expected yes or no, not \"2\"\n");
	refuse("login_user = \"a b\"",
	       "x.conf:1: login_user: expected the name of a system account, not \"a b\"\n");
	refuse("runtime_dir = run",
	       "x.conf:1: runtime_dir: expected a path that begins with \"/\", not \"run\"\n");
	refuse("certificate = x.pem", "x.conf:1: certificate: expected \"\" or a path that begins "
				      "with \"/\", not \"x.pem\"\n");
}

static void
test_too_long(void)
{
	char text[4096], expected[512];

	snprintf(text, sizeof(text), "tls_ciphers = \"%0*d\"", MSG_SPEC_SIZE - 1, 0);
	CU_ASSERT_EQUAL(load(text), 0);
	CU_ASSERT_EQUAL(strlen(conf.tls_ciphers), MSG_SPEC_SIZE - 1);
	snprintf(text, sizeof(text), "tls_ciphers = \"%0*d\"", MSG_SPEC_SIZE, 0);
	snprintf(expected, sizeof(expected),
		 "x.conf:1: tls_ciphers: expected at most 511 octets, not \"%080d\"\n", 0);
	refuse(text, expected);
	snprintf(text, sizeof(text), "runtime_dir = \"/%0*d\"", 95, 0);
	snprintf(expected, sizeof(expected),
		 "x.conf:1: runtime_dir: expected at most 95 octets, not \"/%079d\"\n", 0);
	refuse(text, expected);
	snprintf(text, sizeof(text), "server %064d {}", 0);
	CU_ASSERT_EQUAL(load(text), 0);
	CU_ASSERT_EQUAL(strlen(conf.servers[0].name), CONF_NAME_MAX);
	snprintf(text, sizeof(text), "server %065d {}", 0);
	snprintf(expected, sizeof(expected),
		 "x.conf:1: server: expected a name of 1 to 64 letters, digits, \"_\", \".\" or "
		 "\"-\", not \"%065d\"\n",
		 0);
	refuse(text, expected);
}

static void
test_specs(void)
{
#define PAM                                                                                        \
	": auth: expected a PAM service after \":\", of letters, digits, \"_\", \".\" and \"-\", " \
	"not beginning with \".\", not "
	refuse("auth = pam",
	       "x.conf:1: auth: expected \"\" or \"pam:SERVICE\" or \"file:/PATH\" or "
	       "\"checkpassword:/PROGRAM\", not \"pam\"\n");
	refuse("auth = pam:", "x.conf:1" PAM "\"pam:\"\n");
	refuse("auth = pam:../x", "x.conf:1" PAM "\"pam:../x\"\n");
	refuse("auth = pam:..", "x.conf:1" PAM "\"pam:..\"\n");
	refuse("\nauth = file:x", "x.conf:2: auth: expected a path that begins with \"/\" after "
				  "\":\", not \"file:x\"\n");
	refuse("storage = /var/mail",
	       "x.conf:1: storage: expected \"\" or \"maildir:TEMPLATE\" or \"mbox:TEMPLATE\" or "
	       "\"dir:TEMPLATE\" or \"dir:BASE\", not \"/var/mail\"\n");
#define BEGINS ": storage: expected a template that begins with \"/\" or \"%h/\", not "
	refuse("storage = maildir:", "x.conf:1" BEGINS "\"maildir:\"\n");
	refuse("storage = maildir:%u", "x.conf:1" BEGINS "\"maildir:%u\"\n");
	refuse("storage = maildir:%hx", "x.conf:1" BEGINS "\"maildir:%hx\"\n");
#define ONLY ": storage: expected only %u, %d, %n, %h or %% in the template, not "
	refuse("storage = maildir:/%x", "x.conf:1" ONLY "\"maildir:/%x\"\n");
	refuse("storage = maildir:/%%%", "x.conf:1" ONLY "\"maildir:/%%%\"\n");
	refuse("storage = mbox:var", "x.conf:1" BEGINS "\"mbox:var\"\n");
	refuse("storage = dir:/%q", "x.conf:1" ONLY "\"dir:/%q\"\n");
	CU_ASSERT_EQUAL(load("storage = mbox:/var/mail/%u"), 0);
	CU_ASSERT_STRING_EQUAL(conf.servers[0].storage, "mbox:/var/mail/%u");
	CU_ASSERT_EQUAL(load("storage = dir:/var/spool/pop3"), 0);
	CU_ASSERT_STRING_EQUAL(conf.servers[0].storage, "dir:/var/spool/pop3");
	CU_ASSERT_EQUAL(load("storage = maildir:%h"), 0);
	CU_ASSERT_STRING_EQUAL(conf.servers[1].storage, "maildir:%h");
}

static void
test_many_faults(void)
{
	refuse("login_workers = 0\n"
	       "colour = blue\n"
	       "trace = maybe trace = no\n"
	       "port = 995\n"
	       "list = {1, 2,\n 3}\n"
	       "server a {\n"
	       "\tsocket = ssl\n"
	       "\tlog = stderr\n"
	       "\tsize = 5\n"
	       "\tport = 1 port = 2\n"
	       "\taddresses = {localhost}\n"
	       "\taddresses = {127.0.0.1, ::ffff:1.2.3.4, fe80::1%eth0}\n"
	       "}\n",
	       "x.conf:1: login_workers: expected a number from 1 to 64 (processes), not \"0\"\n"
	       "x.conf:2: unknown setting \"colour\": expected one of those in pop3d.conf(5)\n"
	       "x.conf:3: trace: expected yes or no, not \"maybe\"\n"
	       "x.conf:3: trace: expected once only\n"
	       "x.conf:4: port: expected only within server NAME { ... }\n"
	       "x.conf:5: unknown setting \"list\": expected one of those in pop3d.conf(5)\n"
	       "x.conf:8: socket: expected one of \"tls\", \"plain+stls\", \"plain\", not \"ssl\"\n"
	       "x.conf:9: log: expected only outside of server NAME { ... }\n"
	       "x.conf:10: unknown setting \"size\": expected one of those in pop3d.conf(5)\n"
	       "x.conf:11: port: expected once only\n"
	       "x.conf:12: addresses: expected \"*\" or a numeric IPv4 or IPv6 address, not "
	       "\"localhost\"\n"
	       "x.conf:13: addresses: expected once only\n"
	       "x.conf:13: addresses: expected \"*\" or a numeric IPv4 or IPv6 address, not "
	       "\"::ffff:1.2.3.4\"\n"
	       "x.conf:13: addresses: expected \"*\" or a numeric IPv4 or IPv6 address, not "
	       "\"fe80::1%eth0\"\n");
}

static void
test_fault_flood(void)
{
	char *text = malloc(40000);
	size_t i, lines = 0;

	CU_ASSERT_FATAL(text != NULL);
	for (i = 0; i < 1000; i++)
		snprintf(text + i * 10, 11, "unk%04zu=1\n", i);
	CU_ASSERT_EQUAL(load(text), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "x.conf:20: unknown setting \"unk0019\""));
	for (i = 0; i < 1000; i++)
		snprintf(text + i * 8, 9, "trace=x\n");
	CU_ASSERT_EQUAL(load(text), -1);
	for (i = 0; said[i] != '\0'; i++)
		lines += said[i] == '\n';
	CU_ASSERT_EQUAL(lines, CONF_FAULTS_MAX + 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "\nx.conf: and 1979 more faults\n"));
	free(text);
}

static void
test_syntax(void)
{
#define TOKEN "\": expected NAME = VALUE, NAME = {VALUE, VALUE} or server NAME { ... }\n"
	refuse("\n= 5", "x.conf:2: unexpected \"=" TOKEN);
	refuse("trace = }", "x.conf:1: unexpected \"}\": expected a value\n");
	refuse("trace = {yes}", "x.conf:1: unexpected \"{\": expected a value\n");
	refuse("trace yes", "x.conf:1: expected \"=\" after \"trace\"\n");
	refuse("blue {}", "x.conf:1: unknown setting \"blue\": expected one of those in "
			  "pop3d.conf(5)\n");
	refuse("trace =\n\n", "x.conf:3: unexpected end of file: expected a value\n");
	refuse("}", "x.conf:1: unexpected \"}\": expected no more than were opened\n");
	refuse("server {}", "x.conf:1: unexpected \"{\": expected a name after \"server\"\n");
	refuse("server a = 5",
	       "x.conf:1: unexpected \"=\": expected \"{\" after \"server\" and its name\n");
	refuse("server a {\nport = 1\nserver b {\n}\n}",
	       "x.conf:3: expected \"}\" before the next server\n"
	       "x.conf:5: unexpected \"}\": expected no more than were opened\n");
	refuse("server a {\nport = 1\nserver b {\n}\n",
	       "x.conf:3: expected \"}\" before the next server\n");
	refuse("server a {\nport = 1\n",
	       "x.conf:3: unexpected end of file: expected \"}\" for the \"{\" in line 1\n");
	refuse("{\n{{{{}}", "x.conf:1: unexpected \"{" TOKEN);
	refuse("\"server|port\" = 1", "x.conf:1: unknown setting \"server|port\": expected one of "
				      "those in pop3d.conf(5)\n");
	refuse("\"\" = 1", "x.conf:1: unknown setting \"\": expected one of those in "
			   "pop3d.conf(5)\n");
	refuse("trace = no yes\nserver a { port = {1 2} }\nlog = x",
	       "x.conf:1: unknown setting \"yes\": expected one of those in pop3d.conf(5)\n"
	       "x.conf:2: unexpected \"2\": expected \",\" or \"}\" after a value of the list\n"
	       "x.conf:3: log: expected one of \"syslog\", \"stderr\", not \"x\"\n");
}

static void
test_lexical(void)
{
	refuse("trace = no\nlog = \"syslog\nlog_level = \"info\n",
	       "x.conf:2: expected a closing quote (\") on the same line\n"
	       "x.conf:3: expected a closing quote (\") on the same line\n");
	refuse("log = 'a", "x.conf:1: expected a closing quote (') on the same line\n");
	refuse("log = \"a\\nb\"", "x.conf:1: expected \"\\\\\" or the closing quote after a "
				  "backslash\n");
	refuse("log = \"a\tb\"", "x.conf:1: expected a string without control characters\n");
	refuse("storage = \"maildir:${HOME}\"",
	       "x.conf:1: \"${\" may not stand in a string: nothing "
	       "is expanded in this file\n");
	refuse("log = ${HOME}", "x.conf:1: unexpected \"$\": expected quotes around the value\n");
	refuse("server a { addresses = {*} }",
	       "x.conf:1: unexpected \"*\": expected quotes around the value\n");
	refuse("trace = no;\n/* x */",
	       "x.conf:1: unexpected \";\": expected quotes around the value\n"
	       "x.conf:2: unexpected \"*\": expected quotes around the value\n"
	       "x.conf:2: unexpected \"*\": expected quotes around the value\n");
	refuse("// x", "x.conf:1: expected \"#\" before a comment, or quotes around a value with "
		       "\"//\"\n");
	refuse("log = a\xff",
	       "x.conf:1: unexpected character (octet 0xff): expected plain text, or "
	       "quotes around the value\n");
}

static void
test_nul(void)
{
	static const char bare[] = "trace = yes\n\0idle_timeout = 5\n";
	static const char quoted[] = "log = \"syslog\0\"";

	CU_ASSERT_EQUAL(load_octets(bare, sizeof(bare) - 1, &conf), -1);
	expect_said("x.conf:2: unexpected control character: expected a file of text\n");
	CU_ASSERT_EQUAL(load_octets(quoted, sizeof(quoted) - 1, &conf), -1);
	expect_said("x.conf:1: unexpected control character: expected a file of text\n");
}

static void
test_no_expansion(void)
{
	CU_ASSERT_EQUAL(load("tls_ciphers = \"~/$HOME # x // y /* z\"\t# 'comment\n"), 0);
	CU_ASSERT_STRING_EQUAL(conf.tls_ciphers, "~/$HOME # x // y /* z");
	CU_ASSERT_EQUAL(load("runtime_dir = \"~/x\""), -1);
}

static void
test_warning(void)
{
	CU_ASSERT_EQUAL(load("\nidle_timeout = 599"), 0);
	expect_said("x.conf:2: warning: idle_timeout: RFC 1939 expects at least 600 seconds\n");
	CU_ASSERT_EQUAL(conf.idle_timeout, 599);
	CU_ASSERT_EQUAL(load("idle_timeout = 600"), 0);
	expect_said("");
}

static void
test_shared(void)
{
	/* Also for sections that stand before, and for the built-in servers. */
	CU_ASSERT_EQUAL(load("server a { auth = \"pam:a\" }\n"
			     "server b { port = 1 }\n"
			     "auth = \"pam:x\" cleartext_login = never certificate = /c\n"),
			0);
	expect_said("");
	CU_ASSERT_STRING_EQUAL(conf.servers[0].auth, "pam:a");
	CU_ASSERT_STRING_EQUAL(conf.servers[1].auth, "pam:x");
	CU_ASSERT_EQUAL(conf.servers[0].cleartext_login, CLEARTEXT_NEVER);
	CU_ASSERT_STRING_EQUAL(conf.servers[1].certificate.path[0], "/c");
	CU_ASSERT_EQUAL(load("auth = \"pam:x\" certificate_key = /k"), 0);
	CU_ASSERT_EQUAL_FATAL(conf.nservers, 2);
	CU_ASSERT_STRING_EQUAL(conf.servers[0].auth, "pam:x");
	CU_ASSERT_STRING_EQUAL(conf.servers[1].certificate_key.path[0], "/k");
}

static void
test_server_faults(void)
{
	refuse(
	    "server a {\n}\nserver b { port = 1 }\nserver a {\nport = 2\n}\nserver b {}\n",
	    "x.conf:4: server: expected another name than \"a\", as in x.conf:1\n"
	    "x.conf:7: server: expected another name than \"b\", as in x.conf:3\n"
	    "x.conf:7: server \"b\": expected another address or port than \"*\" port 995, which "
	    "server \"a\" has\n");
	refuse("server 'a b' {}", "x.conf:1: server: expected a name of 1 to 64 letters, digits, "
				  "\"_\", \".\" or \"-\", not \"a b\"\n");
	refuse("server a {\naddresses = {}\n}", "x.conf:2: addresses: expected at least one\n");
	refuse("server a { port = 0 }",
	       "x.conf:1: port: expected a number from 1 to 65535, not \"0\"\n");
	refuse("server a { port = 65536 }",
	       "x.conf:1: port: expected a number from 1 to 65535, not \"65536\"\n");
}

static void
test_ports(void)
{
	char text[1024] = "server a { port = {";
	size_t i;

	CU_ASSERT_EQUAL(load("server a { port = {995, 1995} socket = tls }\n"
			     "server b { port = 110 }\n"
			     "server c { addresses = {::1, 127.0.0.1} port = {7} }"),
			0);
	expect_said("");
	CU_ASSERT_EQUAL(conf.servers[0].port.n, 2);
	CU_ASSERT_EQUAL(conf.servers[0].port.number[0], 995);
	CU_ASSERT_EQUAL(conf.servers[0].port.number[1], 1995);
	CU_ASSERT_EQUAL(conf.servers[1].port.n, 1);
	CU_ASSERT_EQUAL(conf.servers[2].port.number[0], 7);
	refuse("server a {\nport = {}\n}", "x.conf:2: port: expected at least one\n");
	refuse("server a {\nport = {110,\n110}\n}",
	       "x.conf:3: port: expected each port once, not \"110\"\n");
	refuse("server a {\nport = {110,\n0, 70000}\n}",
	       "x.conf:3: port: expected a number from 1 to 65535, not \"0\"\n"
	       "x.conf:3: port: expected a number from 1 to 65535, not \"70000\"\n");
	refuse("server a {\nport = {995, 110} }\nserver b {\nport = {1, 110} addresses = ::1 }",
	       "x.conf:3: server \"b\": expected another address or port than \"::1\" port 110, "
	       "which server \"a\" has\n");
	for (i = 1; i <= CONF_PORTS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu,\n", i);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "17 } }");
	refuse(text, "x.conf:17: port: expected at most 16 ports, not \"17\"\n");
}

static void
test_server_many(void)
{
	char text[8192];
	size_t i, used = 0;

	for (i = 0; i < CONF_SERVERS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "server s%zu {\nport = %zu }\n", i, i + 1);
	CU_ASSERT_EQUAL(load(text), 0);
	expect_said("");
	CU_ASSERT_EQUAL(conf.nservers, CONF_SERVERS_MAX);
	CU_ASSERT_EQUAL(conf.servers[63].port.number[0], 64);
	snprintf(text + used, sizeof(text) - used, "server x {\nport = 0}\nserver y { port = 0 }");
	refuse(text, "x.conf:129: expected at most 64 servers\n"
		     "x.conf:130: port: expected a number from 1 to 65535, not \"0\"\n"
		     "x.conf:131: port: expected a number from 1 to 65535, not \"0\"\n");
}

static void
test_address_many(void)
{
	char text[4096] = "server a { addresses = {";
	size_t i;

	for (i = 1; i <= CONF_ADDRESSES_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "127.0.0.%zu,\n", i);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "::1 } }");
	refuse(text, "x.conf:17: addresses: expected at most 16 addresses, not \"::1\"\n");
}

static void
test_certificate_needed(void)
{
	refuse("\ncertificate = \"\"", "x.conf:2: server \"pop3s\": expected a certificate, as it "
				       "offers TLS\n"
				       "x.conf:2: server \"pop3\": expected a certificate, as it "
				       "offers TLS\n");
	refuse("certificate_key = ''\nserver a { socket = plain }\nserver b { port = 2\n}",
	       "x.conf:3: server \"b\": expected a certificate_key, as it offers TLS\n");
	CU_ASSERT_EQUAL(load("certificate = '' server a { socket = plain port = 1 }"), 0);
}

static void
test_certificate_list(void)
{
	CU_ASSERT_EQUAL(load("certificate = {/a, /b} certificate_key = {\"/ka\", /kb}\n"
			     "server a { certificate = /c certificate_key = {/kc} }\n"
			     "server b { port = 1 }"),
			0);
	expect_said("");
	CU_ASSERT_EQUAL(conf.servers[0].certificate.n, 1);
	CU_ASSERT_STRING_EQUAL(conf.servers[0].certificate_key.path[0], "/kc");
	CU_ASSERT_EQUAL(conf.servers[1].certificate.n, 2);
	CU_ASSERT_STRING_EQUAL(conf.servers[1].certificate.path[1], "/b");
	CU_ASSERT_STRING_EQUAL(conf.servers[1].certificate_key.path[1], "/kb");
	round_trip();
	refuse("certificate = {/a, /b}\nserver a {\ncertificate_key = /k }",
	       "x.conf:2: server \"a\": expected a certificate_key for each certificate\n");
	refuse("\ncertificate = {/a, \"\"}\ncertificate_key = {/k, /l}\nserver a {\n}",
	       "x.conf:4: server \"a\": expected a certificate, as it offers TLS\n");
	refuse("certificate = {}\nserver a {}", "x.conf:1: certificate: expected at least one\n");
	refuse("certificate_key = {/1, /2}\nserver a {\ncertificate = {/1, /2, /3, /4, /5, /6, /7, "
	       "/8,\n/9} certificate_key = /k socket = plain }",
	       "x.conf:4: certificate: expected at most 8 paths, not \"/9\"\n");
	refuse(
	    "certificate = {/a, b} certificate_key = {/ka, /kb}",
	    "x.conf:1: certificate: expected \"\" or a path that begins with \"/\", not \"b\"\n");
	refuse("certificate = {/a, /b}",
	       "x.conf:1: server \"pop3s\": expected a certificate_key for each certificate\n"
	       "x.conf:1: server \"pop3\": expected a certificate_key for each certificate\n");
}

static void
test_units(void)
{
	static const struct {
		const char *text;
		const struct conf_unit *unit;
		uint32_t n; /* 0: refused */
	} cases[] = {
	    {"90", &conf_seconds, 90},
	    {"90s", &conf_seconds, 90},
	    {"10m", &conf_seconds, 600},
	    {"7d", &conf_seconds, 604800},
	    {"2h30m", &conf_seconds, 9000},
	    {"1d1s", &conf_seconds, 86401},
	    {"30m2h", &conf_seconds, 0},
	    {"1m1m", &conf_seconds, 0},
	    {"2h30", &conf_seconds, 0},
	    {"m", &conf_seconds, 0},
	    {"1 m", &conf_seconds, 0},
	    {"1ms", &conf_seconds, 0},
	    {"-1m", &conf_seconds, 0},
	    {"99999999999999999999d", &conf_seconds, 0},
	    {"999999999999999999d", &conf_seconds, 0},
	    {"20M", &conf_seconds, 0},
	    {"500ms", &conf_milliseconds, 500},
	    {"2s", &conf_milliseconds, 2000},
	    {"1s500ms", &conf_milliseconds, 1500},
	    {"1m", &conf_milliseconds, 60000},
	    {"64K", &conf_octets, 65536},
	    {"20M", &conf_octets, 20971520},
	    {"1G", &conf_octets, 1073741824},
	    {"5G", &conf_octets, 0},
	    {"20m", &conf_octets, 0},
	    {"20M", NULL, 0},
	};
	char expected[CONF_EXPECTED_SIZE];
	uint32_t n;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_setting s = {.name = "x",
					 .kind = CONF_NUMBER,
					 .size = sizeof(n),
					 .min = 1,
					 .max = UINT32_MAX,
					 .unit = cases[i].unit};

		n = 0;
		CU_ASSERT_EQUAL(conf_setting_store(&s, &n, cases[i].text, expected),
				cases[i].n != 0 ? 0 : -1);
		CU_ASSERT_EQUAL(n, cases[i].n);
	}
	CU_ASSERT_EQUAL(load("idle_timeout = 20m auth_failure_delay = 2s takeover = \"1h30m\""), 0);
	expect_said("");
	CU_ASSERT_EQUAL(conf.idle_timeout, 1200);
	CU_ASSERT_EQUAL(conf.auth_failure_delay, 2000);
	CU_ASSERT_EQUAL(conf.takeover, 5400);
	refuse("login_timeout = 2h", "x.conf:1: login_timeout: expected a number from 1 to 3600 "
				     "(seconds), not \"2h\"\n");
}

/* Does a line of the file begin with this text? */
static bool
file_has(const char *name, const char *prefix, const char *setting)
{
	const char *src = getenv("srcdir");
	char path[1024], line[512], begin[128];
	bool found = false;
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", src != NULL ? src : ".", name);
	snprintf(begin, sizeof(begin), "%s%s", prefix, setting);
	in = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	while (!found && fgets(line, sizeof(line), in) != NULL)
		found = strncmp(line, begin, strlen(begin)) == 0 &&
			strchr(" \n", line[strlen(begin)]) != NULL;
	fclose(in);
	return found;
}

/* Every setting stands in the manual and in the sample. */
static void
test_documented(void)
{
	const struct conf_setting *const tables[] = {conf_global_settings, conf_server_settings};

	for (size_t i = 0; i < 2; i++)
		for (const struct conf_setting *s = tables[i]; s->name != NULL; s++) {
			bool manual = file_has("etc/pop3d.conf.5", ".It Ic ", s->name);
			bool sample = file_has("etc/pop3d.conf", "#", s->name) ||
				      file_has("etc/pop3d.conf", "#\t", s->name);

			if (!manual || !sample)
				printf("%s: manual %d, sample %d\n", s->name, manual, sample);
			CU_ASSERT_TRUE(manual && sample);
		}
}

static void
test_did_you_mean(void)
{
	refuse("idle_timout = 5\nlogin_worker = 1\nsevrer a {\n}\nserver b { adresses = {::1} }",
	       "x.conf:1: unknown setting \"idle_timout\": expected one of those in pop3d.conf(5), "
	       "did you mean \"idle_timeout\"?\n"
	       "x.conf:2: unknown setting \"login_worker\": expected one of those in "
	       "pop3d.conf(5), did you mean \"login_workers\"?\n"
	       "x.conf:3: unknown setting \"sevrer\": expected one of those in pop3d.conf(5), did "
	       "you mean \"server\"?\n"
	       "x.conf:5: unknown setting \"adresses\": expected one of those in pop3d.conf(5), "
	       "did you mean \"addresses\"?\n");
	refuse("port_ = 1\nserver a { idle_timout = 5 }",
	       "x.conf:1: unknown setting \"port_\": expected one of those in pop3d.conf(5)\n"
	       "x.conf:2: unknown setting \"idle_timout\": expected one of those in "
	       "pop3d.conf(5)\n");
}

/* A byte order mark, line ends of other systems, and a file that is none of text. */
static void
test_text_forms(void)
{
	CU_ASSERT_EQUAL(
	    load("\xef\xbb\xbf# first\r\ntrace = yes\r\nserver a {\r\n\tport = 1\r\n}\r\n"), 0);
	expect_said("");
	CU_ASSERT_TRUE(conf.trace);
	CU_ASSERT_EQUAL(conf.servers[0].port.number[0], 1);
	refuse("trace = yes\r\n\r\nlog = x\r\n",
	       "x.conf:3: log: expected one of \"syslog\", \"stderr\", not \"x\"\n");
	refuse("\x7f"
	       "ELF\x02\x01\x01 a b c",
	       "x.conf:1: unexpected control character: expected a file of text\n");
}

static void
test_include(void)
{
	char dir[] = "/tmp/pop3d-conf-XXXXXX", expected[1024];
	static const struct {
		const char *name, *text;
	} files[] = {
	    {"main", "trace = yes\ninclude \"d/*.conf\" include 'none/*' include one\n"
		     "server a { include d/in-server }"},
	    {"one", "log = stderr\n"},
	    {"d/2.conf", "server late { port = 2 }"},
	    {"d/1.conf", "server early { port = 1 }\ninclude in-server\n"},
	    {"d/in-server", "apop = yes"},
	    {"faults", "include missing\ninclude d\ninclude bad include bad\nlog = x\n"},
	    {"bad", "\n\n}\ntrace = x"},
	    {"self", "include self"},
	    {"twice", "server a {}\ninclude second"},
	    {"second", "\nserver a {}"},
	};
	char path[128];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/d", dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		f = fopen(path, "w");
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		fputs(files[i].text, f);
		fclose(f);
	}
	snprintf(path, sizeof(path), "%s/main", dir);
	CU_ASSERT_EQUAL(load_path(path), 0);
	expect_said("");
	CU_ASSERT_EQUAL_FATAL(conf.nservers, 3);
	CU_ASSERT_STRING_EQUAL(conf.servers[0].name, "early");
	CU_ASSERT_STRING_EQUAL(conf.servers[1].name, "late");
	CU_ASSERT_TRUE(conf.servers[2].apop);
	CU_ASSERT_EQUAL(conf.log, CONF_LOG_STDERR);
	snprintf(path, sizeof(path), "%s/faults", dir);
	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(
	    expected, sizeof(expected),
	    "%1$s/faults:1: include \"%1$s/missing\": cannot open the configuration file: %2$s\n"
	    "%1$s/faults:2: include \"%1$s/d\": expected a regular file\n"
	    "%1$s/bad:3: unexpected \"}\": expected no more than were opened\n"
	    "%1$s/bad:4: trace: expected yes or no, not \"x\"\n"
	    "%1$s/bad:3: unexpected \"}\": expected no more than were opened\n"
	    "%1$s/bad:4: trace: expected once only\n"
	    "%1$s/bad:4: trace: expected yes or no, not \"x\"\n"
	    "%1$s/faults:4: log: expected one of \"syslog\", \"stderr\", not \"x\"\n",
	    dir, strerror(ENOENT));
	expect_said(expected);
	snprintf(path, sizeof(path), "%s/self", dir);
	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(expected, sizeof(expected), "%s:1: include: expected files at most 8 deep\n",
		 path);
	expect_said(expected);
	snprintf(path, sizeof(path), "%s/twice", dir);
	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(
	    expected, sizeof(expected),
	    "%1$s/second:2: server: expected another name than \"a\", as in %1$s/twice:1\n"
	    "%1$s/second:2: server \"a\": expected another address or port than \"*\" port 995, "
	    "which server \"a\" has\n",
	    dir);
	expect_said(expected);
	refuse("include x", "x.conf:1: include: expected only in a file\n");
	for (size_t i = sizeof(files) / sizeof(files[0]); i > 0; i--) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i - 1].name);
		CU_ASSERT_EQUAL(unlink(path), 0);
	}
	snprintf(path, sizeof(path), "%s/d", dir);
	rmdir(path);
	rmdir(dir);
}

static void
test_set_one(void)
{
	char expected[CONF_EXPECTED_SIZE];
	struct conf_server *s = &conf.servers[0];

	CU_ASSERT_EQUAL(load("certificate = {/a, /b} certificate_key = {/ka, /kb}"), 0);
	CU_ASSERT_EQUAL(conf_server_set(s, "certificate", "x", expected), -1);
	CU_ASSERT_EQUAL(s->certificate.n, 2);
	CU_ASSERT_EQUAL(conf_server_set(s, "certificate", "/x", expected), 0);
	CU_ASSERT_EQUAL(s->certificate.n, 1);
	CU_ASSERT_STRING_EQUAL(s->certificate.path[0], "/x");
	CU_ASSERT_EQUAL(conf_server_set(s, "addresses", "::1", expected), 0);
	CU_ASSERT_EQUAL(s->addresses.n, 1);
}

static void
test_overlap(void)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
	    {"127.0.0.1", "127.0.0.1", true},
	    {"127.0.0.1", "127.0.0.2", false},
	    {"\"*\"", "127.0.0.1", true},
	    {"::1", "\"*\"", true},
	    {"0.0.0.0", "127.0.0.1", true},
	    {"127.0.0.1", "0.0.0.0", true},
	    {"0.0.0.0", "::1", false},
	    {"0.0.0.0", "::", false},
	    {"::", "::1", true},
	    {"2001:db8::1", "2001:DB8:0::1", true},
	    {"::1", "127.0.0.1", false},
	};
	char text[256], expected[256];
	size_t i;
	int result;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "server a { addresses = {%s} }\nserver b {\naddresses = {%s} }\n",
			 cases[i].a, cases[i].b);
		result = load(text);
		CU_ASSERT_EQUAL(result, cases[i].overlap ? -1 : 0);
		snprintf(expected, sizeof(expected),
			 "x.conf:2: server \"b\": expected another address or port than \"%s\" "
			 "port 995, "
			 "which server \"a\" has\n",
			 conf.servers[1].addresses.address[0]);
		expect_said(cases[i].overlap ? expected : "");
	}
	CU_ASSERT_EQUAL(load("server a { port = 1 } server b { port = 2 }"), 0);
	refuse(
	    "server a { addresses = {::1, 127.0.0.1, 0.0.0.0} }",
	    "x.conf:1: server \"a\": expected another address or port than \"0.0.0.0\" port 995, "
	    "which server \"a\" has\n");
}

static void
test_files(void)
{
	char dir[] = "/tmp/pop3d-conf-XXXXXX", path[64], expected[256];
	FILE *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);

	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(expected, sizeof(expected), "%s: cannot open the configuration file: %s\n", path,
		 strerror(ENOENT));
	expect_said(expected);

	CU_ASSERT_EQUAL(load_path(dir), -1);
	snprintf(expected, sizeof(expected), "%s: expected a regular file\n", dir);
	expect_said(expected);

	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(expected, sizeof(expected), "%s: expected a regular file\n", path);
	expect_said(expected);
	unlink(path);

	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(load_path(path), 0); /* empty */
	conf_defaults(&other);
	CU_ASSERT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
	fputs("\ntrace = x\n", f);
	fflush(f);
	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(expected, sizeof(expected), "%s:2: trace: expected yes or no, not \"x\"\n", path);
	expect_said(expected);

	rewind(f);
	fprintf(f, "%*s", CONF_FILE_MAX, "\n");
	fflush(f);
	CU_ASSERT_EQUAL(load_path(path), 0);
	fputc('\n', f);
	fclose(f);
	CU_ASSERT_EQUAL(load_path(path), -1);
	snprintf(expected, sizeof(expected), "%s: expected a file of at most 1048576 octets\n",
		 path);
	expect_said(expected);
	unlink(path);
	rmdir(dir);
}

/* The sample says nothing but the defaults, in comments; without their "#" it says the same. */
static void
test_sample(void)
{
	const char *src = getenv("srcdir");
	char path[1024], line[512], *text = NULL;
	size_t len = 0;
	FILE *in, *out = open_memstream(&text, &len);

	snprintf(path, sizeof(path), "%s/etc/pop3d.conf", src != NULL ? src : ".");
	CU_ASSERT_EQUAL(load_path(path), 0);
	expect_said("");
	conf_defaults(&other);
	CU_ASSERT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
	in = fopen(path, "r");
	CU_ASSERT_FATAL(in != NULL && out != NULL);
	while (fgets(line, sizeof(line), in) != NULL)
		fputs(line[0] == '#' && line[1] != ' ' ? line + 1 : line, out);
	fclose(in);
	fclose(out);
	CU_ASSERT_EQUAL(load_octets(text, len, &conf), 0);
	expect_said("");
	/* Paths depend on where it was configured to be installed. */
	if (strcmp(SYSCONFDIR, "/etc") == 0)
		CU_ASSERT_EQUAL(memcmp(&conf, &other, sizeof(conf)), 0);
	free(text);
}

static const struct unit_test tests[] = {
    {"defaults", test_defaults},
    {"CON-01 default servers", test_default_servers},
    {"empty file", test_empty},
    {"print and load again", test_round_trip},
    {"print and load again, each setting", test_round_trip_each},
    {"networks", test_networks},
    {"print what differs from the defaults", test_print_changed},
    {"number ranges", test_ranges},
    {"wrong values", test_values},
    {"too long", test_too_long},
    {"auth and storage", test_specs},
    {"all faults of a file", test_many_faults},
    {"a flood of faults", test_fault_flood},
    {"syntax", test_syntax},
    {"wrong characters", test_lexical},
    {"NUL", test_nul},
    {"nothing is expanded", test_no_expansion},
    {"idle_timeout warning", test_warning},
    {"server settings at top level", test_shared},
    {"server faults", test_server_faults},
    {"several ports", test_ports},
    {"too many servers", test_server_many},
    {"too many addresses", test_address_many},
    {"certificate needed", test_certificate_needed},
    {"several certificates", test_certificate_list},
    {"durations and sizes", test_units},
    {"every setting is in the manual and the sample", test_documented},
    {"the setting that was meant", test_did_you_mean},
    {"byte order mark, CRLF, binary file", test_text_forms},
    {"included files", test_include},
    {"one setting of a server", test_set_one},
    {"overlapping listeners", test_overlap},
    {"missing, empty, large, no file", test_files},
    {"sample file", test_sample},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("conf", tests);
}
