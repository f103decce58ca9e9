/*
 * Keys for TLS session tickets (RFC 5077, RFC 8446 section 4.6.1): random,
 * rotated, two valid at a time, the same in every worker.  Made here so that
 * a ticket of one worker serves at the next.
 */
#ifndef POP3D_TICKETS_H
#define POP3D_TICKETS_H

#include "common/channel_event.h"

/* Draw a new key; the former one goes on to decrypt, the one before is wiped. */
void tickets_rotate(void);

/* Send the valid keys with the tickets' lifetime in seconds (0: no tickets, no keys). */
void tickets_send(struct evchannel *worker, uint32_t lifetime);

#endif
