/*
 * What the mbox store tells beside its table of functions.
 */
#ifndef POP3D_STORE_MBOX_H
#define POP3D_STORE_MBOX_H

#include "worker/store/store.h"

/* The SHA-256 of what is shown of message i, good until the next call for the store; NULL: it
 * cannot be told any more, and the listing is lost. */
const uint8_t *mbox_digest(struct store *s, size_t i);

#endif
