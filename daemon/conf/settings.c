/*
 * The table of settings, and how a value of each kind is read.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "common/count.h"
#include "common/pop3.h"
#include "daemon/conf/conf_priv.h"

/* clang-format off */

static const struct conf_word cleartext_words[] = {
	{"never", CLEARTEXT_NEVER}, {"loopback", CLEARTEXT_LOOPBACK}, {"always", CLEARTEXT_ALWAYS},
	{NULL, 0}
};
static const struct conf_word socket_words[] = {
	{"tls", SOCKET_TLS}, {"plain+stls", SOCKET_STLS}, {"plain", SOCKET_PLAIN}, {NULL, 0}
};
static const struct conf_word log_words[] = {
	{"syslog", CONF_LOG_SYSLOG}, {"stderr", CONF_LOG_STDERR}, {NULL, 0}
};
static const struct conf_word unknown_name_words[] = {
	{"refuse", UNKNOWN_NAME_REFUSE}, {"first", UNKNOWN_NAME_FIRST}, {NULL, 0}
};
static const struct conf_word log_level_words[] = {
	{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE}, {"info", LOG_INFO},
	{"debug", LOG_DEBUG}, {NULL, 0}
};
static const struct conf_word missing_maildir_words[] = {
	{"empty", MISSING_EMPTY}, {"error", MISSING_ERROR}, {NULL, 0}
};
static const struct conf_word mbox_format_words[] = {
	{"mboxrd", MBOX_RD}, {"mboxo", MBOX_O}, {"rfc4155", MBOX_RFC4155}, {"mboxcl", MBOX_CL},
	{"mboxcl2", MBOX_CL2}, {NULL, 0}
};
static const struct conf_word mbox_split_words[] = {
	{"strict", MBOX_STRICT}, {"lax", MBOX_LAX}, {NULL, 0}
};
static const struct conf_word username_fold_words[] = {
	{"no", USERNAME_AS_IS}, {"lower", USERNAME_LOWER}, {NULL, 0}
};
static const struct conf_word sandbox_words[] = {
	{"off", SANDBOX_OFF}, {"log", SANDBOX_LOG}, {"on", SANDBOX_ON},
	{"require", SANDBOX_REQUIRE}, {NULL, 0}
};
static const struct conf_suffix second_suffixes[] = {
	{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {NULL, 0}
};
static const struct conf_suffix millisecond_suffixes[] = {
	{"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}
};
static const struct conf_suffix octet_suffixes[] = {
	{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {NULL, 0}
};
const struct conf_unit conf_seconds = {"seconds", second_suffixes};
const struct conf_unit conf_milliseconds = {"milliseconds", millisecond_suffixes};
const struct conf_unit conf_octets = {"octets", octet_suffixes};
static const struct conf_unit processes = {"processes", NULL};
static const struct conf_unit connections = {"connections", NULL};
static const struct conf_unit failures = {"failures", NULL};

static const struct conf_word off_words[] = {{"off", 0}, {NULL, 0}};
static const struct conf_word ps_titles_words[] = {
	{"full", PS_TITLES_FULL}, {"role", PS_TITLES_ROLE}, {NULL, 0}
};

/* clang-format on */

static_assert(sizeof(enum conf_socket) == sizeof(int), "words are stored as int");
static_assert(sizeof(enum sandbox_mode) == sizeof(int), "words are stored as int");
static_assert(sizeof(((struct conf_server *)0)->name) > CONF_NAME_MAX, "the longest name fits");

static bool
name_only(const char *name)
{
	return *name != '\0' &&
	       name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0';
}

const char *
conf_check_server_name(const char *name)
{
	return name_only(name) && strlen(name) <= CONF_NAME_MAX
		   ? NULL
		   : "a name of 1 to 64 letters, digits, \"_\", \".\" or \"-\"";
}

static const char *
check_account(const char *name)
{
	return name_only(name) && *name != '-' ? NULL : "the name of a system account";
}

static const char *
check_account_or_none(const char *name)
{
	return name[0] == '\0' ? NULL : check_account(name);
}

static const char *
check_path(const char *path)
{
	return *path == '/' ? NULL : "a path that begins with \"/\"";
}

static const char *
check_path_or_none(const char *path)
{
	return *path == '\0' || *path == '/' ? NULL : "\"\" or a path that begins with \"/\"";
}

static const char *
check_auth(const char *spec)
{
	if (*spec == '\0' || strncmp(spec, "file:/", 6) == 0 ||
	    strncmp(spec, "checkpassword:/", 15) == 0)
		return NULL;
	/* PAM makes a file name of it. */
	if (strncmp(spec, "pam:", 4) == 0 && name_only(spec + 4) && spec[4] != '.')
		return NULL;
	return "\"\", \"pam:SERVICE\" (SERVICE of letters, digits, \"_\", \".\" and \"-\", not "
	       "beginning with \".\"), \"file:/PATH\" or \"checkpassword:/PROGRAM\"";
}

static const char *
check_username_domain(const char *domain)
{
	return name_only(domain) && *domain != '.' && *domain != '-' && strchr(domain, '_') == NULL
		   ? NULL
		   : "\"" USERNAME_DOMAIN_KEEP "\", \"" USERNAME_DOMAIN_STRIP "\" or a domain";
}

static const char *
check_storage(const char *spec)
{
	static const char *const stores[] = {"maildir:", "mbox:", "dir:"};
	const char *template = NULL, *p;

	if (*spec == '\0')
		return NULL;
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (strncmp(spec, stores[i], strlen(stores[i])) == 0)
			template = spec + strlen(stores[i]);
	if (template == NULL)
		return "\"\", \"maildir:TEMPLATE\", \"mbox:TEMPLATE\", \"dir:TEMPLATE\" or "
		       "\"dir:BASE\"";
	if (*template != '/' &&
	    !(strncmp(template, "%h", 2) == 0 && (template[2] == '/' || template[2] == '\0')))
		return "a template that begins with \"/\" or \"%h/\"";
	for (p = template; (p = strchr(p, '%')) != NULL; p += 2)
		if (p[1] == '\0' || strchr("udnh%", p[1]) == NULL)
			return "only %u, %d, %n, %h or %% in the template";
	return NULL;
}

/* clang-format off */

#define GLOBAL(field) offsetof(struct conf, field), sizeof(((struct conf *)0)->field)
#define SERVER(field) offsetof(struct conf_server, field), sizeof(((struct conf_server *)0)->field)

#define NUMBER(field, def, min, max, unit) \
	{#field, CONF_NUMBER, def, GLOBAL(field), min, max, unit, NULL, NULL, false}
#define NUMBER_OR_OFF(field, def, min, max, unit) \
	{#field, CONF_NUMBER, def, GLOBAL(field), min, max, unit, off_words, NULL, false}
#define WORD(field, def, words) \
	{#field, CONF_WORD, def, GLOBAL(field), 0, 0, NULL, words, NULL, false}
#define FLAG(field, def) \
	{#field, CONF_FLAG, def, GLOBAL(field), 0, 0, NULL, NULL, NULL, false}
#define TEXT(field, def, max, check) \
	{#field, CONF_TEXT, def, GLOBAL(field), 0, max, NULL, NULL, check, false}

const struct conf_setting conf_global_settings[] = {
	NUMBER(login_workers, "2", 1, 64, &processes),
	NUMBER(worker_connections, "4096", 1, 100000, &connections),
	NUMBER(auth_children, "4", 1, 256, &processes),
	NUMBER(session_spares, "4", 1, 256, &processes),
	TEXT(login_user, "_pop3d", 0, check_account),
	TEXT(auth_user, "_pop3auth", 0, check_account),
	/* The address of a local socket below it has 107 octets. */
	TEXT(runtime_dir, "/run/pop3d", 95, check_path),
	TEXT(state_dir, "/var/lib/pop3d", 95, check_path),
	TEXT(control_group, "", 0, check_account_or_none),
	NUMBER(max_connections, "2000", 1, 100000, &connections),
	NUMBER(max_connections_per_address, "50", 1, 100000, &connections),
	NUMBER(login_timeout, "60", 1, 3600, &conf_seconds),
	NUMBER(handshake_timeout, "30", 1, 600, &conf_seconds),
	NUMBER(idle_timeout, "600", 1, 86400, &conf_seconds),
	NUMBER(shutdown_timeout, "30", 0, 3600, &conf_seconds),
	NUMBER(max_auth_failures, "6", 1, 100, &failures),
	NUMBER(auth_deadline, "30", 1, 600, &conf_seconds),
	NUMBER(auth_failure_delay, "1000", 0, 60000, &conf_milliseconds),
	NUMBER(auth_failure_window, "300", 1, 86400, &conf_seconds),
	NUMBER(auth_failures_per_user, "20", 0, 1000000, &failures),
	NUMBER(auth_failures_per_source, "100", 0, 1000000, &failures),
	NUMBER(minimum_uid, "1000", 0, UINT32_MAX - 1, NULL),
	FLAG(pam_session, "no"),
	WORD(missing_maildir, "empty", missing_maildir_words),
	NUMBER_OR_OFF(takeover, "off", 1, 86400, &conf_seconds),
	TEXT(tls_ciphers, "", 0, NULL),
	WORD(tls_unknown_name, "refuse", unknown_name_words),
	NUMBER(tls_ticket_lifetime, "7200", 0, 604800, &conf_seconds),
	WORD(sandbox, "on", sandbox_words),
	NUMBER(landlock_abi_max, "0", 0, 1000, NULL),
	WORD(ps_titles, "role", ps_titles_words),
	WORD(log, "syslog", log_words),
	WORD(log_level, "info", log_level_words),
	FLAG(trace, "no"),
	{.name = NULL}
};

const struct conf_setting conf_server_settings[] = {
	{"addresses", CONF_ADDRESSES, "*", SERVER(addresses), 0, 0, NULL, NULL, NULL, false},
	{"port", CONF_PORTS, NULL, SERVER(ports), 1, 65535, NULL, NULL, NULL, false},
	{"socket", CONF_WORD, "tls", SERVER(socket), 0, 0, NULL, socket_words, NULL, false},
	{"cleartext_login", CONF_WORD, "loopback", SERVER(cleartext_login), 0, 0, NULL,
	    cleartext_words, NULL, true},
	{"auth", CONF_TEXT, "pam:pop3d", SERVER(auth), 0, 0, NULL, NULL, check_auth, true},
	{"username_domain", CONF_TEXT, USERNAME_DOMAIN_KEEP, SERVER(username_domain), 0, 0, NULL,
	    NULL, check_username_domain, true},
	{"username_fold", CONF_WORD, "no", SERVER(username_fold), 0, 0, NULL, username_fold_words,
	    NULL, true},
	{"apop", CONF_FLAG, "no", SERVER(apop), 0, 0, NULL, NULL, NULL, true},
	{"storage", CONF_TEXT, "maildir:%h/Maildir", SERVER(storage), 0, 0, NULL, NULL,
	    check_storage, true},
	{"mbox_format", CONF_WORD, "mboxrd", SERVER(mbox_format), 0, 0, NULL, mbox_format_words,
	    NULL, true},
	{"mbox_split", CONF_WORD, "strict", SERVER(mbox_split), 0, 0, NULL, mbox_split_words, NULL,
	    true},
	{"mbox_journal", CONF_TEXT, "", SERVER(mbox_journal), 0, 0, NULL, NULL, check_path_or_none,
	    true},
	{"certificate", CONF_PATHS, SYSCONFDIR "/pop3d/cert.pem", SERVER(certificate), 0, 0, NULL,
	    NULL, check_path_or_none, true},
	{"certificate_key", CONF_PATHS, SYSCONFDIR "/pop3d/key.pem", SERVER(certificate_key), 0, 0,
	    NULL, NULL, check_path_or_none, true},
	{.name = NULL}
};

/* clang-format on */

const struct conf_setting *
conf_setting_find(const struct conf_setting *table, const char *name, size_t *index)
{
	size_t i;

	for (i = 0; table[i].name != NULL; i++) {
		if (strcmp(table[i].name, name) == 0) {
			*index = i;
			return &table[i];
		}
	}
	return NULL;
}

/* A part as "2h" at *text, of a unit further down than *suffix; moves both on.  0 or -1. */
static int
part_parse(const char **text, const struct conf_suffix **suffix, uint64_t *sum)
{
	size_t digits = strspn(*text, "0123456789"), letters = 0;
	const struct conf_suffix *s = *suffix;
	uint64_t n;

	if (pop3_number(*text, digits, &n) == -1)
		return -1;
	letters = strcspn(*text + digits, "0123456789");
	for (; s->suffix != NULL; s++)
		if (strlen(s->suffix) == letters && memcmp(s->suffix, *text + digits, letters) == 0)
			break;
	if (s->suffix == NULL || n > (UINT64_MAX - *sum) / s->factor)
		return -1;
	*sum += n * s->factor;
	*text += digits + letters;
	*suffix = s + 1;
	return 0;
}

/* "2h30m" or a plain number, in the unit (NULL: plain).  0 or -1. */
static int
quantity_parse(const char *text, const struct conf_unit *unit, uint64_t *n)
{
	const struct conf_suffix *suffix = unit != NULL ? unit->suffixes : NULL;

	if (pop3_number(text, strlen(text), n) == 0)
		return 0;
	if (suffix == NULL || *text == '\0')
		return -1;
	for (*n = 0; *text != '\0';)
		if (part_parse(&text, &suffix, n) == -1)
			return -1;
	return 0;
}

/* A number within the setting's range.  0, or -1 with what was expected. */
static int
number_parse(const struct conf_setting *s, const char *value, uint32_t *number,
	     char expected[CONF_EXPECTED_SIZE])
{
	uint64_t n;

	if (s->words != NULL && strcmp(value, s->words->word) == 0) {
		n = (uint64_t)s->words->value;
	} else if (quantity_parse(value, s->unit, &n) == -1 || n < s->min || n > s->max) {
		snprintf(expected, CONF_EXPECTED_SIZE, "a number from %u to %u%s%s%s%s%s%s", s->min,
			 s->max, s->unit != NULL ? " (" : "", s->unit != NULL ? s->unit->name : "",
			 s->unit != NULL ? ")" : "", s->words != NULL ? " or \"" : "",
			 s->words != NULL ? s->words->word : "", s->words != NULL ? "\"" : "");
		return -1;
	}
	*number = (uint32_t)n;
	return 0;
}

static int
store_number(const struct conf_setting *s, void *base, const char *value,
	     char expected[CONF_EXPECTED_SIZE])
{
	uint32_t n;

	if (number_parse(s, value, &n, expected) == -1)
		return -1;
	memcpy((char *)base + s->offset, &n, sizeof(n));
	return 0;
}

static int
store_word(const struct conf_setting *s, void *base, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	const struct conf_word *w;
	size_t used;

	for (w = s->words; w->word != NULL; w++) {
		if (strcmp(w->word, value) == 0) {
			memcpy((char *)base + s->offset, &w->value, sizeof(w->value));
			return 0;
		}
	}
	snprintf(expected, CONF_EXPECTED_SIZE, "one of");
	for (w = s->words; w->word != NULL; w++) {
		used = strlen(expected);
		snprintf(expected + used, CONF_EXPECTED_SIZE - used, "%s \"%s\"",
			 w == s->words ? "" : ",", w->word);
	}
	return -1;
}

static int
store_flag(const struct conf_setting *s, void *base, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		for (size_t yes = 0; yes < 2; yes++)
			if (strcasecmp(value, words[i][yes]) == 0) {
				memcpy((char *)base + s->offset, &(bool){yes == 1}, sizeof(bool));
				return 0;
			}
	snprintf(expected, CONF_EXPECTED_SIZE, "yes or no");
	return -1;
}

/* A text that the setting accepts, of at most so many octets.  0, or -1 with what was expected. */
static int
text_check(const struct conf_setting *s, const char *value, size_t max,
	   char expected[CONF_EXPECTED_SIZE])
{
	const char *why = s->check != NULL ? s->check(value) : NULL;

	if (why != NULL) {
		snprintf(expected, CONF_EXPECTED_SIZE, "%s", why);
		return -1;
	}
	if (strlen(value) > max) {
		snprintf(expected, CONF_EXPECTED_SIZE, "at most %zu octets", max);
		return -1;
	}
	return 0;
}

static int
store_text(const struct conf_setting *s, void *base, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	if (text_check(s, value, s->max != 0 ? s->max : s->size - 1, expected) == -1)
		return -1;
	memset((char *)base + s->offset, 0, s->size);
	memcpy((char *)base + s->offset, value, strlen(value));
	return 0;
}

/* One element of the list. */
static int
store_path(const struct conf_setting *s, void *base, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	struct conf_paths *paths = (struct conf_paths *)((char *)base + s->offset);

	if (text_check(s, value, sizeof(paths->path[0]) - 1, expected) == -1)
		return -1;
	if (paths->n == CONF_PATHS_MAX) {
		snprintf(expected, CONF_EXPECTED_SIZE, "at most %d paths", CONF_PATHS_MAX);
		return -1;
	}
	memcpy(paths->path[paths->n++], value, strlen(value));
	return 0;
}

/* Write the one form in which an address is kept.  0, or -1: none. */
static int
address_normalize(const char *value, char out[MSG_WORD_SIZE])
{
	struct in6_addr octets;
	int family = strchr(value, ':') != NULL ? AF_INET6 : AF_INET;

	memset(out, 0, MSG_WORD_SIZE);
	if (strcmp(value, "*") == 0) {
		out[0] = '*';
		return 0;
	}
	if (inet_pton(family, value, &octets) != 1)
		return -1;
	/* IPv6 sockets serve IPv6 only, so a mapped address would never see a client. */
	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&octets))
		return -1;
	return inet_ntop(family, &octets, out, MSG_WORD_SIZE) != NULL ? 0 : -1;
}

/* One element of the list; base is the server. */
static int
store_address(const struct conf_setting *s, void *base, const char *value,
	      char expected[CONF_EXPECTED_SIZE])
{
	struct conf_server *server = base;

	(void)s;
	if (server->naddresses == CONF_ADDRESSES_MAX) {
		snprintf(expected, CONF_EXPECTED_SIZE, "at most %d addresses", CONF_ADDRESSES_MAX);
		return -1;
	}
	if (address_normalize(value, server->addresses[server->naddresses]) < 0) {
		snprintf(expected, CONF_EXPECTED_SIZE, "\"*\" or a numeric IPv4 or IPv6 address");
		return -1;
	}
	server->naddresses++;
	return 0;
}

/* One element of the list; base is the server. */
static int
store_port(const struct conf_setting *s, void *base, const char *value,
	   char expected[CONF_EXPECTED_SIZE])
{
	struct conf_server *server = base;
	uint32_t port;

	if (number_parse(s, value, &port, expected) == -1)
		return -1;
	for (size_t i = 0; i < server->nports; i++)
		if (server->ports[i] == port) {
			snprintf(expected, CONF_EXPECTED_SIZE, "each port once");
			return -1;
		}
	if (server->nports == CONF_PORTS_MAX) {
		snprintf(expected, CONF_EXPECTED_SIZE, "at most %d ports", CONF_PORTS_MAX);
		return -1;
	}
	server->ports[server->nports++] = port;
	return 0;
}

int
conf_setting_store(const struct conf_setting *s, void *base, const char *value,
		   char expected[CONF_EXPECTED_SIZE])
{
	static int (*const store[CONF_KINDS])(const struct conf_setting *, void *, const char *,
					      char[CONF_EXPECTED_SIZE]) = {
	    [CONF_NUMBER] = store_number,     [CONF_WORD] = store_word,
	    [CONF_FLAG] = store_flag,	      [CONF_TEXT] = store_text,
	    [CONF_ADDRESSES] = store_address, [CONF_PORTS] = store_port,
	    [CONF_PATHS] = store_path,
	};

	return store[s->kind](s, base, value, expected);
}

bool
conf_setting_is_list(const struct conf_setting *s)
{
	return s->kind == CONF_ADDRESSES || s->kind == CONF_PORTS || s->kind == CONF_PATHS;
}

void
conf_setting_clear(const struct conf_setting *s, void *base)
{
	struct conf_server *server = base;

	memset((char *)base + s->offset, 0, s->size);
	if (s->kind == CONF_ADDRESSES)
		server->naddresses = 0;
	else if (s->kind == CONF_PORTS)
		server->nports = 0;
}

void
conf_settings_default(const struct conf_setting *table, void *base)
{
	char expected[CONF_EXPECTED_SIZE];
	const struct conf_setting *s;

	for (s = table; s->name != NULL; s++)
		if (s->def != NULL)
			(void)conf_setting_store(s, base, s->def, expected);
}

int
conf_server_set(struct conf_server *s, const char *name, const char *value,
		char expected[CONF_EXPECTED_SIZE])
{
	size_t index;
	const struct conf_setting *setting = conf_setting_find(conf_server_settings, name, &index);
	struct conf_server kept = *s;

	if (conf_setting_is_list(setting))
		conf_setting_clear(setting, s);
	if (conf_setting_store(setting, s, value, expected) == 0)
		return 0;
	*s = kept;
	return -1;
}
