/*
 * What master does when it settles, and once a second: each part's own step, in
 * one order.
 */
#ifndef POP3D_STEPS_H
#define POP3D_STEPS_H

#include "daemon/base.h"

/* For settle_new(): `arg` is master. */
void steps_settle(void *arg);

/* A second has passed. */
void steps_tick(struct master *m);

#endif
