#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf_priv.h"

enum { LINE_MAX_SIZE = 4096 /* octets that are told of a fault */ };

static void __attribute__((format(printf, 5, 0)))
say(struct conf_faults *f, struct conf_place at, bool is_fault, const char *grade, const char *fmt,
    va_list ap)
{
	char text[LINE_MAX_SIZE / 2], line[LINE_MAX_SIZE], number[16] = "";

	if (f->hearer == NULL)
		return;
	if (at.line > 0)
		(void)snprintf(number, sizeof(number), ":%d", at.line);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)snprintf(line, sizeof(line), "%s%s: %s%s", at.path, number, grade, text);
	f->hearer->hear(f->hearer->arg, is_fault, line);
}

void
conf_fault(struct conf_faults *f, struct conf_place at, const char *fmt, ...)
{
	va_list ap;

	if (++f->count > CONF_FAULTS_MAX)
		return;
	va_start(ap, fmt);
	say(f, at, true, "", fmt, ap);
	va_end(ap);
}

void
conf_warning(struct conf_faults *f, struct conf_place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, at, false, "warning: ", fmt, ap);
	va_end(ap);
}

void
conf_faults_end(struct conf_faults *f, const char *path)
{
	struct conf_faults last = {.hearer = f->hearer};

	if (f->count > CONF_FAULTS_MAX)
		conf_fault(&last, (struct conf_place){path, 0}, "and %u more faults",
			   f->count - CONF_FAULTS_MAX);
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters to add, drop, change or swap with the next to make b of a (optimal string
 * alignment); too long: many. */
static unsigned
distance(const char *a, const char *b)
{
	enum { MAX = 40 };
	unsigned d[MAX][MAX];
	size_t la = strlen(a), lb = strlen(b);

	if (la >= MAX || lb >= MAX)
		return MAX;
	for (size_t i = 0; i <= la; i++)
		for (size_t k = 0; k <= lb; k++) {
			if (i == 0 || k == 0) {
				d[i][k] = (unsigned)(i + k);
				continue;
			}
			d[i][k] = least(least(d[i - 1][k], d[i][k - 1]) + 1,
					d[i - 1][k - 1] + (a[i - 1] != b[k - 1] ? 1 : 0));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
		}
	return d[la][lb];
}

void
conf_nearest(const char *name, const char *candidate, const char **nearest, unsigned *best)
{
	unsigned d = distance(name, candidate);

	if (d > 3 || d * 3 > strlen(candidate) || d >= *best)
		return;
	*nearest = candidate;
	*best = d;
}
