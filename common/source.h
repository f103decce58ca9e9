/*
 * Where clients come from, as far as limits, turns and failure counts are
 * concerned: an IPv4 address, or the /64 network of an IPv6 address (one
 * subscriber has all of it).
 */
#ifndef POP3D_SOURCE_H
#define POP3D_SOURCE_H

#include "common/msg.h"

/* Octets only, so that memcmp(3) compares it. */
struct source {
	uint8_t family; /* 4, 6; 0: none */
	uint8_t octets[16];
};

/* The source of an address; an IPv4 address mapped into IPv6 is an IPv4 one. */
void source_set(struct source *s, const struct msg_addr *a);

#endif
