/*
 * Runs as: the user that a checkpassword program let in.
 * Sees: its own environment.
 * May never: see a password or a client.
 */
#include "config.h"

#include "daemon/auth/checked.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STATUS_OTHER = 2, STATUS_TEMP = 111 };

static bool
text_fits(char *dst, size_t cap, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	if (len >= cap)
		return false;
	if (len > 0)
		memcpy(dst, text, len);
	return true;
}

int
checked_main(void)
{
	static struct checked c = {.magic = CHECKED_MAGIC};
	char octet;

	/* as it is from its exec on where the user may not read the program's file */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return STATUS_TEMP;
	if (!text_fits(c.user, sizeof(c.user), getenv("USER")) ||
	    !text_fits(c.home, sizeof(c.home), getenv("HOME")))
		return STATUS_OTHER;
	if (c.home[0] == '\0' && getcwd(c.home, sizeof(c.home)) == NULL)
		return STATUS_OTHER;
	if (write(STDOUT_FILENO, &c, sizeof(c)) != (ssize_t)sizeof(c))
		return STATUS_TEMP;
	/* our ids are looked up while we are still there */
	if (read(STDOUT_FILENO, &octet, 1) < 0)
		return STATUS_TEMP;
	return EXIT_SUCCESS;
}
