#include "config.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/auth/check.h"
#include "daemon/inspect.h"

/* Does an earlier server have the same setting? */
static bool
is_known(const struct conf *conf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(conf->servers[i].auth, conf->servers[n].auth) == 0)
			return true;
	return false;
}

int
inspect_auth(const struct conf *conf)
{
	static char program[] = PKGLIBEXECDIR "/pop3d-auth", word[] = CHECK_WORD;
	char **argv = calloc(conf->nservers + 3, sizeof(*argv));
	size_t n = 0;
	int error, status;
	pid_t pid;

	if (argv == NULL)
		return -1;
	argv[n++] = program;
	argv[n++] = word;
	for (size_t i = 0; i < conf->nservers; i++)
		if (conf->servers[i].auth[0] != '\0' && !is_known(conf, i))
			argv[n++] = (char *)(uintptr_t)conf->servers[i].auth;
	error = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	free(argv);
	if (error == 0 && waitpid(pid, &status, 0) == -1)
		error = errno;
	if (error != 0)
		fprintf(stderr, "%s: %s\n", program, strerror(error));
	return error == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
