#include "config.h"

#include "daemon/table/timestamp.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { HOST_MAX = 100 };

/* Is it a dot-atom (RFC 5322 section 3.2.3), and short? */
static bool
host_fits(const char *host)
{
	static const char chars[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(host);

	return len > 0 && len <= HOST_MAX && strspn(host, chars) == len && host[0] != '.' &&
	       host[len - 1] != '.' && strstr(host, "..") == NULL;
}

void
timestamp_make(char out[MSG_STAMP_SIZE], const char *host)
{
	uint64_t random[2];

	out[0] = '\0';
	if (getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random))
		snprintf(out, MSG_STAMP_SIZE, "<%016" PRIx64 "%016" PRIx64 ".%jx.%x@%s>", random[0],
			 random[1], (uintmax_t)time(NULL), (unsigned)getpid(),
			 host_fits(host) ? host : "localhost");
}
