/*
 * Where clients come from, as far as limits, turns and failure counts are
 * concerned: an IPv4 address, or the /64 network of an IPv6 address (one
 * subscriber has all of it); or a larger network.  All of loopback is one source,
 * since one host has all of it.
 */
#ifndef POP3D_SOURCE_H
#define POP3D_SOURCE_H

#include <stdbool.h>

#include "common/msg.h"

/* Lengths of prefixes: of a source, and of the network that it is in. */
enum { SOURCE_BITS4 = 32, SOURCE_BITS6 = 64, NETWORK_BITS4 = 24, NETWORK_BITS6 = 56 };

/* Octets only, so that memcmp(3) compares it. */
struct source {
	uint8_t family; /* 4, 6; 0: none */
	uint8_t bits;	/* of the prefix */
	uint8_t octets[16];
};

/* The source of an address; an IPv4 address mapped into IPv6 is an IPv4 one. */
void source_set(struct source *s, const struct msg_addr *a);

/* The network that it is in, by the lengths of its prefix for IPv4 (at most 32) and IPv6. */
void source_network(struct source *s, const struct msg_addr *a, uint8_t bits4, uint8_t bits6);

/* Make an IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2) an IPv4 one. */
void source_unmap(struct msg_addr *a);

/* Set the bits of an address behind the first `bits` to 0. */
void source_cut(uint8_t octets[16], uint8_t bits);

/* Is it 127.0.0.0/8, ::1, or an IPv4 loopback address mapped into IPv6? */
bool source_is_loopback(const struct msg_addr *a);

#endif
