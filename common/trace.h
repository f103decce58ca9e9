/*
 * The form of a client's line that a trace may show: words known to be harmless
 * as they came, all else as "****" or as a length.  Pure.
 */
#ifndef POP3D_TRACE_H
#define POP3D_TRACE_H

#include <stdbool.h>
#include <stddef.h>

enum { TRACE_TEXT_SIZE = 512 };

/* Write the showable form of a command line (or, with `sasl`, of a response) into `dst`,
 * terminated.  Returns its length. */
size_t trace_mask(char dst[TRACE_TEXT_SIZE], const char *line, size_t len, bool sasl);

#endif
