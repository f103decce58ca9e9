/*
 * The login workers, each with a channel of its own to the dispatcher.
 */
#ifndef POP3D_DISPATCH_WORKERS_H
#define POP3D_DISPATCH_WORKERS_H

#include <event2/event.h>
#include <stdint.h>

#include "common/msg.h"

/* A request of worker `number`; the callee wipes nothing. */
typedef void worker_ask_fn(uint32_t number, const struct msg_login_ask *ask);
/* A worker's channel ended with that errno and is closed.  One that lives on without us is of no
 * use. */
typedef void worker_bad_fn(uint32_t number, int error);

/* Once, before everything else. */
void workers_init(struct event_base *base, worker_ask_fn *ask, worker_bad_fn *bad);

/* A channel to a worker (fd, owned from here on), in place of one it may have had. */
void workers_add(uint32_t number, int fd);

/* The worker has ended. */
void workers_remove(uint32_t number);

/* A worker broke that rule: give it up. */
void workers_give_up(uint32_t number, const char *why);

/* Tell a worker the end of a login; nothing happens if it has gone. */
void workers_refuse(uint32_t number, const struct msg_login_refused *m);

#endif
