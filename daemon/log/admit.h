/*
 * How much another process may log: so many lines at once, and so many a second
 * afterwards.  Whoever was taken over must not fill the disk.
 */
#ifndef POP3D_LOG_ADMIT_H
#define POP3D_LOG_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

/* Of one process; begins zeroed. */
struct log_bucket {
	uint64_t filled; /* clock_ms() */
	uint32_t lines;	 /* that it may still write */
	uint32_t dropped;
};

/* May process `pid` of `role` write one line more at `now` (clock_ms())?  What was left out is
 * told in a line of its own. */
bool log_admit(struct log_bucket *b, enum role role, long pid, uint64_t now);

#endif
