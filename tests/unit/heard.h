/*
 * What was logged, as text: "PRIO LINE\n" for each line.
 */
#ifndef POP3D_TESTS_HEARD_H
#define POP3D_TESTS_HEARD_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

static char heard[4096];

static inline void
heard_put(int prio, conn_id id, const char *text)
{
	size_t n = strlen(heard);

	(void)id;
	(void)snprintf(heard + n, sizeof(heard) - n, "%d %s\n", prio, text);
}

static inline bool
heard_is_ready(void)
{
	return true;
}

static inline int
heard_wait_fd(void)
{
	return -1;
}

/* From now on lines go to `heard`, which is empty. */
static inline void
heard_begin(void)
{
	static const struct log_sink sink = {heard_put, heard_is_ready, heard_wait_fd,
					     heard_is_ready};

	heard[0] = '\0';
	log_to(&sink);
}

#endif
