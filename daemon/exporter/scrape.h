/*
 * What the daemon says at its metrics socket, and the numbers in it.
 */
#ifndef POP3D_EXPORTER_SCRAPE_H
#define POP3D_EXPORTER_SCRAPE_H

#include <stdint.h>
#include <stdio.h>

/* Ask at the socket of that path, for five seconds at most.  The text, malloc'ed, the caller's;
 * NULL with errno: EBADMSG if the daemon refused. */
char *scrape(const char *path);

/* The sum of a metric's samples whose labels have `with` in them (NULL: of all). */
double scrape_sum(const char *text, const char *name, const char *with);

/* Each sample of a metric: its labels, as they stand between the braces, and its value. */
typedef void scrape_sample_fn(void *arg, const char *labels, size_t len, double value);
void scrape_each(const char *text, const char *name, scrape_sample_fn *fn, void *arg);

/* Print it as OpenMetrics 1.0: a counter's family has no _total, and the text an end. */
void scrape_openmetrics(const char *text, FILE *out);

#endif
