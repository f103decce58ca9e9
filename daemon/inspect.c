#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/count.h"
#include "common/log.h"
#include "daemon/log/syslog.h"
#include "daemon/inspect.h"
#include "daemon/ports/holder.h"
#include "daemon/ports/sockets.h"
#include "daemon/runtime.h"
#include "daemon/users.h"

/* The arguments of a program: its name, CHECK_WORD, those that are added, NULL. */
struct arguments {
	size_t n;
	const char *word[2 * CONF_SERVERS_MAX * CONF_PATHS_MAX + 4];
};

static void
arguments_begin(struct arguments *a, const char *program)
{
	*a = (struct arguments){2, {program, CHECK_WORD}};
}

/* Run the program and wait for it.  0: it found nothing wrong. */
static int
arguments_run(const struct arguments *a)
{
	int error, status;
	pid_t pid;

	error = posix_spawn(&pid, a->word[0], NULL, NULL, (char **)(uintptr_t)a->word, environ);
	if (error == 0 && waitpid(pid, &status, 0) == -1)
		error = errno;
	if (error != 0)
		log_error(0, "%s: %s", a->word[0], strerror(error));
	return error == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Is the setting among the arguments already? */
static bool
is_known(const struct arguments *a, const char *auth)
{
	for (size_t i = 2; i < a->n; i++)
		if (strcmp(a->word[i], auth) == 0)
			return true;
	return false;
}

static int
inspect_auth(const struct conf *conf)
{
	static struct arguments a;

	arguments_begin(&a, PKGLIBEXECDIR "/pop3d-auth");
	for (size_t i = 0; i < conf->nservers; i++)
		if (conf->servers[i].auth[0] != '\0' && !is_known(&a, conf->servers[i].auth))
			a.word[a.n++] = conf->servers[i].auth;
	return arguments_run(&a);
}

static void
add_certificate(struct arguments *a, const char *certificate)
{
	for (size_t i = 3; i < a->n; i++)
		if (strcmp(a->word[i], certificate) == 0)
			return;
	a->word[a->n++] = certificate;
}

static void
add_pair(struct arguments *a, const char *certificate, const char *key)
{
	for (size_t i = 2; i < a->n; i += 2)
		if (strcmp(a->word[i], certificate) == 0 && strcmp(a->word[i + 1], key) == 0)
			return;
	a->word[a->n++] = certificate;
	a->word[a->n++] = key;
}

static int
inspect_certificates(const struct conf *conf)
{
	static struct arguments login, key;
	int r;

	arguments_begin(&login, PKGLIBEXECDIR "/pop3d-login");
	arguments_begin(&key, PKGLIBEXECDIR "/pop3d-key");
	login.word[login.n++] = conf->tls_ciphers;
	for (size_t i = 0; i < conf->nservers; i++) {
		const struct conf_server *s = &conf->servers[i];

		for (size_t k = 0; k < s->certificate.n && s->socket != SOCKET_PLAIN; k++) {
			add_certificate(&login, s->certificate.path[k]);
			add_pair(&key, s->certificate.path[k], s->certificate_key.path[k]);
		}
	}
	fflush(stdout);
	r = arguments_run(&login);
	return arguments_run(&key) == -1 ? -1 : r;
}

static int
inspect_accounts(const struct conf *conf)
{
	const struct account_names names = {conf->login_user, conf->key_user, conf->auth_user,
					    conf->control_group, conf->metrics_group};
	char why[MSG_PATH_SIZE];
	struct accounts a;

	if (users_find_accounts(&a, &names, false, why, sizeof(why)) == 0)
		return 0;
	log_error(0, "%s", why);
	return -1;
}

/* Something else may have a port now and not when pop3d starts, and systemd may hold it for us. */
static int
inspect_port(const struct conf_server *s, const struct sockaddr_storage *ss, bool optional,
	     bool running)
{
	char text[LOG_ADDR_SIZE], holder[64];
	struct msg_addr a;
	int error = socket_try(ss) == 0 ? 0 : errno;

	if (error == 0 || (error == EADDRINUSE && running) ||
	    (optional && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)))
		return 0;
	socket_addr(&a, ss);
	log_addr(text, &a);
	if (error != EADDRINUSE) {
		log_error(0, "server %s: %s: %s", s->name, text, strerror(error));
		return -1;
	}
	holder_of_port(a.port, holder, sizeof(holder));
	log_line(LOG_WARNING, 0, "warning: server %s: %s: %s%s%s", s->name, text, strerror(error),
		 holder[0] != '\0' ? " by " : "", holder);
	return 0;
}

static int
inspect_ports(const struct conf *conf)
{
	bool running = runtime_is_taken(conf), optional;
	struct sockaddr_storage ss;
	int result = 0;

	for (size_t i = 0; i < conf->nservers; i++) {
		struct sockets wanted = {.set = &conf->servers[i]};

		while (sockets_next(&wanted, &ss, &optional))
			if (inspect_port(wanted.set, &ss, optional, running) == -1)
				result = -1;
	}
	return result;
}

static int
inspect_log(const struct conf *conf)
{
	if (conf->log == CONF_LOG_SYSLOG && syslog_try() == -1)
		log_warn(0, "/dev/log: %s: no log daemon takes the log", strerror(errno));
	return 0;
}

/* Master keeps a descriptor for each connection, and some for itself. */
static int
inspect_limits(const struct conf *conf)
{
	enum { OWN = 128 };
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < conf->max_connections + OWN)
		log_warn(0,
			 "max_connections is %u, but here a process may have %ju descriptors only "
			 "(ulimit -Hn, LimitNOFILE)",
			 conf->max_connections, (uintmax_t)files.rlim_max);
	return 0;
}

int
inspect(const struct conf *conf)
{
	static int (*const as_root[])(const struct conf *) = {
	    inspect_accounts, inspect_certificates, inspect_ports,
	    inspect_log,      inspect_limits,	    runtime_look};
	int result = inspect_auth(conf);

	for (size_t i = 0; i < COUNT_OF(as_root) && geteuid() == 0; i++)
		if (as_root[i](conf) == -1)
			result = -1;
	return result;
}
