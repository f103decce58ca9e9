#include "config.h"

#include "common/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/pop3.h"
#include "common/source.h"

/* How many bits of the address there are to be kept by "/24"; no more than there are.  0 or -1. */
static int
prefix_parse(const char *text, uint64_t most, uint8_t *bits)
{
	uint64_t n = most;

	if (text != NULL && (pop3_number(text + 1, strlen(text + 1), &n) == -1 || n > most))
		return -1;
	*bits = (uint8_t)n;
	return 0;
}

/* The octets before the slash, a terminated copy of which is needed. */
static int
address_parse(const char *text, size_t len, struct msg_addr *a)
{
	char copy[MSG_WORD_SIZE];

	if (len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	a->family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(a->family, copy, a->octets) != 1)
		return -1;
	return a->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((struct in6_addr *)a->octets) ? -1 : 0;
}

/* Are all bits behind the prefix 0? */
static bool
network_is_whole(const struct network *n)
{
	struct msg_addr cut = n->address;

	source_cut(cut.octets, n->bits);
	return memcmp(&cut, &n->address, sizeof(cut)) == 0;
}

int
network_parse(const char *text, struct network *n)
{
	size_t len = strcspn(text, "/");

	memset(n, 0, sizeof(*n));
	if (address_parse(text, len, &n->address) == -1 ||
	    prefix_parse(text[len] != '\0' ? text + len : NULL,
			 n->address.family == AF_INET6 ? 128 : 32, &n->bits) == -1) {
		errno = EINVAL;
		return -1;
	}
	errno = ERANGE;
	return network_is_whole(n) ? 0 : -1;
}

bool
network_has(const struct network *n, const struct msg_addr *a)
{
	struct source network, source;

	source_network(&network, &n->address, n->bits, n->bits);
	source_network(&source, a, n->bits, n->bits);
	return network.family != 0 && memcmp(&network, &source, sizeof(source)) == 0;
}
