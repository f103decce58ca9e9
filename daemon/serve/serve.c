#include "config.h"

#include <arpa/inet.h>
#include <bsd/readpassphrase.h>
#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdnoreturn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/names.h"
#include "common/privs.h"
#include "common/secret.h"
#include "common/source.h"
#include "common/title.h"
#include "daemon/table/report.h"
#include "daemon/serve/serve.h"
#include "daemon/users.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, QUIET_SECONDS = 30 };

static const char usage_text[] =
    "usage: pop3d --serve path [--user name] [--password-file file | --password password]\n"
    "             [--listen address[:port]] [--port port]\n"
    "             [--certificate file --key file [--tls]]\n"
    "             [--format maildir|mbox|dir|mh|cyrus]\n"
    "             [--mbox-format format] [--mbox-split strict|lax]\n"
    "             [--uidl sha1|sha1-crlf]\n"
    "             [--accept-any] [--no-lock] [--apply-deletes]\n"
    "             [--exit-when-done] [--exit-when-fetched[=seconds]]\n"
    "             [--log file] [--log-bodies] [--log-secrets] [--as user]\n";

struct options {
	const char *path, *user, *password_file, *log, *as;
	const struct secret *password;
	const char *format, *mbox_format, *mbox_split, *certificate, *key, *uidl;
	char address[MSG_WORD_SIZE];
	uint32_t port, exit_when_quiet;
	int listen_given, tls, accept_any, no_lock, apply_deletes, exit_when_done, log_bodies,
	    log_secrets;
};

static noreturn void
fail(int status, const char *what, const char *why)
{
	log_tell("pop3d: %s%s%s", what, why[0] != '\0' ? ": " : "", why);
	log_finish();
	exit(status);
}

bool
serve_is_asked(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--serve") == 0 || strncmp(argv[i], "--serve=", 8) == 0)
			return true;
	return false;
}

/* ---- the command line ---- */

/* The password out of the arguments, where everybody on the host can read it; NULL: none. */
static const struct secret *
take_password(int argc, char *argv[])
{
	static struct secret taken;
	char *found = NULL;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--password=", 11) == 0)
			found = argv[i] + 11;
		else if (strcmp(argv[i], "--password") == 0 && i + 1 < argc)
			found = argv[++i];
		else
			continue;
		if (secret_set(&taken, found, strlen(found)) == -1)
			fail(STATUS_USAGE, "--password: expected at most 255 octets", "");
		explicit_bzero(found, strlen(found));
	}
	return found != NULL ? &taken : NULL;
}

static uint32_t
read_port(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 65535)
		fail(STATUS_USAGE, "expected a port from 0 to 65535", text);
	return (uint32_t)n;
}

static uint32_t
read_seconds(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n == 0 || n > 86400)
		fail(STATUS_USAGE, "expected 1 to 86400 seconds", text);
	return (uint32_t)n;
}

/* ADDR, ADDR:PORT, [ADDR]:PORT; one that has several colons and no brackets is IPv6 without port.
 */
static void
read_listen(struct options *o, const char *text)
{
	const char *colon = strrchr(text, ':'), *end = text + strlen(text);
	bool brackets = text[0] == '[';

	o->listen_given = 1;
	if (brackets && (end = strchr(++text, ']')) != NULL) {
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		end = colon;
	} else
		colon = NULL;
	if (end == NULL || (size_t)(end - text) >= sizeof(o->address))
		fail(STATUS_USAGE, "--listen: expected address, address:port or [address]:port",
		     "");
	memcpy(o->address, text, (size_t)(end - text));
	o->address[end - text] = '\0';
	if (colon != NULL)
		o->port = read_port(colon + 1);
}

static noreturn void
fail_usage(void)
{
	fputs(usage_text, stderr);
	exit(STATUS_USAGE);
}

static void
read_options(int argc, char *argv[], struct options *o)
{
	/* Those whose value is kept as it is come first, with their places in the same order. */
	const char **const places[] = {&o->path,	&o->user, &o->password_file, &o->log,
				       &o->format,	&o->as,	  &o->mbox_format,   &o->mbox_split,
				       &o->certificate, &o->key,  &o->uidl};
	const struct option known[] = {{"serve", required_argument, NULL, 't'},
				       {"user", required_argument, NULL, 't'},
				       {"password-file", required_argument, NULL, 't'},
				       {"log", required_argument, NULL, 't'},
				       {"format", required_argument, NULL, 't'},
				       {"as", required_argument, NULL, 't'},
				       {"mbox-format", required_argument, NULL, 't'},
				       {"mbox-split", required_argument, NULL, 't'},
				       {"certificate", required_argument, NULL, 't'},
				       {"key", required_argument, NULL, 't'},
				       {"uidl", required_argument, NULL, 't'},
				       {"tls", no_argument, &o->tls, 1},
				       {"password", required_argument, NULL, 'w'},
				       {"listen", required_argument, NULL, 'l'},
				       {"port", required_argument, NULL, 'p'},
				       {"accept-any", no_argument, &o->accept_any, 1},
				       {"no-lock", no_argument, &o->no_lock, 1},
				       {"apply-deletes", no_argument, &o->apply_deletes, 1},
				       {"exit-when-done", no_argument, &o->exit_when_done, 1},
				       {"exit-when-fetched", optional_argument, NULL, 'f'},
				       {"log-bodies", no_argument, &o->log_bodies, 1},
				       {"log-secrets", no_argument, &o->log_secrets, 1},
				       {NULL, 0, NULL, 0}};
	int c, index;

	while ((c = getopt_long(argc, argv, "", known, &index)) != -1) {
		if (c == 't')
			*places[index] = optarg;
		else if (c == 'l')
			read_listen(o, optarg);
		else if (c == 'p')
			o->port = read_port(optarg);
		else if (c == 'f')
			o->exit_when_quiet = optarg != NULL ? read_seconds(optarg) : QUIET_SECONDS;
		else if (c == '?')
			fail_usage();
	}
	if ((o->certificate == NULL) != (o->key == NULL) || (o->tls && o->key == NULL))
		fail(STATUS_USAGE, "TLS needs both --certificate and --key", "");
	if (o->password != NULL && o->password_file != NULL)
		fail(STATUS_USAGE, "--password and --password-file: give one of them", "");
	if (o->path == NULL || optind != argc)
		fail_usage();
}

/* The first line of a file; "-": of standard input, asked for on a terminal. */
static void
read_password(const char *path, struct secret *out)
{
	char line[SECRET_SIZE + 2]; /* with CR LF */
	bool input = strcmp(path, "-") == 0;
	FILE *f = input ? stdin : fopen(path, "re");

	if (input && isatty(STDIN_FILENO)) {
		if (readpassphrase("Password: ", line, sizeof(line), RPP_ECHO_OFF) == NULL)
			fail(STATUS_FAILED, "password", strerror(errno));
	} else if (f == NULL || fgets(line, sizeof(line), f) == NULL) {
		fail(STATUS_FAILED, path, f == NULL ? strerror(errno) : "no password in it");
	}
	if (f != NULL && !input)
		fclose(f);
	if (secret_set(out, line, strcspn(line, "\r\n")) == -1)
		fail(STATUS_FAILED, path, "expected a password of at most 255 octets");
	explicit_bzero(line, sizeof(line));
	if (secret_is_empty(out))
		fail(STATUS_FAILED, path, "no password in it");
}

static bool
is_loopback(const char *address)
{
	struct msg_addr a = {.family = AF_INET};

	if (inet_pton(AF_INET, address, a.octets) == 1)
		return source_is_loopback(&a);
	a.family = AF_INET6;
	return inet_pton(AF_INET6, address, a.octets) == 1 && source_is_loopback(&a);
}

static void
take_credentials(struct conf_one_user *s, const struct options *o)
{
	if (o->user != NULL &&
	    (o->user[0] == '\0' || strlcpy(s->user, o->user, sizeof(s->user)) >= sizeof(s->user)))
		fail(STATUS_USAGE, "--user: expected a name of 1 to 255 octets", "");
	if (o->password_file != NULL)
		read_password(o->password_file, &s->password);
	else if (o->password != NULL)
		s->password = *o->password;
	if ((s->user[0] == '\0' || secret_is_empty(&s->password)) && !is_loopback(o->address) &&
	    !o->accept_any)
		fail(STATUS_USAGE,
		     "expected --user and a password, or --accept-any for every client, to listen "
		     "on",
		     o->address);
}

/* ---- the archive ---- */

/* Started by root, all roles run as the owner of the archive, or as the user that --as names. */
static void
become_owner(const char *path, const char *as)
{
	uint32_t uid, gid;
	struct stat st;

	if (stat(path, &st) == -1)
		fail(STATUS_FAILED, path, strerror(errno));
	uid = st.st_uid;
	if (users_find_gid(uid, &gid) == -1)
		gid = st.st_gid;
	if (as != NULL && users_find(as, &uid, &gid) == -1)
		fail(STATUS_FAILED, as, errno == EPERM ? "is root" : "no such user");
	if (geteuid() != 0) {
		if (as != NULL && uid != geteuid())
			fail(STATUS_FAILED, as, "only root can serve as another user");
		return;
	}
	if (uid == 0)
		fail(STATUS_FAILED, path,
		     "is owned by root, and nothing is served as root; use --as USER");
	if (privs_become(uid, gid, &gid, 1) == -1)
		fail(STATUS_FAILED, "cannot become the owner of the archive", strerror(errno));
}

/* Open the archive, and find out what it is unless that was said. */
static enum archive_kind
find_kind(struct serve *s, int *in, const char *format)
{
	struct serve_found found;
	char *inside;

	if ((*in = archive_open_file(AT_FDCWD, s->path)) == -1)
		fail(STATUS_FAILED, s->path, strerror(errno));
	for (enum archive_kind k = 0; format != NULL && k < ARCHIVE_KINDS; k++)
		if (strcmp(archive_kind_name(k), format) == 0)
			return k;
	if (format != NULL)
		fail(STATUS_USAGE, "--format: expected maildir, mbox, dir, mh or cyrus", "");
	found = serve_find(*in, s->path);
	if (found.why != NULL)
		fail(STATUS_FAILED, s->path, found.why);
	if (found.inside == NULL)
		return found.kind;
	close(*in);
	if (asprintf(&inside, "%s/%s", s->path, found.inside) == -1)
		fail(STATUS_FAILED, s->path, strerror(errno));
	s->path = inside;
	if ((*in = archive_open_file(AT_FDCWD, s->path)) == -1)
		fail(STATUS_FAILED, s->path, strerror(errno));
	return found.kind;
}

/* No message where there are other things: another path was meant.  An empty archive is served. */
static void
find_nothing(const struct serve *s)
{
	const struct archive_head *h = s->archive.head;
	char why[SERVE_BELOW_SIZE + 64];

	if (h->count > 0 || (h->left_out == 0 && s->below[0] == '\0'))
		return;
	snprintf(why, sizeof(why), "it holds no message that can be served%s%s",
		 s->below[0] != '\0' ? "; below it: " : "", s->below);
	fail(STATUS_FAILED, s->path, why);
}

/* Mail is read by a process of its own, which can open nothing else and ends with it. */
static int
scan_apart(const struct serve *s, const struct conf_server *server, int in, enum archive_kind kind,
	   uint32_t options)
{
	const struct archive_order order = {kind, options, server->mbox_format, server->mbox_split,
					    s->path};
	char program[MSG_PATH_SIZE];
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		snprintf(program, sizeof(program), "%s/%s", PKGLIBEXECDIR,
			 role_program(ROLE_SPAWNER));
		(void)archive_order_exec(&order, program, in, s->table);
		log_tell("pop3d: %s: %s", program, strerror(errno));
		_exit(STATUS_FAILED);
	}
	if (pid == -1)
		return -1;
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	if (status != 0)
		exit(STATUS_FAILED);
	return 0;
}

static int
make_memfd(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static uint32_t
scan_options(const struct options *o)
{
	bool crlf = o->uidl != NULL && strcmp(o->uidl, "sha1-crlf") == 0;

	if (o->uidl != NULL && !crlf && strcmp(o->uidl, "sha1") != 0)
		fail(STATUS_USAGE, "--uidl: expected sha1 or sha1-crlf", "");
	return (o->no_lock ? ARCHIVE_NO_LOCK : 0u) |
	       (o->apply_deletes ? ARCHIVE_APPLY_DELETES : 0u) | (crlf ? ARCHIVE_UIDL_CRLF : 0u);
}

static void
read_archive(struct serve *s, const struct options *o, const struct conf_server *server)
{
	int in, fixed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	enum archive_kind kind = find_kind(s, &in, o->format);
	uint32_t options = scan_options(o);
	struct archive_head head;

	s->table = make_memfd("pop3d-archive");
	s->flags = make_memfd("pop3d-flags");
	if (s->table == -1 || s->flags == -1 || scan_apart(s, server, in, kind, options) == -1 ||
	    pread(s->table, &head, sizeof(head), 0) != sizeof(head) ||
	    ftruncate(s->flags, (off_t)head.count + 1) == -1 ||
	    fcntl(s->table, F_ADD_SEALS, fixed | F_SEAL_WRITE) == -1 ||
	    fcntl(s->flags, F_ADD_SEALS, fixed) == -1 ||
	    archive_map(&s->archive, s->table, s->flags) == -1)
		fail(STATUS_FAILED, s->path, strerror(errno));
	close(in);
	serve_find_below(s->path, s->below);
	find_nothing(s);
}

/* ---- settings ---- */

/* "STORE:PATH", in which a "%" is doubled as in every template. */
static void
make_storage(const struct serve *s, char out[MSG_SPEC_SIZE])
{
	const struct archive_head *h = s->archive.head;
	const char *store = archive_is_rewritten(h->kind, h->options) ? ARCHIVE_MBOX_STORE
								      : ARCHIVE_STORE,
		   *path = s->path;
	size_t n = (size_t)snprintf(out, MSG_SPEC_SIZE, "%s:", store);

	for (; *path != '\0' && n < MSG_SPEC_SIZE - 2; path++) {
		if (*path == '%')
			out[n++] = '%';
		out[n++] = *path;
	}
	if (*path != '\0')
		fail(STATUS_FAILED, "the path of the archive is too long", "");
}

/* One of the server's settings, if its option was given. */
static void
make_setting(struct conf_server *server, const char *name, const char *option, const char *value)
{
	char expected[CONF_EXPECTED_SIZE], what[CONF_EXPECTED_SIZE];

	if (value == NULL || conf_server_set(server, name, value, expected) == 0)
		return;
	snprintf(what, sizeof(what), "%s: expected", option);
	fail(STATUS_USAGE, what, expected);
}

static const char *
whole_path(const char *path)
{
	char *whole = realpath(path, NULL);

	if (whole == NULL)
		fail(STATUS_FAILED, path, strerror(errno));
	return whole;
}

/* With a certificate a password is not taken in clear text from other hosts. */
static void
make_tls(struct conf_server *server, const struct options *o)
{
	server->socket = SOCKET_PLAIN;
	server->cleartext_login = CLEARTEXT_ALWAYS;
	if (o->certificate == NULL)
		return;
	server->socket = o->tls ? SOCKET_TLS : SOCKET_STLS;
	server->cleartext_login = CLEARTEXT_LOOPBACK;
	make_setting(server, "certificate", "--certificate", whole_path(o->certificate));
	make_setting(server, "certificate_key", "--key", whole_path(o->key));
}

static struct conf *
make_conf(const struct options *o)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct conf_server *server;

	if (c == NULL)
		fail(STATUS_FAILED, "archive", strerror(errno));
	conf_defaults(c);
	c->login_workers = c->auth_children = 1;
	c->session_spares = 2;
	c->session_memory = 0; /* what the archive needs */
	c->log = CONF_LOG_STDERR;
	c->log_level = LOG_WARNING;
	c->nservers = 1;
	server = &c->servers[0];
	*server = c->shared;
	snprintf(server->name, sizeof(server->name), "serve");
	server->port.n = 1;
	server->port.number[0] = o->port;
	make_tls(server, o);
	snprintf(server->auth, sizeof(server->auth), "any:");
	server->max_sessions_per_user = 0; /* they may be all the clients there are */
	make_setting(server, "addresses", "--listen", o->address);
	make_setting(server, "mbox_format", "--mbox-format", o->mbox_format);
	make_setting(server, "mbox_split", "--mbox-split", o->mbox_split);
	return c;
}

struct conf *
serve_prepare(int argc, char *argv[], char *envp[])
{
	static struct serve s;
	struct options o = {.password = take_password(argc, argv), .address = "127.0.0.1"};
	struct conf_one_user one = {.on = true};
	struct conf *conf;

	title_init(argc, argv, envp);
	log_to_stderr();
	serve_report_begin(&s);
	read_options(argc, argv, &o);
	take_credentials(&one, &o);
	s.path = whole_path(o.path);
	conf = make_conf(&o);
	become_owner(s.path, o.as);
	s.exit_when_done = o.exit_when_done != 0;
	s.exit_when_quiet = o.exit_when_quiet;
	one.trace = TRACE_LINES | TRACE_ALL | (o.log_bodies ? TRACE_BODIES : 0u) |
		    (o.log_secrets ? TRACE_SECRETS : 0u);
	if (o.log != NULL && serve_report_log_to(o.log) == -1)
		fail(STATUS_FAILED, o.log, strerror(errno));
	read_archive(&s, &o, &conf->servers[0]);
	make_storage(&s, conf->servers[0].storage);
	one.archive[0] = s.table;
	one.archive[1] = s.flags;
	conf->one_user = one;
	report_to(&serve_sink);
	title_set("master", "--serve %s", s.path);
	log_set_level(conf->log_level);
	if (chdir("/") == -1)
		fail(STATUS_FAILED, "/", strerror(errno));
	return conf;
}
