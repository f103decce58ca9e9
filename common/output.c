#include "config.h"

#include "common/output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
output_end(int status, void *program)
{
	bool failed_before = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !failed_before)
		return;
	fprintf(stderr, "%s: not all was printed: %s\n", (const char *)program,
		errno != 0 ? strerror(errno) : "a write has failed");
	if (status == 0)
		_exit(EXIT_FAILURE);
}

void
output_watch(const char *program)
{
	/* It fails where there is no memory for more than 32 of them. */
	(void)on_exit(output_end, (void *)(uintptr_t)program);
}
