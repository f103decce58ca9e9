/*
 * The status page: HTML without a script, and without anything from elsewhere.
 */
#ifndef POP3D_EXPORTER_PAGE_H
#define POP3D_EXPORTER_PAGE_H

#include <stdio.h>

/* Write it.  `text`: what the daemon says; NULL: it says nothing, for the reason `why`. */
void page_write(FILE *out, const char *text, const char *why);

#endif
