/*
 * A log that goes nowhere.
 */
#ifndef POP3D_TESTS_FUZZ_QUIET_H
#define POP3D_TESTS_FUZZ_QUIET_H

#include <stdbool.h>

#include "common/log.h"

static inline void
quiet_put(int prio, conn_id id, const char *text)
{
	(void)prio, (void)id, (void)text;
}

static inline bool
quiet_yes(void)
{
	return true;
}

static inline int
quiet_fd(void)
{
	return -1;
}

static inline void
quiet(void)
{
	static const struct log_sink nowhere = {quiet_put, quiet_yes, quiet_fd, quiet_yes};

	log_to(&nowhere);
}

#endif
