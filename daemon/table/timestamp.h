/*
 * The timestamp of a greeting that announces APOP (RFC 1939 section 7).
 */
#ifndef POP3D_TIMESTAMP_H
#define POP3D_TIMESTAMP_H

#include "common/msg.h"

/*
 * Write "<RANDOM.TIME.PID@HOST>", the form of a message id, to `out`: 128 random
 * bits, seconds and process in hexadecimal.  HOST is "localhost" if the name does
 * not fit in.  Empty without randomness (getrandom(2)): no APOP then.
 */
void timestamp_make(char out[MSG_STAMP_SIZE], const char *host);

#endif
