/*
 * What is counted since the start, for "pop3ctl metrics" and "pop3ctl status".  A metric is
 * declared once, in a row of the table in totals.c; whoever sees the event adds to it.
 *
 * No label's value comes from a client: each is one of a table, or a name of the configuration.
 */
#ifndef POP3D_TOTALS_H
#define POP3D_TOTALS_H

#include <stdint.h>
#include <stdio.h>

enum total {
	/* counters */
	TOTAL_ACCEPTED,
	TOTAL_REFUSED,	      /* by reason */
	TOTAL_UNDECIDED_ENDS, /* by enum conn_end */
	TOTAL_HANDSHAKES,     /* by TLS version */
	TOTAL_LOGINS,	      /* by enum login_result and enum login_mech */
	TOTAL_THROTTLED,
	TOTAL_SESSION_ENDS, /* by enum session_end */
	TOTAL_RETRIEVED,
	TOTAL_RETRIEVED_OCTETS,
	TOTAL_DELETED,
	TOTAL_KEPT,
	TOTAL_UNDONE,
	TOTAL_INDEX, /* by enum index_found, without the first */
	TOTAL_FETCHED_AGAIN,
	TOTAL_VANISHED,
	TOTAL_CRASHES,
	TOTAL_LOST,	/* processes, by enum role */
	TOTAL_LOG_LOST, /* by enum totals_log */
	/* histograms of milliseconds */
	TOTAL_CHECK_TIME,
	TOTAL_WRONG_TIME,
	TOTAL_LOGIN_TIME,
	TOTAL_UPDATE_TIME,
	/* gauges, set before they are printed */
	TOTAL_CONNECTIONS, /* by enum conn_state */
	TOTAL_CONNECTIONS_MAX,
	TOTAL_SPARES,
	TOTAL_WORKERS,
	TOTAL_WORKER_CONNECTIONS,
	TOTAL_WORKER_MEMORY,
	TOTAL_STARTED, /* time(2) */
	/* gauges whose labels the configuration names */
	TOTAL_SERVER_CONNECTIONS,
	TOTAL_CERTIFICATES,
	TOTAL_BUILD,
	TOTAL_COUNT
};

/* Why a line did not reach the log. */
enum totals_log { TOTALS_LOG_SYSLOG, TOTALS_LOG_RATE };

/* A login that was right, but whose client had gone: beside the values of enum login_result. */
enum { TOTALS_LOGIN_GONE = 5 };

/* Add `n` to a counter; `a` and `b` are the places of its labels' values, 0 for a label that it
 * has not.  A place that is none is not counted. */
void totals_add(enum total t, unsigned a, unsigned b, uint64_t n);

/* Count one, by the name of its only label's value; a name that is none counts as "other". */
void totals_add_named(enum total t, const char *value);

/* Count one that took so many milliseconds. */
void totals_time(enum total t, uint64_t ms);

/* What a gauge is now. */
void totals_set(enum total t, unsigned a, uint64_t value);

/* The sum over all labels of a counter or gauge; of a histogram, how many were counted. */
uint64_t totals_sum(enum total t);

/* The sum over the values of the second label. */
uint64_t totals_of(enum total t, unsigned a);

/*
 * Print all in the text format of Prometheus, version 0.0.4.  `more` prints the samples of those
 * whose labels the configuration names, by totals_sample().
 */
typedef void totals_more_fn(void *arg, FILE *out, enum total t);
void totals_print(FILE *out, totals_more_fn *more, void *arg);

/* One sample of such a metric, with its labels' values. */
void totals_sample(FILE *out, enum total t, const char *const values[], uint64_t value);

#endif
