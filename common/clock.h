/*
 * The monotonic clock, and how times of day are written.
 */
#ifndef POP3D_CLOCK_H
#define POP3D_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

/* Milliseconds since some moment before this process began (clock_gettime(2), CLOCK_MONOTONIC). */
uint64_t clock_ms(void);

/* Milliseconds as libevent takes them. */
struct timeval clock_timeval(uint64_t ms);

/* A time of time(2) in UTC, "2026-01-31T23:59:59Z"; "unknown" for one before 1970.  Returns dst. */
enum { CLOCK_UTC_SIZE = 24 };
const char *clock_utc(char dst[CLOCK_UTC_SIZE], int64_t t);

#endif
