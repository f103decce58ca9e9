/*
 * The workers' channels at the key process: requests and answers, at a bounded
 * rate for each.
 */
#ifndef POP3D_KEY_ASKERS_H
#define POP3D_KEY_ASKERS_H

#include <event2/event.h>

#include "common/msg.h"

enum { ASKER_RATE = 1000 }; /* signatures a second for one worker; then it waits */

/* Serve a worker by the channel at `fd`, which is taken over. */
void askers_add(struct event_base *base, uint32_t worker, int fd);

/* Signatures so far. */
uint64_t askers_signed(void);

/* Close all channels. */
void askers_close(void);

#endif
