/*
 * Dovecot's settings as ours, from the output of doveconf(1) -n of 2.3 and 2.4.
 *
 * Sources: Dovecot's documentation, "Dovecot settings" of 2.3 and of 2.4, and "Upgrading Dovecot
 * from 2.3 to 2.4" for the names that changed.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "daemon/ctl/adopt.h"

/* ---- values ---- */

/* "2 secs", "500 msecs" as milliseconds. */
static bool
to_milliseconds(const char *value, char *out)
{
	static const struct {
		const char *unit;
		unsigned factor;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	end += strspn(end, " ");
	for (size_t i = 0; end != value && n <= 60000 && i < COUNT_OF(units); i++)
		if (strncmp(end, units[i].unit, strlen(units[i].unit)) == 0)
			return snprintf(out, ADOPT_VALUE_SIZE, "%lu", n * units[i].factor) > 0;
	return false;
}

/* "a b, c" as {"a", "b", "c"}. */
static bool
to_list(const char *value, char *out)
{
	size_t n = 0;

	if (strpbrk(value, "\"\\") != NULL)
		return false;
	n += (size_t)snprintf(out, ADOPT_VALUE_SIZE, "{");
	while (*(value += strspn(value, " ,")) != '\0') {
		int len = (int)strcspn(value, " ,");

		if (n + (size_t)len + 8 > ADOPT_VALUE_SIZE)
			return false;
		n += (size_t)snprintf(out + n, ADOPT_VALUE_SIZE - n, "%s\"%.*s\"",
				      n > 1 ? ", " : "", len, value);
		value += len;
	}
	(void)snprintf(out + n, ADOPT_VALUE_SIZE - n, "}");
	return n > 1;
}

/* ---- what needs no more than its own value ---- */

#define IMAP  "imap*", NULL, NULL, NULL
#define QUOTA "quota is kept by what delivers; pop3d keeps an existing maildirsize true"
#define PACKED                                                                                     \
	"nothing is to be set: files compressed with gzip or zstd (their names may end in \"Z\") " \
	"are inflated; of another form they are refused with the reason"
#define LATER                                                                                      \
	"nothing is to be set: \"pop3ctl adopt uids dovecot SERVER\" takes the unique-ids over"

static const struct adopt_rule rules[] = {
    /* seen to as a whole, below */
    {"mail_location", NULL, NULL, NULL},
    {"mail_driver", NULL, NULL, NULL},
    {"mail_path", NULL, NULL, NULL},
    {"mail_inbox_path", NULL, NULL, NULL},
    {"passdb*", NULL, NULL, NULL},
    {"protocols*", NULL, NULL, NULL},
    {"listen", NULL, NULL, NULL},
    {"ssl", NULL, NULL, NULL},
    {"disable_plaintext_auth", NULL, NULL, NULL},
    {"auth_allow_cleartext", NULL, NULL, NULL},
    {"auth_username_format", NULL, NULL, NULL},
    {"service pop3-login/inet_listener *", NULL, NULL, NULL},
    {"ssl_cert", NULL, NULL, NULL},
    {"ssl_key", NULL, NULL, NULL},
    {"ssl_server_cert_file", NULL, NULL, NULL},
    {"ssl_server_key_file", NULL, NULL, NULL},
    {"local_name */*cert*", NULL, NULL, NULL},
    {"local_name */*key*", NULL, NULL, NULL},
    {"haproxy_trusted_networks", NULL, NULL, NULL},
    /* one by one */
    {"ssl_cipher_list", "tls_ciphers", adopt_text, "write tls_ciphers by hand"},
    {"auth_failure_delay", "auth_failure_delay", to_milliseconds,
     "write auth_failure_delay by hand, in milliseconds; at most 60000"},
    {"first_valid_uid", "minimum_uid", adopt_number, "write minimum_uid by hand"},
    {"protocol pop3/mail_max_userip_connections", "max_sessions_per_user", adopt_number,
     "max_sessions_per_user counts the sessions of a user from all addresses together"},
    {"mail_max_userip_connections", NULL, NULL,
     "max_sessions_per_user counts the sessions of a user from all addresses together; its "
     "default is 100"},
    {"service pop3-login/*", NULL, NULL,
     "pop3d has max_connections (2000) and max_connections_before_login (500)"},
    {"service pop3/*", NULL, NULL, "pop3d has max_connections (2000) and session_memory (256 MiB)"},
    {"login_trusted_networks", NULL, NULL,
     "it lets these hosts tell other client addresses; pop3d believes load balancers in "
     "proxy_from alone. For a webmail see trusted_networks"},
    /* POP3 */
    {"*pop3_uidl_format", NULL, NULL, LATER},
    {"*pop3_save_uidl", NULL, NULL, LATER},
    {"*pop3_reuse_xuidl", NULL, NULL, "the field X-UIDL of messages is not looked at"},
    {"*pop3_lock_session", NULL, NULL, "nothing is to be set: there is one session a mailbox"},
    {"*pop3_no_flag_updates", NULL, NULL, "nothing is to be set: pop3d changes no flags"},
    {"*pop3_enable_last", NULL, NULL, "there is no command LAST"},
    {"*pop3_delete_type", NULL, NULL, "DELE and QUIT remove the message's file"},
    {"*pop3_deleted_flag", NULL, NULL, "DELE and QUIT remove the message's file"},
    {"*pop3_fast_size_lookups", NULL, NULL, "nothing is to be set: sizes are exact and kept"},
    {"*pop3_client_workarounds", NULL, NULL, "nothing is to be set: see pop3d.conf(5)"},
    {"*pop3_logout_format", NULL, NULL, "pop3d(8) has the fields of its line session-end"},
    {"*login_log_format*", NULL, NULL, "pop3d(8) has the fields of its line login"},
    {"*login_greeting", NULL, NULL, "the greeting is fixed"},
    /* accounts */
    {"userdb*", NULL, NULL,
     "uid, gid, home and mailbox come with the account: of the host by PAM, or of a user file"},
    {"mail_uid", NULL, NULL, "uid and gid come with the account; in a user file all may have one"},
    {"mail_gid", NULL, NULL, "uid and gid come with the account; in a user file all may have one"},
    {"mail_home", NULL, NULL, "the home directory comes with the account"},
    {"auth_mechanisms*", NULL, NULL,
     "PLAIN and LOGIN are there; APOP by the setting apop, of users of a user file; others are "
     "not"},
    {"auth_cache*", NULL, NULL, "each login is checked anew"},
    {"auth_verbose*", NULL, NULL, "each failed login is in the log with its reason"},
    {"auth_debug*", NULL, NULL, "see log_level and trace"},
    {"auth_*", NULL, NULL, "pop3d has nothing like it"},
    {"last_valid_uid", NULL, NULL, "there is no upper limit"},
    /* mail */
    {"mail_plugins*", NULL, NULL, NULL},
    {"*zlib_save*", NULL, NULL, PACKED},
    {"mail_compress*", NULL, NULL, PACKED},
    {"*mail_crypt*", NULL, NULL, "encrypted messages cannot be sent: decrypt them first"},
    {"crypt_*", NULL, NULL, "encrypted messages cannot be sent: decrypt them first"},
    {"*quota*", NULL, NULL, QUOTA},
    {"mail_fsync", NULL, NULL, "nothing is to be set: deletions are synced before QUIT's answer"},
    {"*acl*", NULL, NULL, "only the user's own INBOX is served"},
    {"namespace*", NULL, NULL, NULL},
    {"mailbox *", NULL, NULL, NULL},
    {"mail_*", NULL, NULL, NULL},
    {"maildir_*", NULL, NULL, NULL},
    {"mbox_*_locks*", NULL, NULL, "an mbox is locked by fcntl and a lock file"},
    /* TLS */
    {"ssl_min_protocol", NULL, NULL, "TLS 1.2 and 1.3"},
    {"*ssl_client_ca*", NULL, NULL, NULL},
    {"*ssl_dh*", NULL, NULL, "nothing is to be set: key exchange is by elliptic curves"},
    {"*ssl_server_dh_file", NULL, NULL, "nothing is to be set: key exchange is by elliptic curves"},
    {"*ssl_ca", NULL, NULL, "certificates of clients are not asked for"},
    {"ssl_server_request_client_cert", NULL, NULL, "certificates of clients are not asked for"},
    {"*ssl_verify_client_cert", NULL, NULL, "certificates of clients are not asked for"},
    {"*ssl_*", NULL, NULL, "there is no such choice: see pop3d.conf(5), TLS"},
    /* log, and what is of the other protocols and of Dovecot's processes */
    {"*log_path", NULL, NULL, "pop3d logs to syslog, facility mail, or with log = stderr there"},
    {"syslog_facility", NULL, NULL, "pop3d logs to the facility mail"},
    {"dovecot_*_version", NULL, NULL, NULL},
    {"plugin/*", NULL, NULL, NULL},
    {"service *", NULL, NULL, NULL},
    {"protocol pop3/*", NULL, NULL, "pop3d has nothing like it"},
    {"protocol *", NULL, NULL, NULL},
    {"managesieve*", NULL, NULL, NULL},
    {"sieve*", NULL, NULL, NULL},
    {"lmtp_*", NULL, NULL, NULL},
    {"lda_*", NULL, NULL, NULL},
    {"postmaster_address", NULL, NULL, NULL},
    {"hostname", NULL, NULL, NULL},
    {"*_dir", NULL, NULL, NULL},
    {"default_*", NULL, NULL, NULL},
    {"verbose_proctitle", NULL, NULL, "see ps_titles"},
    {"event_exporter*", NULL, NULL, NULL},
    {"metric*", NULL, NULL, NULL},
    {"dict*", NULL, NULL, NULL},
    {"fts_*", NULL, NULL, NULL},
    {IMAP},
    {NULL, NULL, NULL, NULL}};

/* ---- where the mail is ---- */

/* Their variables, longest first, and ours. */
static const struct {
	const char *theirs, *ours;
} variables[] = {
    {"%{user | username | lower}", "%n"},
    {"%{user | domain | lower}", "%d"},
    {"%{user | username}", "%n"},
    {"%{user|username}", "%n"},
    {"%{user | domain}", "%d"},
    {"%{user|domain}", "%d"},
    {"%{user | lower}", "%u"},
    {"%{user}", "%u"},
    {"%{username}", "%n"},
    {"%{domain}", "%d"},
    {"%{home}", "%h"},
    {"%Lu", "%u"},
    {"%Ln", "%n"},
    {"%Ld", "%d"},
    {"%u", "%u"},
    {"%n", "%n"},
    {"%d", "%d"},
    {"%h", "%h"},
    {"%%", "%%"},
};

/* A path of theirs as one of ours.  False: it has what we have not. */
static bool
path_convert(const char *path, size_t len, char *out, size_t cap)
{
	const char *end = path + len;
	size_t n = 0;

	if (len > 0 && path[0] == '~' && (len == 1 || path[1] == '/')) {
		n = (size_t)snprintf(out, cap, "%%h");
		path++;
	}
	while (path < end && n + 3 < cap) {
		size_t i = 0, used = 1;

		while (*path == '%' && i < COUNT_OF(variables) &&
		       strncmp(path, variables[i].theirs, strlen(variables[i].theirs)) != 0)
			i++;
		if (*path == '%' && i == COUNT_OF(variables))
			return false;
		if (*path == '%') {
			used = strlen(variables[i].theirs);
			n += (size_t)snprintf(out + n, cap - n, "%s", variables[i].ours);
		} else
			out[n++] = *path;
		path += used;
	}
	out[n] = '\0';
	return path == end && strpbrk(out, "\"\\") == NULL &&
	       (out[0] == '/' || strncmp(out, "%h", 2) == 0);
}

/* Where an INBOX is, from what 2.3 says in one setting and 2.4 in three. */
struct location {
	const char *driver, *path, *inbox; /* NULL: not said */
	size_t driver_len, path_len, inbox_len;
	bool control; /* dovecot-uidlist is elsewhere */
};

static void
location_option(struct location *l, const char *option, size_t len)
{
	static const char inbox[] = "INBOX=", control[] = "CONTROL=";

	if (strncmp(option, inbox, strlen(inbox)) == 0) {
		l->inbox = option + strlen(inbox);
		l->inbox_len = len - strlen(inbox);
	}
	l->control |= strncmp(option, control, strlen(control)) == 0;
}

/* "maildir:~/Maildir:INBOX=/var/mail/%u:LAYOUT=fs" */
static void
location_parse(const char *text, struct location *l)
{
	size_t len = strcspn(text, ":");

	l->driver = text;
	l->driver_len = len;
	for (bool first = true; text[len] == ':'; first = false) {
		text += len + 1;
		len = strcspn(text, ":");
		if (first) {
			l->path = text;
			l->path_len = len;
		} else
			location_option(l, text, len);
	}
}

static bool
driver_is(const struct location *l, const char *driver)
{
	return l->driver_len == strlen(driver) && memcmp(l->driver, driver, l->driver_len) == 0;
}

static void
storage_refuse(struct adopt *a, const char *what, const char *words)
{
	adopt_note(a, what, words);
	a->unmoved++;
}

static void
storage_write(struct adopt *a, const struct location *l, const char *what)
{
	char path[ADOPT_VALUE_SIZE / 2], storage[ADOPT_VALUE_SIZE];
	bool mbox = driver_is(l, "mbox"), plain = l->inbox == NULL;
	const char *at = plain ? l->path : l->inbox;
	size_t len = plain ? l->path_len : l->inbox_len;

	if (!mbox && !driver_is(l, "maildir"))
		storage_refuse(a, what,
			       "pop3d reads Maildirs and mbox files alone: bring the mail into one "
			       "with \"doveadm backup -u USER maildir:PATH\", for each user");
	else if (at == NULL || !path_convert(at, len, path, sizeof(path)))
		storage_refuse(a, what,
			       "no storage can be made of it, which has %h, %u, %n and %d: write "
			       "it by hand");
	else {
		(void)snprintf(storage, sizeof(storage), "\"%s:%s%s\"", mbox ? "mbox" : "maildir",
			       path, mbox && plain ? "/inbox" : "");
		adopt_set(a, "storage", storage, what);
	}
	if (l->control)
		adopt_note(a, what,
			   "dovecot-uidlist lies in the CONTROL directory: copy it into the "
			   "Maildir of each user before the unique-ids are taken over");
}

static void
storage_make(struct adopt *a)
{
	const char *location = adopt_get(a, "mail_location"), *driver = adopt_get(a, "mail_driver");
	struct location l = {.path = adopt_get(a, "mail_path"),
			     .inbox = adopt_get(a, "mail_inbox_path"),
			     .control = adopt_get(a, "mail_control_path") != NULL};
	char what[ADOPT_VALUE_SIZE];

	if (location != NULL && location[0] != '\0') {
		l = (struct location){.control = false};
		location_parse(location, &l);
		(void)snprintf(what, sizeof(what), "mail_location = %.900s", location);
	} else if (driver != NULL) {
		l.driver = driver;
		l.driver_len = strlen(driver);
		l.path_len = l.path != NULL ? strlen(l.path) : 0;
		l.inbox_len = l.inbox != NULL ? strlen(l.inbox) : 0;
		(void)snprintf(what, sizeof(what),
			       "mail_driver = %.100s, mail_path = %.300s, mail_inbox_path = %.300s",
			       driver, l.path != NULL ? l.path : "",
			       l.inbox != NULL ? l.inbox : "");
	} else {
		storage_refuse(a, "mail_location is not set",
			       "Dovecot looks for each user's mail in several places; write "
			       "storage by hand: the default is \"maildir:%h/Maildir\"");
		return;
	}
	storage_write(a, &l, what);
}

/* ---- who may log in ---- */

#define BY_PAM                                                                                     \
	"pop3d asks no such data base itself: by a PAM module (libpam-ldapd, libpam-mysql, "       \
	"libpam-pgsql, sssd), a program with the checkpassword interface, or a user file"

static const struct passdb {
	const char *driver;
	const char *ours;  /* with what their arguments name behind it; NULL: none */
	const char *words; /* NULL: nothing */
} passdbs[] = {
    {"pam", "pam:", NULL},
    {"shadow", "pam:pop3d", NULL},
    {"passwd", "pam:pop3d", NULL},
    {"checkpassword", "checkpassword:", "look at its words in pop3d.conf(5), CHECKPASSWORD"},
    {"passwd-file", "file:/etc/pop3d/users",
     "the user file is made of theirs by: awk -F: -v OFS=: '{print $1, $2, $3, $4, $6}' "},
    {"sql", NULL, BY_PAM},
    {"ldap", NULL, BY_PAM},
    {"*", NULL, "pop3d has no such back end; see auth in pop3d.conf(5)"},
};

static const struct passdb *
passdb_find(const char *driver)
{
	size_t i = 0;

	while (i + 1 < COUNT_OF(passdbs) && strcmp(passdbs[i].driver, driver) != 0)
		i++;
	return &passdbs[i];
}

/* The last word of args, which is no option: a service, a program, a file.  2.4 has settings. */
static const char *
passdb_argument(const struct adopt *a, const struct adopt_setting *s, bool pam)
{
	const char *args = adopt_get_in(a, s->section, "passdb/args"), *last;

	if (args == NULL && pam)
		args = adopt_get_in(a, s->section, "passdb */service_name");
	if (args == NULL)
		args = adopt_get_in(a, s->section, "passdb */passwd_file_path");
	if (args == NULL)
		return pam ? "dovecot" : "";
	last = strrchr(args, ' ');
	last = last != NULL ? last + 1 : args;
	if (pam && (last[0] == '\0' || strchr(last, '=') != NULL))
		return "dovecot";
	return pam && (strcmp(last, "*") == 0 || strchr(last, '%') != NULL) ? "pop3" : last;
}

static void
passdb_write(struct adopt *a, const struct adopt_setting *s, const char *driver, bool *done)
{
	const struct passdb *p = passdb_find(driver);
	const char *argument = passdb_argument(a, s, strcmp(driver, "pam") == 0);
	char what[ADOPT_VALUE_SIZE], value[ADOPT_VALUE_SIZE], words[ADOPT_VALUE_SIZE],
	    text[ADOPT_VALUE_SIZE];
	bool takes = p->ours != NULL && p->ours[strlen(p->ours) - 1] == ':';

	(void)snprintf(what, sizeof(what), "passdb %.100s %.500s", driver, argument);
	if (p->ours != NULL && !*done) {
		(void)snprintf(text, sizeof(text), "%s%.900s", p->ours, takes ? argument : "");
		if (adopt_text(text, value))
			adopt_set(a, "auth", value, what);
	} else if (p->ours != NULL)
		adopt_note(a, what, "a server of pop3d asks one back end: the first");
	if (p->words != NULL) {
		(void)snprintf(words, sizeof(words), "%s%.500s", p->words,
			       p->ours != NULL && !takes ? argument : "");
		adopt_note(a, what, words);
	}
	*done |= p->ours != NULL;
}

static void
auth_make(struct adopt *a)
{
	bool done = false;

	for (size_t i = 0; i < a->n; i++) {
		const struct adopt_setting *s = &a->settings[i];
		const char *driver;

		if (strcmp(s->value, "{") != 0 || strncmp(s->name, "passdb", 6) != 0 ||
		    strchr(s->name, '/') != NULL)
			continue;
		driver = adopt_get_in(a, s->section, "passdb*/driver");
		if (driver == NULL)
			driver = s->name[6] == ' ' ? s->name + 7 : "";
		passdb_write(a, s, driver, &done);
	}
	if (!done)
		adopt_note(a, "no passdb that can be carried over", "write auth by hand");
}

/* auth_username_format, and what we have for it. */
static const struct {
	const char *format, *domain, *fold;
} formats[] = {
    {"%Lu", NULL, "\"lower\""},
    {"%{user | lower}", NULL, "\"lower\""},
    {"%{user|lower}", NULL, "\"lower\""},
    {"%u", NULL, NULL},
    {"%{user}", NULL, NULL},
    {"", NULL, NULL},
    {"%n", "\"strip\"", NULL},
    {"%{user | username}", "\"strip\"", NULL},
    {"%{user|username}", "\"strip\"", NULL},
    {"%Ln", "\"strip\"", "\"lower\""},
    {"%{user | username | lower}", "\"strip\"", "\"lower\""},
};

static void
names_make(struct adopt *a)
{
	const char *format = adopt_get(a, "auth_username_format");
	bool given = format != NULL;
	char what[ADOPT_VALUE_SIZE];
	size_t i = 0;

	format = given ? format : "%Lu";
	(void)snprintf(what, sizeof(what), "auth_username_format = %.500s%s", format,
		       given ? "" : " (the default)");
	while (i < COUNT_OF(formats) && strcmp(formats[i].format, format) != 0)
		i++;
	if (i == COUNT_OF(formats)) {
		adopt_note(a, what, "see username_domain and username_fold");
		return;
	}
	if (formats[i].domain != NULL)
		adopt_set(a, "username_domain", formats[i].domain, what);
	if (formats[i].fold != NULL)
		adopt_set(a, "username_fold", formats[i].fold, what);
}

/* Passwords without TLS; loopback is trusted by both.  "ssl = required" goes before a setting that
 * allows them. */
static void
cleartext_make(struct adopt *a)
{
	static const char disabled[] = "disable_plaintext_auth", allowed[] = "auth_allow_cleartext";
	const char *tls = adopt_get(a, "ssl"), *name, *value;
	bool required = tls != NULL && strcmp(tls, "required") == 0;
	char what[ADOPT_VALUE_SIZE];

	name = required ? "ssl" : adopt_get(a, disabled) != NULL ? disabled : allowed;
	if ((value = adopt_get(a, name)) == NULL)
		return;
	(void)snprintf(what, sizeof(what), "%s = %.500s", name, value);
	adopt_set(a, "cleartext_login",
		  !required && adopt_is_yes(value) == (name == allowed) ? "\"always\""
									: "\"loopback\"",
		  what);
}

/* ---- certificates and servers ---- */

/* The paths of all settings of that name, those outside of sections first, as a list. */
static void
paths_make(struct adopt *a, const char *ours, const char *const names[2])
{
	char list[4 * ADOPT_VALUE_SIZE] = "", value[ADOPT_VALUE_SIZE], what[ADOPT_VALUE_SIZE];
	size_t count = 0;

	for (size_t i = 0; i < a->n; i++) {
		const struct adopt_setting *s = &a->settings[i];
		const char *slash = strrchr(s->name, '/'), *name = slash ? slash + 1 : s->name;

		if ((strcmp(name, names[0]) != 0 && strcmp(name, names[1]) != 0) ||
		    (slash != NULL && strncmp(s->name, "local_name ", 11) != 0))
			continue;
		(void)snprintf(what, sizeof(what), "%.200s = %.500s", s->name, s->value);
		if (!adopt_path(s->value, value))
			adopt_note(a, what, "no path: write it by hand (doveconf -P shows keys)");
		else if (strlen(list) + strlen(value) + 4 < sizeof(list)) {
			strcat(strcat(list, count++ > 0 ? ", " : ""), value);
		}
	}
	if (count == 0)
		return;
	fprintf(a->set, "# %s%s\n%s = %s%s%s\n\n", names[0],
		count > 1
		    ? ", also of local_name sections; the first serves clients that give no name"
		    : "",
		ours, count > 1 ? "{" : "", list, count > 1 ? "}" : "");
}

static bool
is_loopback(const char *list)
{
	return strstr(list, "127.") != NULL || strstr(list, "::1") != NULL;
}

/* What a listener of theirs is without a word in the configuration. */
struct listener {
	const char *name;
	const char *port;
	bool tls;
};

static void
server_addresses(struct adopt *a, const char *addresses)
{
	char list[ADOPT_VALUE_SIZE];

	if (strchr(addresses, '*') != NULL && strstr(addresses, "::") == NULL)
		addresses = "0.0.0.0";
	else if (strchr(addresses, '*') != NULL)
		addresses = "*";
	if (to_list(addresses, list))
		fprintf(a->servers, "\taddresses = %s\n", list);
}

static void
server_balancers(struct adopt *a)
{
	const char *networks = adopt_get(a, "haproxy_trusted_networks");
	char list[ADOPT_VALUE_SIZE];

	if (networks != NULL && to_list(networks, list))
		fprintf(a->servers, "\tproxy_from = %s\n%s", list,
			is_loopback(networks) ? "\tproxy_loopback = yes\n" : "");
	else
		adopt_note(a, "haproxy = yes", "write proxy_from by hand");
}

static void
server_make(struct adopt *a, const struct listener *l)
{
	char name[ADOPT_NAME_SIZE];
	const char *tls = adopt_get(a, "ssl"), *port = NULL, *listen = NULL, *ssl = NULL,
		   *haproxy = NULL;
	bool no_tls = tls != NULL && strcmp(tls, "no") == 0, is_tls;

	(void)snprintf(name, sizeof(name), "service pop3-login/inet_listener %s", l->name);
	for (size_t i = 0; i < a->n; i++) {
		const struct adopt_setting *s = &a->settings[i];

		if (strcmp(s->name, name) != 0)
			continue;
		port = adopt_get_in(a, s->section, "*/port");
		ssl = adopt_get_in(a, s->section, "*/ssl");
		haproxy = adopt_get_in(a, s->section, "*/haproxy");
		listen = adopt_get_in(a, s->section, "*/address");
		listen = listen != NULL ? listen : adopt_get_in(a, s->section, "*/listen");
	}
	is_tls = ssl != NULL ? adopt_is_yes(ssl) : l->tls;
	if ((is_tls && no_tls) || (port != NULL && strcmp(port, "0") == 0))
		return;
	listen = listen != NULL ? listen : adopt_get(a, "listen");
	fprintf(a->servers, "server %s {\n", l->name);
	server_addresses(a, listen != NULL ? listen : "*, ::");
	fprintf(a->servers, "\tport = %s\n\tsocket = \"%s\"\n", port != NULL ? port : l->port,
		is_tls	 ? "tls"
		: no_tls ? "plain"
			 : "plain+stls");
	if (adopt_is_yes(haproxy))
		server_balancers(a);
	fprintf(a->servers, "}\n");
}

static void
servers_make(struct adopt *a)
{
	static const struct listener listeners[] = {{"pop3s", "995", true}, {"pop3", "110", false}};
	const char *protocols = adopt_get(a, "protocols");
	bool pop3 =
	    adopt_is_yes(adopt_get(a, "protocols/pop3")) ||
	    (protocols != NULL && strstr(protocols, "pop3") != NULL && strcmp(protocols, "{") != 0);

	if (!pop3)
		adopt_note(a, "protocols",
			   "Dovecot serves no POP3 here; the ports are its defaults");
	for (size_t i = 0; i < COUNT_OF(listeners); i++)
		server_make(a, &listeners[i]);
}

void
adopt_dovecot_write(struct adopt *a)
{
	static const char *const certificate[] = {"ssl_cert", "ssl_server_cert_file"},
				 *const key[] = {"ssl_key", "ssl_server_key_file"};

	paths_make(a, "certificate", certificate);
	paths_make(a, "certificate_key", key);
	storage_make(a);
	auth_make(a);
	names_make(a);
	cleartext_make(a);
	adopt_apply(a, rules);
	servers_make(a);
}
