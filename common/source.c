#include "config.h"

#include <string.h>

#include "common/source.h"

enum { PREFIX6 = 8 /* octets of a /64 */ };

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void
source_set(struct source *s, const struct msg_addr *a)
{
	memset(s, 0, sizeof(*s));
	if (a->family == AF_INET) {
		s->family = 4;
		memcpy(s->octets, a->octets, 4);
	} else if (a->family == AF_INET6) {
		if (memcmp(a->octets, mapped, sizeof(mapped)) == 0) {
			s->family = 4;
			memcpy(s->octets, a->octets + sizeof(mapped), 4);
		} else {
			s->family = 6;
			memcpy(s->octets, a->octets, PREFIX6);
		}
	}
}
