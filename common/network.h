/*
 * Networks as people write them: "192.0.2.0/24", "2001:db8::/32", or one address.
 */
#ifndef POP3D_NETWORK_H
#define POP3D_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

struct network {
	struct msg_addr address; /* family 0: none */
	uint8_t bits;		 /* of the prefix */
};

/*
 * Parse `text`.  0; or -1 with errno: EINVAL if it is none, or an IPv4 address mapped into
 * IPv6, which no client has; ERANGE if its address has bits behind the prefix, n->bits.
 */
int network_parse(const char *text, struct network *n);

/* Is the address in the network?  All of loopback is one network (common/source.h). */
bool network_has(const struct network *n, const struct msg_addr *a);

#endif
