/*
 * The rows of `pop3ctl top`: what the daemon says of each connection, how fast each is, and which
 * are shown in which order.  No terminal here.
 */
#ifndef POP3D_CTL_TOP_TABLE_H
#define POP3D_CTL_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a connection, the most important first: a column each. */
enum top_fact {
	TOP_USER,
	TOP_SERVER,
	TOP_FROM,
	TOP_STATE,
	TOP_IDLE,
	TOP_RATE,
	TOP_LEFT,
	TOP_SENT,
	TOP_WAITING,
	TOP_COMMAND,
	TOP_AGE,
	TOP_RETRIEVED,
	TOP_MESSAGES,
	TOP_DELETED,
	TOP_MAILBOX,
	TOP_ID,
	TOP_FACTS
};

/* A counter over the last refreshes. */
enum { TOP_SAMPLES = 6 };

struct top_rate {
	unsigned n; /* samples, the oldest first */
	struct {
		uint64_t ms, count;
	} sample[TOP_SAMPLES];
};

/* Add what a counter shows at the time `ms` of clock_ms(); one that went back begins anew. */
void top_rate_add(struct top_rate *r, uint64_t ms, uint64_t count);

/* By how much it grew in a second, over the samples that are kept; NAN: there is one only. */
double top_rate_of(const struct top_rate *r);

struct top_row {
	const char *text[TOP_FACTS]; /* as the daemon says it; TOP_RATE: empty */
	double number[TOP_FACTS];    /* NAN: not known, or no number */
	struct top_rate sent;
};

struct top_table {
	char *text; /* what the rows point into */
	struct top_row *rows;
	size_t n;
};

/*
 * Make a table of the answer to "sessions" (malloc'ed; the table's from now on), got at the time
 * `ms` of clock_ms().  Columns are found by their names; one that the daemon does not have is not
 * known.  `before`: the table of the refresh before, for the rates.  0, or -1: no memory, and the
 * table is empty.
 */
int top_table_make(struct top_table *t, char *text, uint64_t ms, const struct top_table *before);
void top_table_free(struct top_table *t);

/* The row of that connection; NULL: it has gone. */
const struct top_row *top_table_find(const struct top_table *t, const char *id);

/* Octets that all rows' clients take in a second. */
double top_table_rate(const struct top_table *t);

/* Is the filter (empty: none) in one of the row's texts, small letters and capitals the same? */
bool top_row_fits(const struct top_row *row, const char *filter);

/*
 * The rows that fit the filter, in order: by the fact, what is not known at the end, and equal ones
 * by user and id.  Into rows[], of room for t->n.  Returns how many.
 */
size_t top_table_order(const struct top_table *t, const char *filter, enum top_fact by,
		       bool falling, const struct top_row **rows);

#endif
