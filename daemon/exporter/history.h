/*
 * The last hour: what the daemon had counted at each minute.
 */
#ifndef POP3D_EXPORTER_HISTORY_H
#define POP3D_EXPORTER_HISTORY_H

#include <stddef.h>

enum { HISTORY_MINUTES = 60 };

/* The values that are kept. */
enum history_value {
	HISTORY_LOGINS,
	HISTORY_FAILED,	   /* logins */
	HISTORY_RETRIEVED, /* messages */
	HISTORY_OCTETS,
	HISTORY_VALUES
};

/* A minute is over: `text` is what the daemon says; NULL: it says nothing. */
void history_add(const char *text);

/* The increase in each minute, the oldest first; -1 where it is not known.  How many of `dst`. */
size_t history_rates(enum history_value v, double dst[HISTORY_MINUTES]);

#endif
