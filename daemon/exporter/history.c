#include "config.h"

#include "daemon/exporter/history.h"

#include <stdbool.h>
#include <string.h>

#include "daemon/exporter/scrape.h"

static const struct {
	const char *name, *with;
} metrics[HISTORY_VALUES] = {
    [HISTORY_LOGINS] = {"pop3d_logins_total", "result=\"ok\""},
    [HISTORY_FAILED] = {"pop3d_logins_total", "result=\"auth\""},
    [HISTORY_RETRIEVED] = {"pop3d_messages_retrieved_total", NULL},
    [HISTORY_OCTETS] = {"pop3d_messages_retrieved_bytes_total", NULL},
};

/* One more than minutes: an increase is between two. */
static struct sample {
	bool known;
	double values[HISTORY_VALUES];
} ring[HISTORY_MINUTES + 1];
static size_t count, next;

void
history_add(const char *text)
{
	struct sample *s = &ring[next];

	*s = (struct sample){.known = text != NULL};
	for (size_t i = 0; i < HISTORY_VALUES && text != NULL; i++)
		s->values[i] = scrape_sum(text, metrics[i].name, metrics[i].with);
	next = (next + 1) % (HISTORY_MINUTES + 1);
	count += count <= HISTORY_MINUTES;
}

size_t
history_rates(enum history_value v, double dst[HISTORY_MINUTES])
{
	size_t n = count > 0 ? count - 1 : 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = (next + HISTORY_MINUTES + 1 - count + i) % (HISTORY_MINUTES + 1);
		const struct sample *a = &ring[at], *b = &ring[(at + 1) % (HISTORY_MINUTES + 1)];
		double grown = b->values[v] - a->values[v];

		/* a daemon that was started anew counts from 0 */
		dst[i] = !a->known || !b->known ? -1 : grown < 0 ? b->values[v] : grown;
	}
	return n;
}
