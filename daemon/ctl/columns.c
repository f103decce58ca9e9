#include "config.h"

#include <string.h>

#include "daemon/ctl/columns.h"

size_t
columns_cut(char *line, char *column[COLUMNS_MAX])
{
	size_t n = 0;

	while (line != NULL && n < COLUMNS_MAX)
		column[n++] = strsep(&line, "\t");
	return n;
}
