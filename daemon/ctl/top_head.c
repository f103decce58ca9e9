#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "daemon/ctl/top_head.h"
#include "daemon/ctl/top_layout.h"

enum { VALUE_SIZE = 256, DAY = 24 * 60 * 60, CERTIFICATE_DAYS = 14 };

static const char *
line_next(const char *line)
{
	return line + strcspn(line, "\n") + (line[strcspn(line, "\n")] != '\0');
}

/* The value of a key, cut at its size; empty: it is not there.  Returns dst. */
static const char *
value_of(char dst[VALUE_SIZE], const char *status, const char *key)
{
	size_t len = strlen(key);

	dst[0] = '\0';
	for (const char *line = status; *line != '\0'; line = line_next(line))
		if (strncmp(line, key, len) == 0 && line[len] == '\t')
			(void)snprintf(dst, VALUE_SIZE, "%.*s", (int)strcspn(line + len + 1, "\n"),
				       line + len + 1);
	return dst;
}

static unsigned long long
count_of(const char *status, const char *key)
{
	char value[VALUE_SIZE];

	return strtoull(value_of(value, status, key), NULL, 10);
}

void
top_logins_add(struct top_logins *l, const char *status, uint64_t ms)
{
	top_rate_add(&l->done, ms, count_of(status, "logins"));
	top_rate_add(&l->failed, ms, count_of(status, "logins_failed"));
}

static void
say_rate(FILE *out, const struct top_rate *r, const char *what)
{
	double rate = top_rate_of(r);

	if (isnan(rate))
		fprintf(out, "- %s\n", what);
	else
		fprintf(out, "%.1f %s\n", rate, what);
}

static size_t
workers_count(const char *status)
{
	size_t n = 0;

	for (const char *line = status; *line != '\0'; line = line_next(line))
		n += strncmp(line, "worker ", strlen("worker ")) == 0;
	return n;
}

void
top_head_words(FILE *out, const char *status, const char *host, const struct top_logins *l,
	       double rate)
{
	char value[VALUE_SIZE], number[TOP_NUMBER_SIZE];
	size_t workers = workers_count(status);

	fprintf(out, "%s\n", host);
	fprintf(out, "pop3d %s\n", value_of(value, status, "version"));
	fprintf(out, "up %s\n", top_seconds(number, (double)count_of(status, "uptime")));
	fprintf(out, "sessions %llu\n", count_of(status, "sessions"));
	fprintf(out, "before login %llu\n", count_of(status, "undecided"));
	say_rate(out, &l->done, "logins/s");
	say_rate(out, &l->failed, "failed/s");
	fprintf(out, "sends %s/s\n", top_octets(number, rate));
	fprintf(out, "workers %zu\n", workers);
}

/* "PATH<TAB>expires=TIME": one that soon does. */
static void
warn_certificate(FILE *out, const char *line, time_t now)
{
	int path = (int)strcspn(line, "\t\n");
	const char *time = strstr(line + path, "expires=");
	struct tm tm = {0};
	time_t end;

	if (time == NULL || time > line + strcspn(line, "\n") ||
	    strptime(time + strlen("expires="), "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL)
		return;
	end = timegm(&tm);
	if (end <= now)
		fprintf(out, "certificate has expired: %.*s\n", path, line);
	else if (end - now < CERTIFICATE_DAYS * DAY)
		fprintf(out, "certificate expires in %lld days: %.*s\n",
			(long long)(end - now) / DAY, path, line);
}

void
top_head_warnings(FILE *out, const char *status, time_t now)
{
	static const struct {
		const char *key, *what;
	} counts[] = {
	    {"session_crashes", "sessions crashed"},
	    {"processes_lost", "processes ended unasked"},
	    {"log_lines_lost", "lines of the log lost"},
	    {"uids_vanished", "sessions found unique-ids gone"},
	    {"fetched_again", "sessions fetched all again"},
	};
	char value[VALUE_SIZE];

	if (value_of(value, status, "state")[0] != '\0' && strcmp(value, "serving") != 0)
		fprintf(out, "pop3d is %s\n", value);
	for (const char *line = status; *line != '\0'; line = line_next(line))
		if (strncmp(line, "certificate ", strlen("certificate ")) == 0)
			warn_certificate(out, line + strlen("certificate "), now);
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		if (count_of(status, counts[i].key) > 0)
			fprintf(out, "%s: %llu\n", counts[i].what, count_of(status, counts[i].key));
	if (value_of(value, status, "sandbox_lacks")[0] != '\0' && strcmp(value, "nothing") != 0)
		fprintf(out, "the sandbox lacks %s\n", value);
}
