#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include "common/source.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

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
	bool is_mapped = a->family == AF_INET6 && memcmp(a->octets, mapped, sizeof(mapped)) == 0;

	memset(s, 0, sizeof(*s));
	if (a->family != AF_INET && a->family != AF_INET6)
		return;
	if (source_is_loopback(a)) {
		*s = (struct source){.family = 4, .bits = bits4, .octets = {127}};
	} else if (a->family == AF_INET || is_mapped) {
		s->family = 4;
		s->bits = bits4;
		memcpy(s->octets, a->octets + (is_mapped ? sizeof(mapped) : 0), 4);
	} else {
		s->family = 6;
		s->bits = bits6;
		memcpy(s->octets, a->octets, sizeof(s->octets));
	}
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
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == AF_INET)
		return a->octets[0] == 127;
	if (a->family != AF_INET6)
		return false;
	return memcmp(a->octets, one, sizeof(one)) == 0 ||
	       (memcmp(a->octets, mapped, sizeof(mapped)) == 0 && a->octets[12] == 127);
}
