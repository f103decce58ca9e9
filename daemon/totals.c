#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/count.h"
#include "common/names.h"
#include "daemon/totals.h"

enum {
	LABELS_MAX = 2,
	CELLS_MAX = 32, /* values of the first label times those of the second */
	BUCKETS = 13	/* of a histogram, without the last, which has no bound */
};

enum kind { COUNTER, GAUGE, HISTOGRAM };

/* A label and its values, by their place; the name of a place that is none is NULL. */
struct label {
	const char *name;
	const char *(*value)(unsigned place); /* NULL: the configuration names them */
};

/* Upper bounds, in milliseconds. */
static const uint32_t bounds[BUCKETS] = {5,    10,   25,   50,	  100,	 250,  500,
					 1000, 2500, 5000, 10000, 30000, 60000};

static struct {
	uint64_t cells[CELLS_MAX]; /* of a histogram: those up to each bound, and beyond */
	uint64_t ms;		   /* sum of a histogram */
} totals[TOTAL_COUNT];

/* ---- values of labels ---- */

static const char *
word_at(const char *const words[], size_t n, unsigned place)
{
	return place < n ? words[place] : NULL;
}

static const char *
result_value(unsigned place)
{
	if (place == TOTALS_LOGIN_GONE)
		return "gone";
	return place < TOTALS_LOGIN_GONE ? login_result_name((enum login_result)place) : NULL;
}

static const char *
mechanism_value(unsigned place)
{
	return place < MECH_COUNT ? login_mech_name((enum login_mech)place) : NULL;
}

static const char *
conn_end_value(unsigned place)
{
	return place < CONN_END_COUNT ? conn_end_name((enum conn_end)place) : NULL;
}

static const char *
session_end_value(unsigned place)
{
	return place < SESSION_END_COUNT ? session_end_name((enum session_end)place) : NULL;
}

static const char *
role_value(unsigned place)
{
	return place < ROLE_COUNT ? role_name((enum role)place) : NULL;
}

/* As daemon/ports/ names them. */
static const char *
refused_value(unsigned place)
{
	static const char *const words[] = {"other",
					    "max_connections",
					    "max_connections_per_address",
					    "max_connections_per_network",
					    "max_connections_per_site",
					    "proxy_from",
					    "allow",
					    "deny"};

	return word_at(words, COUNT_OF(words), place);
}

static const char *
version_value(unsigned place)
{
	/* enum conn_version, without the first */
	static const char *const words[] = {"TLSv1.2", "TLSv1.3"};

	return word_at(words, COUNT_OF(words), place);
}

static const char *
index_value(unsigned place)
{
	/* enum index_found, without the first */
	static const char *const words[] = {"current", "rebuilt"};

	return word_at(words, COUNT_OF(words), place);
}

static const char *
log_value(unsigned place)
{
	static const char *const words[] = {
	    [TOTALS_LOG_SYSLOG] = "syslog", [TOTALS_LOG_RATE] = "rate"};

	return word_at(words, COUNT_OF(words), place);
}

static const char *
state_value(unsigned place)
{
	/* enum conn_state, daemon/table/conn.h */
	static const char *const words[] = {"new",     "waiting", "login",  "lookup",
					    "granted", "offered", "session"};

	return word_at(words, COUNT_OF(words), place);
}

/* ---- the metrics ---- */

static const struct metric {
	const char *name;
	enum kind kind;
	const char *help;
	struct label labels[LABELS_MAX];
} metrics[TOTAL_COUNT] = {
    [TOTAL_ACCEPTED] = {"pop3d_connections_accepted_total",
			COUNTER,
			"Clients that were accepted.",
			{{NULL, NULL}}},
    [TOTAL_REFUSED] = {"pop3d_connections_refused_total",
		       COUNTER,
		       "Clients that a limit or a list of networks turned away.",
		       {{"reason", refused_value}}},
    [TOTAL_UNDECIDED_ENDS] = {"pop3d_connections_ended_before_login_total",
			      COUNTER,
			      "Connections that ended before a session had them.",
			      {{"reason", conn_end_value}}},
    [TOTAL_HANDSHAKES] = {"pop3d_tls_connections_total",
			  COUNTER,
			  "Connections with a finished TLS handshake, when they are over.",
			  {{"version", version_value}}},
    [TOTAL_LOGINS] = {"pop3d_logins_total",
		      COUNTER,
		      "Logins that were decided.",
		      {{"result", result_value}, {"mechanism", mechanism_value}}},
    [TOTAL_THROTTLED] = {"pop3d_logins_throttled_total",
			 COUNTER,
			 "Logins that were refused unchecked: too many have failed before.",
			 {{NULL, NULL}}},
    [TOTAL_SESSION_ENDS] = {"pop3d_sessions_ended_total",
			    COUNTER,
			    "Sessions that have ended.",
			    {{"reason", session_end_value}}},
    [TOTAL_RETRIEVED] = {"pop3d_messages_retrieved_total",
			 COUNTER,
			 "Messages that clients have fetched whole.",
			 {{NULL, NULL}}},
    [TOTAL_RETRIEVED_OCTETS] = {"pop3d_messages_retrieved_bytes_total",
				COUNTER,
				"Octets of those messages.",
				{{NULL, NULL}}},
    [TOTAL_DELETED] = {"pop3d_messages_deleted_total",
		       COUNTER,
		       "Messages that were deleted.",
		       {{NULL, NULL}}},
    [TOTAL_KEPT] = {"pop3d_deletions_failed_total",
		    COUNTER,
		    "Messages that QUIT was to delete and that could not be deleted.",
		    {{NULL, NULL}}},
    [TOTAL_UNDONE] = {"pop3d_deletions_undone_total",
		      COUNTER,
		      "Messages that were marked as deleted in sessions that ended without QUIT.",
		      {{NULL, NULL}}},
    [TOTAL_INDEX] = {"pop3d_index_opens_total",
		     COUNTER,
		     "Logins to a Maildir whose index was current, or was rebuilt.",
		     {{"result", index_value}}},
    [TOTAL_FETCHED_AGAIN] =
	{"pop3d_sessions_fetched_again_total",
	 COUNTER,
	 "Sessions that fetched many messages which an earlier one had fetched.",
	 {{NULL, NULL}}},
    [TOTAL_VANISHED] = {"pop3d_sessions_uids_vanished_total",
			COUNTER,
			"Sessions that missed many unique-ids of the one before.",
			{{NULL, NULL}}},
    [TOTAL_CRASHES] = {"pop3d_session_crashes_total",
		       COUNTER,
		       "Sessions that crashed.",
		       {{NULL, NULL}}},
    [TOTAL_LOST] = {"pop3d_processes_lost_total",
		    COUNTER,
		    "Processes that ended when they should not have, and are started again.",
		    {{"role", role_value}}},
    [TOTAL_LOG_LOST] = {"pop3d_log_lines_lost_total",
			COUNTER,
			"Lines that did not reach the log: syslog did not take them, or a process "
			"wrote more than it may.",
			{{"reason", log_value}}},
    [TOTAL_CHECK_TIME] = {"pop3d_login_check_seconds",
			  HISTOGRAM,
			  "Time that PAM or another back end took for a right password.",
			  {{NULL, NULL}}},
    [TOTAL_WRONG_TIME] = {"pop3d_login_check_wrong_seconds",
			  HISTOGRAM,
			  "Time that PAM or another back end took to refuse a password.",
			  {{NULL, NULL}}},
    [TOTAL_LOGIN_TIME] = {"pop3d_login_open_seconds",
			  HISTOGRAM,
			  "Time from a right password to the opened mailbox.",
			  {{NULL, NULL}}},
    [TOTAL_UPDATE_TIME] = {"pop3d_update_seconds",
			   HISTOGRAM,
			   "Time of UPDATE in sessions that deleted messages.",
			   {{NULL, NULL}}},
    [TOTAL_CONNECTIONS] = {"pop3d_connections",
			   GAUGE,
			   "Connections by state; waiting, granted and lookup are queues.",
			   {{"state", state_value}}},
    [TOTAL_CONNECTIONS_MAX] = {"pop3d_connections_limit",
			       GAUGE,
			       "The setting max_connections.",
			       {{NULL, NULL}}},
    [TOTAL_SPARES] = {"pop3d_spare_sessions",
		      GAUGE,
		      "Session processes that wait for a login.",
		      {{NULL, NULL}}},
    [TOTAL_WORKERS] = {"pop3d_workers",
		       GAUGE,
		       "Worker processes, those that end included.",
		       {{NULL, NULL}}},
    [TOTAL_WORKER_CONNECTIONS] = {"pop3d_worker_connections",
				  GAUGE,
				  "Connections that workers have.",
				  {{NULL, NULL}}},
    [TOTAL_WORKER_MEMORY] = {"pop3d_worker_resident_memory_bytes",
			     GAUGE,
			     "Resident memory of all workers; shared pages count in each.",
			     {{NULL, NULL}}},
    [TOTAL_STARTED] = {"pop3d_start_time_seconds",
		       GAUGE,
		       "When the daemon was started, in seconds since 1970.",
		       {{NULL, NULL}}},
    [TOTAL_SERVER_CONNECTIONS] = {"pop3d_server_connections",
				  GAUGE,
				  "Connections of each server.",
				  {{"server", NULL}}},
    [TOTAL_CERTIFICATES] = {"pop3d_certificate_not_after_timestamp_seconds",
			    GAUGE,
			    "When each certificate of a server expires, in seconds since 1970.",
			    {{"server", NULL}, {"certificate", NULL}}},
    [TOTAL_BUILD] = {"pop3d_build_info", GAUGE, "Always 1.", {{"version", NULL}}},
};

static bool
labels_are_given(const struct metric *k)
{
	return k->labels[0].name != NULL && k->labels[0].value == NULL;
}

/* How many values a label has; 1 for none. */
static unsigned
label_count(const struct label *l)
{
	unsigned n = 0;

	if (l->name == NULL)
		return 1;
	while (l->value(n) != NULL)
		n++;
	return n;
}

/* Its cell; CELLS_MAX: there is none. */
static size_t
cell_of(enum total t, unsigned a, unsigned b)
{
	const struct metric *k = &metrics[t];
	unsigned seconds = label_count(&k->labels[1]);

	if (a >= label_count(&k->labels[0]) || b >= seconds)
		return CELLS_MAX;
	return (size_t)a * seconds + b;
}

void
totals_add(enum total t, unsigned a, unsigned b, uint64_t n)
{
	size_t cell = cell_of(t, a, b);

	if (cell < CELLS_MAX)
		totals[t].cells[cell] += n;
}

void
totals_add_named(enum total t, const char *value)
{
	const struct label *l = &metrics[t].labels[0];
	unsigned place = 0;

	for (unsigned i = label_count(l); i-- > 0;)
		if (strcmp(l->value(i), value) == 0)
			place = i;
	totals_add(t, place, 0, 1);
}

void
totals_time(enum total t, uint64_t ms)
{
	size_t i = 0;

	while (i < BUCKETS && ms > bounds[i])
		i++;
	totals[t].cells[i]++;
	totals[t].ms += ms;
}

void
totals_set(enum total t, unsigned a, uint64_t value)
{
	size_t cell = cell_of(t, a, 0);

	if (cell < CELLS_MAX)
		totals[t].cells[cell] = value;
}

uint64_t
totals_sum(enum total t)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < CELLS_MAX; i++)
		sum += totals[t].cells[i];
	return sum;
}

uint64_t
totals_of(enum total t, unsigned a)
{
	uint64_t sum = 0;

	for (unsigned b = 0; cell_of(t, a, b) < CELLS_MAX; b++)
		sum += totals[t].cells[cell_of(t, a, b)];
	return sum;
}

/* ---- printing ---- */

static void
print_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			fputs("\\n", out);
		else
			fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void
print_labels(FILE *out, const struct metric *k, const char *const values[])
{
	for (size_t i = 0; i < LABELS_MAX && k->labels[i].name != NULL; i++) {
		fprintf(out, "%c%s=\"", i == 0 ? '{' : ',', k->labels[i].name);
		print_escaped(out, values[i]);
		fputc('"', out);
	}
	if (k->labels[0].name != NULL)
		fputc('}', out);
}

void
totals_sample(FILE *out, enum total t, const char *const values[], uint64_t value)
{
	fputs(metrics[t].name, out);
	print_labels(out, &metrics[t], values);
	fprintf(out, " %" PRIu64 "\n", value);
}

/* Every value that its labels can have, so that a rate is known from the first event on. */
static void
print_samples(FILE *out, enum total t)
{
	const struct label *l = metrics[t].labels;

	for (unsigned a = 0; a < label_count(&l[0]); a++)
		for (unsigned b = 0; b < label_count(&l[1]); b++) {
			const char *values[LABELS_MAX] = {l[0].name != NULL ? l[0].value(a) : NULL,
							  l[1].name != NULL ? l[1].value(b) : NULL};

			totals_sample(out, t, values, totals[t].cells[cell_of(t, a, b)]);
		}
}

static void
print_histogram(FILE *out, enum total t)
{
	const char *name = metrics[t].name;
	uint64_t n = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		n += totals[t].cells[i];
		fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i] / 1000.0, n);
	}
	n += totals[t].cells[BUCKETS];
	fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64 ".%03u\n", name, n, name,
		totals[t].ms / 1000, (unsigned)(totals[t].ms % 1000));
	fprintf(out, "%s_count %" PRIu64 "\n", name, n);
}

void
totals_print(FILE *out, totals_more_fn *more, void *arg)
{
	static const char *const kinds[] = {
	    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

	for (enum total t = 0; t < TOTAL_COUNT; t++) {
		const struct metric *k = &metrics[t];

		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", k->name, k->help, k->name,
			kinds[k->kind]);
		if (k->kind == HISTOGRAM)
			print_histogram(out, t);
		else if (labels_are_given(k))
			more(arg, out, t);
		else
			print_samples(out, t);
	}
}
