/*
 * The monotonic clock.
 */
#ifndef POP3D_CLOCK_H
#define POP3D_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

/* Milliseconds since some moment before this process began (clock_gettime(2), CLOCK_MONOTONIC). */
uint64_t clock_ms(void);

/* Milliseconds as libevent takes them. */
struct timeval clock_timeval(uint64_t ms);

#endif
