#include "config.h"

#include "daemon/ctl/host_name.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
host_name(char *dst, size_t cap)
{
	struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *found;

	dst[0] = dst[cap - 1] = '\0';
	(void)gethostname(dst, cap - 1);
	if (strchr(dst, '.') == NULL && getaddrinfo(dst, NULL, &hints, &found) == 0) {
		if (found->ai_canonname != NULL)
			(void)snprintf(dst, cap, "%s", found->ai_canonname);
		freeaddrinfo(found);
	}
	if (strchr(dst, '.') == NULL)
		dst[0] = '\0';
}
