/*
 * The log of clients that a limit turned away.  A client that knocks a thousand
 * times a second would fill it, so the first one of a source (common/source.h) is
 * told at once, and those of the next ten seconds in one line with their number.
 */
#ifndef POP3D_REFUSED_H
#define POP3D_REFUSED_H

#include "common/msg.h"

struct refused;

struct refused *refused_new(void); /* free(3) frees it; NULL: no memory */

/* A client of the server was turned away at `now` (clock_ms()).  `reason` is the name of the
 * limit, and stays where it is. */
void refused_add(struct refused *r, uint64_t now, const char *server, const struct msg_addr *peer,
		 const char *reason);

/* Tell of those whose ten seconds are over; UINT64_MAX: of all. */
void refused_tick(struct refused *r, uint64_t now);

#endif
