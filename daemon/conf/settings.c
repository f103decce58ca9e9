/*
 * The table of settings: what each is, and the checks of texts.
 */
#include "config.h"

#include <assert.h>
#include <string.h>
#include <syslog.h>

#include "common/backends.h"
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
static const struct conf_unit sessions = {"sessions", NULL};
static const struct conf_unit mebibytes = {"MiB", NULL};
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
	return backends_fault(backends_auth, spec);
}

static const char *
check_storage(const char *spec)
{
	return backends_fault(backends_storage, spec);
}

static const char *
check_username_domain(const char *domain)
{
	return name_only(domain) && *domain != '.' && *domain != '-' && strchr(domain, '_') == NULL
		   ? NULL
		   : "\"" USERNAME_DOMAIN_KEEP "\", \"" USERNAME_DOMAIN_STRIP "\" or a domain";
}

/* clang-format off */

/* A row: a member of struct IN, what it is, its default as the file would have it, and what else
 * there is to say of it. */
#define ROW(in, field, its_kind, its_default, ...)                                                 \
	{.name = #field, .kind = its_kind, .def = its_default, .offset = offsetof(struct in, field),   \
	    .size = sizeof(((struct in *)0)->field), __VA_ARGS__}
#define GLOBAL(...) ROW(conf, __VA_ARGS__)
#define SERVER(...) ROW(conf_server, __VA_ARGS__)
#define RANGE(from, to, its_unit) .min = from, .max = to, .unit = its_unit
#define LIST(of, member, its_noun)                                                                 \
	.most = sizeof(((struct of *)0)->member) / sizeof(((struct of *)0)->member[0]),                \
	.each = sizeof(((struct of *)0)->member[0]), .noun = its_noun

const struct conf_setting conf_global_settings[] = {
	GLOBAL(login_workers, CONF_NUMBER, "2", RANGE(1, 64, &processes)),
	GLOBAL(worker_connections, CONF_NUMBER, "4096", RANGE(1, 100000, &connections)),
	GLOBAL(auth_children, CONF_NUMBER, "4", RANGE(1, 256, &processes)),
	GLOBAL(session_spares, CONF_NUMBER, "4", RANGE(1, 256, &processes)),
	GLOBAL(login_user, CONF_TEXT, "_pop3d", .check = check_account),
	GLOBAL(key_user, CONF_TEXT, "_pop3key", .check = check_account),
	GLOBAL(auth_user, CONF_TEXT, "_pop3auth", .check = check_account),
	/* The address of a local socket below it has 107 octets. */
	GLOBAL(runtime_dir, CONF_TEXT, "/run/pop3d", .max = 95, .check = check_path),
	GLOBAL(state_dir, CONF_TEXT, "/var/lib/pop3d", .max = 95, .check = check_path),
	GLOBAL(control_group, CONF_TEXT, "", .check = check_account_or_none),
	GLOBAL(metrics_group, CONF_TEXT, "", .check = check_account_or_none),
	GLOBAL(max_connections, CONF_NUMBER, "2000", RANGE(1, 100000, &connections)),
	GLOBAL(max_connections_per_address, CONF_NUMBER, "50", RANGE(1, 100000, &connections)),
	GLOBAL(max_connections_per_network, CONF_NUMBER, "500", RANGE(1, 100000, &connections)),
	GLOBAL(max_connections_per_site, CONF_NUMBER, "1000", RANGE(1, 100000, &connections)),
	GLOBAL(trusted_networks, CONF_NETWORK, "", LIST(conf_networks, network, "networks")),
	GLOBAL(max_connections_before_login, CONF_NUMBER, "500", RANGE(1, 100000, &connections)),
	GLOBAL(session_memory, CONF_NUMBER, "256", RANGE(16, 1048576, &mebibytes),
	    .words = off_words),
	GLOBAL(login_timeout, CONF_NUMBER, "60", RANGE(1, 3600, &conf_seconds)),
	GLOBAL(password_timeout, CONF_NUMBER, "300", RANGE(1, 3600, &conf_seconds)),
	GLOBAL(handshake_timeout, CONF_NUMBER, "30", RANGE(1, 600, &conf_seconds)),
	GLOBAL(idle_timeout, CONF_NUMBER, "600", RANGE(1, 86400, &conf_seconds),
	    .advised = 600, .advice = "RFC 1939 expects at least 600 seconds"),
	GLOBAL(shutdown_timeout, CONF_NUMBER, "30", RANGE(0, 3600, &conf_seconds)),
	GLOBAL(max_auth_failures, CONF_NUMBER, "6", RANGE(1, 100, &failures)),
	GLOBAL(auth_deadline, CONF_NUMBER, "30", RANGE(1, 600, &conf_seconds)),
	GLOBAL(auth_failure_delay, CONF_NUMBER, "1000", RANGE(0, 60000, &conf_milliseconds)),
	GLOBAL(auth_failure_window, CONF_NUMBER, "300", RANGE(1, 86400, &conf_seconds)),
	GLOBAL(auth_failures_per_user, CONF_NUMBER, "20", RANGE(0, 1000000, &failures)),
	GLOBAL(auth_failures_per_source, CONF_NUMBER, "100", RANGE(0, 1000000, &failures)),
	GLOBAL(auth_account_delay, CONF_NUMBER, "5000", RANGE(0, 60000, &conf_milliseconds)),
	GLOBAL(minimum_uid, CONF_NUMBER, "1000", RANGE(0, UINT32_MAX - 1, NULL)),
	GLOBAL(pam_session, CONF_FLAG, "no"),
	GLOBAL(missing_maildir, CONF_WORD, "empty", .words = missing_maildir_words),
	GLOBAL(takeover, CONF_NUMBER, "off", RANGE(1, 86400, &conf_seconds), .words = off_words),
	GLOBAL(last_logins, CONF_NUMBER, "365d", RANGE(1, 315360000, &conf_seconds),
	    .words = off_words),
	GLOBAL(tls_ciphers, CONF_TEXT, ""),
	GLOBAL(tls_unknown_name, CONF_WORD, "refuse", .words = unknown_name_words),
	GLOBAL(sandbox, CONF_WORD, "on", .words = sandbox_words),
	GLOBAL(landlock_abi_max, CONF_NUMBER, "0", RANGE(0, 1000, NULL)),
	GLOBAL(ps_titles, CONF_WORD, "role", .words = ps_titles_words),
	GLOBAL(log, CONF_WORD, "syslog", .words = log_words),
	GLOBAL(log_level, CONF_WORD, "info", .words = log_level_words),
	GLOBAL(trace, CONF_FLAG, "no"),
	{.name = NULL}
};

const struct conf_setting conf_server_settings[] = {
	SERVER(addresses, CONF_ADDRESS, "*", LIST(conf_addresses, address, "addresses")),
	SERVER(port, CONF_NUMBER, NULL, RANGE(1, 65535, NULL), LIST(conf_ports, number, "ports"),
	    .once = true),
	SERVER(socket, CONF_WORD, "tls", .words = socket_words),
	SERVER(cleartext_login, CONF_WORD, "loopback", .words = cleartext_words, .shared = true),
	SERVER(allow, CONF_NETWORK, "", LIST(conf_networks, network, "networks"), .shared = true),
	SERVER(deny, CONF_NETWORK, "", LIST(conf_networks, network, "networks"), .shared = true),
	SERVER(proxy_from, CONF_NETWORK, "", LIST(conf_networks, network, "networks"),
	    .shared = true),
	SERVER(proxy_tls, CONF_FLAG, "no", .shared = true),
	SERVER(proxy_loopback, CONF_FLAG, "no", .shared = true),
	SERVER(auth, CONF_TEXT, "pam:pop3d", .check = check_auth, .shared = true),
	SERVER(username_domain, CONF_TEXT, USERNAME_DOMAIN_KEEP, .check = check_username_domain,
	    .shared = true),
	SERVER(username_fold, CONF_WORD, "no", .words = username_fold_words, .shared = true),
	SERVER(apop, CONF_FLAG, "no", .shared = true),
	SERVER(storage, CONF_TEXT, "maildir:%h/Maildir", .check = check_storage, .shared = true),
	SERVER(max_sessions_per_user, CONF_NUMBER, "100", RANGE(1, 100000, &sessions),
	    .words = off_words, .shared = true),
	SERVER(mbox_format, CONF_WORD, "mboxrd", .words = mbox_format_words, .shared = true),
	SERVER(mbox_split, CONF_WORD, "strict", .words = mbox_split_words, .shared = true),
	SERVER(mbox_journal, CONF_TEXT, "", .check = check_path_or_none, .shared = true),
	SERVER(certificate, CONF_TEXT, SYSCONFDIR "/pop3d/cert.pem",
	    LIST(conf_paths, path, "paths"), .check = check_path_or_none, .shared = true),
	SERVER(certificate_key, CONF_TEXT, SYSCONFDIR "/pop3d/key.pem",
	    LIST(conf_paths, path, "paths"), .check = check_path_or_none, .shared = true),
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
		memset((char *)s + setting->offset, 0, setting->size);
	if (conf_setting_store(setting, s, value, expected) == 0)
		return 0;
	*s = kept;
	return -1;
}
