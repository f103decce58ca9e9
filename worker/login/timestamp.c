#include "config.h"

#include "worker/login/timestamp.h"

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

char *
timestamp_new(const char *host)
{
	char text[TIMESTAMP_MAX];
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return NULL;
	snprintf(text, sizeof(text), "<%016" PRIx64 "%016" PRIx64 ".%jx.%x@%s>", random[0],
		 random[1], (uintmax_t)time(NULL), (unsigned)getpid(),
		 host_fits(host) ? host : "localhost");
	return strdup(text);
}

size_t
timestamp_greet(char text[POP3_RESPONSE_MAX + 1], const char *greeting, size_t len,
		const char *timestamp)
{
	int n =
	    snprintf(text, POP3_RESPONSE_MAX + 1, "%.*s %s\r\n", (int)len - 2, greeting, timestamp);

	return n < 0 ? 0 : (size_t)n;
}
