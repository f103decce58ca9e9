/*
 * The header of the PROXY protocol, versions 1 and 2, in which a load balancer
 * says whose connection it passes on (HAProxy, proxy-protocol.txt, section 2).
 */
#ifndef POP3D_LOGIN_PROXY_H
#define POP3D_LOGIN_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum {
	PROXY_FIXED = 16,    /* octets of version 2 before its addresses */
	PROXY_V1_MAX = 107,  /* octets of a line of version 1, CR and LF included */
	PROXY_KEPT_MAX = 600 /* octets that are looked at; what is behind them is skipped */
};

enum proxy_result {
	PROXY_MORE, /* it is not whole yet */
	PROXY_WHOLE,
	PROXY_BAD
};

/* A header that is being read; zeroed in the beginning. */
struct proxy {
	uint8_t octets[PROXY_KEPT_MAX];
	size_t len;   /* octets taken */
	size_t whole; /* of version 2, once its length is known; else 0 */
};

/* Whose connection it is. */
struct proxy_facts {
	bool announced; /* false: the balancer's own (LOCAL, UNKNOWN), and no address is told */
	bool tls;	/* the client reached the balancer over TLS (PP2_TYPE_SSL) */
	struct msg_addr peer;
	struct msg_balancer_tls
	    facts; /* of that; what is too long, or has a wrong octet, is empty */
};

/*
 * Take octets of the stream, in any shares.  *used: how many of the `n` belong to the header; the
 * others are what the client sends.  With PROXY_MORE all do.  PROXY_WHOLE fills *facts.
 */
enum proxy_result proxy_take(struct proxy *p, const void *octets, size_t n, size_t *used,
			     struct proxy_facts *facts);

#endif
