/*
 * Courier's settings as ours, from its files in /etc/courier: assignments of the shell.
 *
 * Sources: the comments of its files pop3d, pop3d-ssl and authdaemonrc; courierpop3d(8).
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "daemon/ctl/adopt.h"

#define CONFIG_DIR "/etc/courier"

/* ---- reading ---- */

static const char *
given(const char *value, const char *otherwise)
{
	return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* NAME=VALUE, NAME="VALUE" */
static int
line_take(struct adopt *a, char *text, void *arg)
{
	char name[PATH_MAX], *equals = strchr(text, '='), *value, *end;

	if (text[0] == '#' || equals == NULL)
		return 0;
	*equals = '\0';
	value = equals + 1;
	if (value[0] == '"' || value[0] == '\'') {
		if ((end = strrchr(value + 1, value[0])) == NULL)
			return -1;
		*end = '\0';
		value++;
	}
	(void)snprintf(name, sizeof(name), "%s/%s", (const char *)arg, text);
	return adopt_add(a, name, value, 0);
}

/* 0, or -1: said. */
static int
file_read(struct adopt *a, const char *dir, const char *name, bool needed)
{
	char path[PATH_MAX], copy[64];
	FILE *in;
	int status;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)snprintf(copy, sizeof(copy), "%s", name);
	if ((in = fopen(path, "re")) == NULL) {
		if (!needed && errno == ENOENT)
			return 0;
		fprintf(stderr, "pop3ctl: %s: %s\n", path, strerror(errno));
		return -1;
	}
	status = adopt_lines(a, in, line_take, copy);
	if (status == -1)
		fprintf(stderr, "pop3ctl: %s is no file of Courier's settings\n", path);
	fclose(in);
	return status;
}

int
adopt_courier_read(struct adopt *a, const char *config)
{
	const char *dir = config != NULL ? config : CONFIG_DIR;

	if (asprintf(&a->title, "Courier in %s", dir) == -1)
		return -1;
	return file_read(a, dir, "pop3d", true) == 0 &&
		       file_read(a, dir, "pop3d-ssl", false) == 0 &&
		       file_read(a, dir, "authdaemonrc", false) == 0
		   ? 0
		   : -1;
}

char *
adopt_courier_maildir(const char *config)
{
	struct adopt a = {0};
	const char *dir = config != NULL ? config : CONFIG_DIR, *value = NULL;
	char *path = NULL;

	if (file_read(&a, dir, "pop3d", config != NULL) == 0) {
		for (size_t i = 0; i < a.n; i++) /* the last one counts, as in the shell */
			if (strcmp(a.settings[i].name, "pop3d/MAILDIRPATH") == 0)
				value = a.settings[i].value;
		value = given(value, "Maildir");
		if (strpbrk(value, "$`\\\"") == NULL)
			path = strdup(value);
		else
			fprintf(stderr, "pop3ctl: %s/pop3d: MAILDIRPATH is no plain path: %s\n",
				dir, value);
	}
	adopt_free(&a);
	return path;
}

/* ---- what needs no more than its own value ---- */

static bool
to_storage(const char *value, char *out)
{
	return value[0] != '\0' && strpbrk(value, "$\"\\%") == NULL &&
	       snprintf(out, ADOPT_VALUE_SIZE, "\"maildir:%s%s\"", value[0] == '/' ? "" : "%h/",
			value) < ADOPT_VALUE_SIZE &&
	       value[0] != '/';
}

static bool
to_cleartext(const char *value, char *out)
{
	return adopt_is_yes(value) && adopt_text("never", out);
}

static const struct adopt_rule rules[] = {
    /* seen to as a whole, below */
    {"pop3d*/*ADDRESS", NULL, NULL, NULL},
    {"pop3d*/*PORT", NULL, NULL, NULL},
    {"pop3d*/POP3D*START", NULL, NULL, NULL},
    {"pop3d-ssl/POP3_STARTTLS", NULL, NULL, NULL},
    {"authdaemonrc/authmodulelist", NULL, NULL, NULL},
    {"authdaemonrc/*", NULL, NULL, NULL},
    /* one by one */
    {"pop3d/MAXDAEMONS", "max_connections", adopt_number, "write max_connections by hand"},
    {"pop3d/MAXPERIP", "max_connections_per_address", adopt_number,
     "write max_connections_per_address by hand"},
    {"pop3d/MAXPERC", "max_connections_per_network", adopt_number,
     "write max_connections_per_network by hand"},
    {"pop3d*/MAILDIRPATH", "storage", to_storage, "write storage by hand"},
    {"pop3d-ssl/TLS_CERTFILE", NULL, NULL, NULL},
    {"pop3d-ssl/TLS_PRIVATE_KEYFILE", NULL, NULL, NULL},
    {"pop3d-ssl/POP3_TLS_REQUIRED", "cleartext_login", to_cleartext, NULL},
    {"pop3d-ssl/TLS_CIPHER_LIST", "tls_ciphers", adopt_text, "write tls_ciphers by hand"},
    {"pop3d-ssl/TLS_VERIFYPEER", NULL, NULL, "certificates of clients are not asked for"},
    {"pop3d-ssl/TLS_TRUSTCERTS", NULL, NULL, "certificates of clients are not asked for"},
    {"pop3d-ssl/TLS_DHPARAMS", NULL, NULL,
     "nothing is to be set: key exchange is by elliptic curves"},
    {"pop3d-ssl/TLS*PROTOCOL", NULL, NULL, "TLS 1.2 and 1.3"},
    {"pop3d-ssl/TLS_CACHE*", NULL, NULL, "there are no TLS sessions to be resumed"},
    {"pop3d-ssl/*", NULL, NULL, NULL},
    {"pop3d/POP3AUTH*", NULL, NULL,
     "PLAIN and LOGIN are there; APOP by the setting apop, of users of a user file; others are "
     "not"},
    {"pop3d/POP3_PROXY*", NULL, NULL, "pop3d passes no client on to another host"},
    {"pop3d/DEBUG_LOGIN", NULL, NULL, "see log_level and trace"},
    {"pop3d/POP3_LOG_DELETIONS", NULL, NULL, "each deletion is in the log"},
    {"pop3d/UIDL*", NULL, NULL,
     "nothing is to be set: \"pop3ctl adopt uids courier SERVER\" takes the unique-ids over"},
    {"pop3d/PIDFILE", NULL, NULL, NULL},
    {"pop3d/TCPDOPTS", NULL, NULL, NULL},
    {"pop3d/LOGGEROPTS", NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL}};

/* ---- who may log in ---- */

#define BY_PAM                                                                                     \
	"pop3d asks no such data base itself: by a PAM module, a program with the checkpassword "  \
	"interface, or a user file"

static const struct module {
	const char *theirs, *ours, *words;
} modules[] = {
    {"authpam", "\"pam:pop3\"", NULL}, /* Courier's name of the service */
    {"authshadow", "\"pam:pop3d\"", NULL},
    {"authpwd", "\"pam:pop3d\"", NULL},
    {"authuserdb", NULL,
     "its users are moved by hand to a user file: pop3ctl user add, and the hash of systempw"},
    {"authldap", NULL, BY_PAM},
    {"authmysql", NULL, BY_PAM},
    {"authpgsql", NULL, BY_PAM},
    {"authsqlite", NULL, BY_PAM},
    {"authpipe", NULL, BY_PAM},
    {"authcustom", NULL, BY_PAM},
};

static void
module_write(struct adopt *a, const char *word, size_t len, bool *done)
{
	for (size_t i = 0; i < COUNT_OF(modules); i++) {
		const struct module *m = &modules[i];

		if (strlen(m->theirs) != len || memcmp(m->theirs, word, len) != 0)
			continue;
		if (m->ours == NULL)
			adopt_note(a, m->theirs, m->words);
		else if (*done)
			adopt_note(a, m->theirs, "a server of pop3d asks one back end: the first");
		else
			adopt_set(a, "auth", m->ours, m->theirs);
		*done |= m->ours != NULL;
	}
}

static void
auth_make(struct adopt *a)
{
	const char *list = adopt_get(a, "authdaemonrc/authmodulelist");
	bool done = false;

	for (size_t len; list != NULL && *list != '\0'; list += len) {
		list += strspn(list, " \t");
		len = strcspn(list, " \t");
		module_write(a, list, len, &done);
	}
	if (!done)
		adopt_note(a, "no module of authdaemonrc that can be carried over",
			   "write auth by hand");
}

/* ---- certificates and servers ---- */

static void
certificates_make(struct adopt *a)
{
	const char *certificate = adopt_get(a, "pop3d-ssl/TLS_CERTFILE"),
		   *key = adopt_get(a, "pop3d-ssl/TLS_PRIVATE_KEYFILE");
	char value[ADOPT_VALUE_SIZE];

	if (certificate == NULL)
		return;
	if (adopt_path(certificate, value))
		adopt_set(a, "certificate", value, "pop3d-ssl/TLS_CERTFILE");
	if (adopt_path(key != NULL && key[0] != '\0' ? key : certificate, value))
		adopt_set(a, "certificate_key", value,
			  key != NULL && key[0] != '\0'
			      ? "pop3d-ssl/TLS_PRIVATE_KEYFILE"
			      : "pop3d-ssl/TLS_CERTFILE, which holds the key, too");
}

/* A port of a list, "110" or "192.0.2.1.110". */
static void
port_take(const char *word, size_t len, const char *all, FILE *ports, FILE *addresses)
{
	const char *dot = memrchr(word, '.', len);
	size_t host = dot != NULL ? (size_t)(dot - word) : 0;

	fprintf(ports, "%s%.*s", ftell(ports) > 0 ? ", " : "", (int)(len - host - (dot != NULL)),
		dot != NULL ? dot + 1 : word);
	fprintf(addresses, "%s\"%.*s\"", ftell(addresses) > 0 ? ", " : "",
		(int)(dot != NULL ? host : strlen(all)), dot != NULL ? word : all);
}

static void
server_make(struct adopt *a, const char *name, const char *list, const char *address,
	    const char *socket)
{
	const char *all =
	    address == NULL || address[0] == '\0' || strcmp(address, "0") == 0 ? "*" : address;

	for (unsigned n = 0; *(list += strspn(list, ", ")) != '\0'; n++) {
		size_t len = strcspn(list, ", "), room[2];
		char *text[2] = {NULL};
		FILE *port = open_memstream(&text[0], &room[0]),
		     *host = open_memstream(&text[1], &room[1]);

		if (port == NULL || host == NULL)
			abort(); /* no memory, and nothing was changed */
		port_take(list, len, all, port, host);
		fclose(port);
		fclose(host);
		fprintf(a->servers, "server %s", name);
		if (n > 0)
			fprintf(a->servers, "%u", n + 1);
		fprintf(a->servers, " {\n\taddresses = %s\n\tport = %s\n\tsocket = \"%s\"\n}\n",
			text[1], text[0], socket);
		free(text[0]);
		free(text[1]);
		list += len;
	}
}

void
adopt_courier_write(struct adopt *a)
{
	const char *start = adopt_get(a, "pop3d/POP3DSTART"),
		   *tls_start = adopt_get(a, "pop3d-ssl/POP3DSSLSTART");
	bool tls = adopt_get(a, "pop3d-ssl/TLS_CERTFILE") != NULL;
	bool stls = tls && adopt_is_yes(given(adopt_get(a, "pop3d-ssl/POP3_STARTTLS"), "YES"));

	certificates_make(a);
	auth_make(a);
	adopt_apply(a, rules);
	if (adopt_get(a, "pop3d*/MAILDIRPATH") == NULL)
		adopt_set(a, "storage", "\"maildir:%h/Maildir\"", "the default of both");
	if (!adopt_is_yes(adopt_get(a, "pop3d-ssl/POP3_TLS_REQUIRED")))
		adopt_set(a, "cleartext_login", "\"always\"",
			  "Courier takes passwords without TLS; \"never\" is safer");
	if (tls && adopt_is_yes(given(tls_start, "YES")))
		server_make(a, "pop3s", given(adopt_get(a, "pop3d-ssl/SSLPORT"), "995"),
			    adopt_get(a, "pop3d-ssl/SSLADDRESS"), "tls");
	if (adopt_is_yes(given(start, "YES")))
		server_make(a, "pop3", given(adopt_get(a, "pop3d/PORT"), "110"),
			    adopt_get(a, "pop3d/ADDRESS"), stls ? "plain+stls" : "plain");
}
