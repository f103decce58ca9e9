/*
 * What the mbox store tells beside its table of functions.
 */
#ifndef POP3D_STORE_MBOX_H
#define POP3D_STORE_MBOX_H

#include "worker/store/store.h"

/* The SHA-256 of what is shown of message i; the store's, until close(). */
const uint8_t *mbox_digest(const struct store *s, size_t i);

#endif
