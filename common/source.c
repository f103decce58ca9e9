#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include "common/source.h"

void
source_unmap(struct msg_addr *a)
{
	struct in6_addr in6;

	memcpy(&in6, a->octets, sizeof(in6));
	if (a->family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6))
		return;
	a->family = AF_INET;
	memset(a->octets, 0, sizeof(a->octets));
	memcpy(a->octets, in6.s6_addr + 12, 4);
}

void
source_cut(uint8_t octets[16], uint8_t bits)
{
	for (size_t i = 0; i < 16; i++) {
		size_t kept = bits > 8 * i ? bits - 8 * i : 0;

		octets[i] &= (uint8_t)(kept < 8 ? 0xff00 >> kept : 0xff);
	}
}

void
source_network(struct source *s, const struct msg_addr *a, uint8_t bits4, uint8_t bits6)
{
	struct msg_addr plain = *a;

	memset(s, 0, sizeof(*s));
	source_unmap(&plain);
	if (source_is_loopback(a))
		plain = (struct msg_addr){.family = AF_INET, .octets = {127}};
	if (plain.family != AF_INET && plain.family != AF_INET6)
		return;
	s->family = plain.family == AF_INET ? 4 : 6;
	s->bits = plain.family == AF_INET ? bits4 : bits6;
	memcpy(s->octets, plain.octets, sizeof(s->octets));
	source_cut(s->octets, s->bits);
}

void
source_set(struct source *s, const struct msg_addr *a)
{
	source_network(s, a, SOURCE_BITS4, SOURCE_BITS6);
}

bool
source_is_loopback(const struct msg_addr *a)
{
	struct msg_addr plain = *a;

	source_unmap(&plain);
	if (plain.family == AF_INET)
		return plain.octets[0] == 127;
	return plain.family == AF_INET6 &&
	       memcmp(plain.octets, &in6addr_loopback, sizeof(plain.octets)) == 0;
}
