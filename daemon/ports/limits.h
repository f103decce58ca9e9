/*
 * How many connections each source (common/source.h) has.
 */
#ifndef POP3D_LIMITS_H
#define POP3D_LIMITS_H

#include "common/msg.h"

struct limits;

struct limits *limits_new(void);
void limits_free(struct limits *l);

/* Count one more from the source of `a`.  0, or -1 with errno EUSERS (it has `most`) or ENOMEM. */
int limits_enter(struct limits *l, const struct msg_addr *a, uint32_t most);
void limits_leave(struct limits *l, const struct msg_addr *a);

/* How many were entered and have not left. */
size_t limits_count(const struct limits *l);

/* Is it 127.0.0.0/8, ::1, or an IPv4 loopback address mapped into IPv6? */
int limits_is_loopback(const struct msg_addr *a);

#endif
