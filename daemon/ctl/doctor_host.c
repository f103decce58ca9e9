/*
 * pop3ctl doctor without a user.  Each role's program looks at its own part of the configuration
 * (pop3d -t); the daemon tells what it runs with.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/host_name.h"
#include "daemon/ctl/request.h"

/* ---- the daemon's own words: pairs, a line each ---- */

/* The next line at *rest, cut into key and value.  False: there is none. */
static bool
pair_next(char **rest, char **key, char **value)
{
	*value = strsep(rest, "\n");
	*key = *value != NULL ? strsep(value, "\t") : NULL;
	return *value != NULL;
}

/* The value of the first pair with that key, the caller's; NULL: none. */
static char *
status_value(const struct doctor *d, const char *wanted)
{
	char *text = d->status != NULL ? strdup(d->status) : NULL, *rest = text, *key, *value;
	char *found = NULL;

	while (found == NULL && pair_next(&rest, &key, &value))
		if (strcmp(key, wanted) == 0)
			found = strdup(value);
	free(text);
	return found;
}

/* Nobody answers at the socket: does a pop3d run that has its directory? */
static void
no_answer(struct doctor *d, const char *why)
{
	const char *slash = strrchr(d->socket_path, '/');
	int len = slash != NULL ? (int)(slash - d->socket_path) : 0, fd;
	char path[1024], pid[24] = "";

	(void)snprintf(path, sizeof(path), "%.*s/pop3d.pid", len, d->socket_path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd != -1 && flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK &&
	    read(fd, pid, sizeof(pid) - 1) > 0)
		doctor_find(d, DOCTOR_CRITICAL, "restart it",
			    "pop3d runs with pid %.*s and does not answer: %s",
			    (int)strspn(pid, "0123456789"), pid, why);
	else
		doctor_find(d, DOCTOR_CRITICAL, "start pop3d, or name its socket by -s", "%s", why);
	if (fd != -1)
		close(fd);
}

/* It keeps a descriptor for each connection, and some for itself. */
static void
descriptors_find(struct doctor *d)
{
	enum { OWN = 128 };
	char *connections = status_value(d, "connections_max"),
	     *descriptors = status_value(d, "descriptors_max");

	if (connections != NULL && descriptors != NULL &&
	    strtoull(descriptors, NULL, 10) < strtoull(connections, NULL, 10) + OWN)
		doctor_find(d, DOCTOR_WARNING,
			    "raise LimitNOFILE in its unit, or lower max_connections, then restart "
			    "it",
			    "max_connections is %s, but the daemon that runs may have %s "
			    "descriptors only",
			    connections, descriptors);
	free(connections);
	free(descriptors);
}

/* Was the file changed, or another put into its place, since it was read? */
static void
file_find(struct doctor *d)
{
	char *path = status_value(d, "configuration"),
	     *told = status_value(d, "configuration_read"), at[CLOCK_UTC_SIZE];
	struct stat st;

	/* times in this form are in the order of their text */
	if (path != NULL && told != NULL && stat(path, &st) == 0 &&
	    strcmp(clock_utc(at, st.st_mtime > st.st_ctime ? st.st_mtime : st.st_ctime), told) > 0)
		doctor_find(d, DOCTOR_WARNING, "pop3ctl reload, or pop3d -t first",
			    "%s was changed at %s, after pop3d had read it at %s", path, at, told);
	free(path);
	free(told);
}

void
doctor_daemon(struct doctor *d)
{
	static char word[] = "status";
	char *words[] = {word}, *state;
	struct answer a;

	if (request_quietly(d->socket_path, 1, words, &a) != CTL_DONE) {
		no_answer(d, a.text != NULL ? a.text : "no memory");
		free(a.text);
		return;
	}
	d->status = a.text;
	state = status_value(d, "state");
	if (state != NULL && strcmp(state, "serving") == 0)
		doctor_find(d, DOCTOR_OK, "", "pop3d is serving");
	else
		doctor_find(d, DOCTOR_WARNING, "", "pop3d is %s", state != NULL ? state : "silent");
	free(state);
	if (d->user == NULL) {
		descriptors_find(d);
		file_find(d);
	}
}

/* What the kernel, or a container, does not let it have. */
void
doctor_sandbox(struct doctor *d)
{
	char *lacks = status_value(d, "sandbox_lacks");

	if (d->status == NULL)
		return;
	if (strstr(d->status, "seccomp=0") != NULL)
		doctor_find(d, DOCTOR_WARNING, "", "a role runs without seccomp");
	if (lacks != NULL && strcmp(lacks, "nothing") != 0)
		doctor_find(d, DOCTOR_WARNING, "", "the confinement lacks: %s", lacks);
	else
		doctor_find(d, DOCTOR_OK, "", "Landlock lacks nothing");
	free(lacks);
}

/* ---- what programs say ---- */

void
doctor_configuration(struct doctor *d)
{
	static char program[] = SBINDIR "/pop3d", option_t[] = "-t", option_c[] = "-c";
	char *told = status_value(d, "configuration");
	const char *path = d->conf_path != NULL ? d->conf_path
			   : told != NULL	? told
						: SYSCONFDIR "/pop3d.conf";
	char *argv[] = {program, option_t, option_c, (char *)(uintptr_t)path, NULL};

	doctor_ask(d, argv);
	free(told);
}

void
doctor_certificate(struct doctor *d)
{
	enum { WORDS_MAX = 256 };
	static char program[] = PKGLIBEXECDIR "/pop3d-login", word[] = CHECK_SERVED_WORD;
	static const char mark[] = "certificate ", expires[] = "expires=";
	char host[256], *argv[WORDS_MAX] = {program, word, host}, *key, *value;
	char *text = d->status != NULL ? strdup(d->status) : NULL, *rest = text;
	size_t n = 3;

	host_name(host, sizeof(host));
	while (n < WORDS_MAX - 2 && pair_next(&rest, &key, &value))
		if (strncmp(key, mark, strlen(mark)) == 0 &&
		    strncmp(value, expires, strlen(expires)) == 0) {
			argv[n++] = key + strlen(mark);
			argv[n++] = value + strlen(expires);
		}
	if (n > 3)
		doctor_ask(d, argv);
	free(text);
}
