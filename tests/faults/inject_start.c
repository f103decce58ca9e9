/*
 * Stands in the place of a role's program and starts the real one, REAL/NAME, with
 * the library of inject.c: a role's environment is master's to make.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	char own[PATH_MAX] = "", real[2 * PATH_MAX];

	(void)argc;
	if (readlink("/proc/self/exe", own, sizeof(own) - 1) == -1)
		return EXIT_FAILURE;
	(void)snprintf(real, sizeof(real), REAL "%s", strrchr(own, '/'));
	if (setenv("LD_PRELOAD", LIBRARY, 1) == -1 || setenv("POP3D_FAULT_PLAN", PLAN, 1) == -1)
		return EXIT_FAILURE;
	execv(real, argv);
	return EXIT_FAILURE;
}
