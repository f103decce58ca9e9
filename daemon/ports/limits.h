/*
 * How many connections there are, in all and from each network: an address
 * (common/source.h), what it is in, and what that is in.
 */
#ifndef POP3D_LIMITS_H
#define POP3D_LIMITS_H

#include <stdbool.h>

#include "common/msg.h"
#include "daemon/conf/conf.h"

struct limits;

/* The networks of one client, smallest first. */
enum limit {
	LIMIT_ADDRESS, /* IPv4 /32, IPv6 /64 */
	LIMIT_NETWORK, /* IPv4 /24, IPv6 /56 */
	LIMIT_SITE,    /* IPv6 /48 */
	LIMIT_COUNT
};

/* Is this address in one of the networks? */
bool limits_within(const struct conf_networks *list, const struct msg_addr *a);

/* The setting by which the server does not serve this address, "deny" or "allow"; NULL: it does. */
const char *limits_barred(const struct conf_server *s, const struct msg_addr *a);

struct limits *limits_new(void);
void limits_free(struct limits *l);

/*
 * Count one more from `a` in each of its networks, of which `most` says how many
 * they may have.  `uncounted`: in none of them.  LIMIT_COUNT; or the limit that is
 * reached, or -1 with errno ENOMEM, and nothing is counted.
 */
int limits_enter(struct limits *l, const struct msg_addr *a, const uint32_t most[LIMIT_COUNT],
		 bool uncounted);
/* One that was entered so has gone. */
void limits_leave(struct limits *l, const struct msg_addr *a, bool uncounted);

/* How many were entered and have not left. */
size_t limits_count(const struct limits *l);

#endif
