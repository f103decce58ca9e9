/*
 * How many connections each address has.  IPv6 clients count by /64, the
 * least that one customer is given.
 */
#ifndef POP3D_LIMITS_H
#define POP3D_LIMITS_H

#include "common/msg.h"

struct limits;

struct limits *limits_new(void);
void limits_free(struct limits *l);

/* Count one more from `a`.  0, or -1 with errno EUSERS (it has `most`) or ENOMEM. */
int limits_enter(struct limits *l, const struct msg_addr *a, uint32_t most);
void limits_leave(struct limits *l, const struct msg_addr *a);

/* The prefix that is counted: IPv4 whole, IPv6 /64, port 0. */
struct msg_addr limits_source(const struct msg_addr *a);

/* Is it 127.0.0.0/8, ::1, or an IPv4 loopback address mapped into IPv6? */
int limits_is_loopback(const struct msg_addr *a);

#endif
