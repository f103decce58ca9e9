/*
 * A table as the daemon sends it: columns by TAB.
 */
#ifndef POP3D_CTL_COLUMNS_H
#define POP3D_CTL_COLUMNS_H

#include <stddef.h>

enum { COLUMNS_MAX = 32 /* of a table */ };

/* Cut a line of a table at its tabs, in place.  How many cells there are. */
size_t columns_cut(char *line, char *column[COLUMNS_MAX]);

#endif
