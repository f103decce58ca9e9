#include "config.h"

#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "common/log.h"
#include "common/source.h"
#include "daemon/ports/refused.h"
#include "daemon/totals.h"

enum {
	ROWS = 64,	    /* sources that are told apart; more of them are one sum */
	TOGETHER_MS = 10000 /* that are told in one line */
};

/* Clients of one source that were turned away since a line told of the first. */
struct row {
	const char *reason; /* NULL: free */
	struct source source;
	char server[MSG_SERVER_SIZE];
	struct msg_addr last; /* of them */
	uint64_t since;	      /* clock_ms() */
	unsigned long count;
};

struct refused {
	struct row rows[ROWS];
	struct row others; /* of more sources; the last of them stands for all */
};

struct refused *
refused_new(void)
{
	return calloc(1, sizeof(struct refused));
}

static void
tell(const struct row *r, unsigned long count, const char *sources)
{
	char peer[LOG_ADDR_SIZE];

	log_info(0, "refused server=%s peer=%s reason=%s count=%lu%s", r->server,
		 log_addr(peer, &r->last), r->reason, count, sources);
}

static void
row_begin(struct row *r, uint64_t now, const char *server, const struct msg_addr *peer,
	  const char *reason)
{
	*r = (struct row){.reason = reason, .last = *peer, .since = now};
	source_set(&r->source, peer);
	(void)strlcpy(r->server, server, sizeof(r->server));
}

static bool
row_is_of(const struct row *r, const char *server, const struct source *source, const char *reason)
{
	return r->reason != NULL && strcmp(r->reason, reason) == 0 &&
	       memcmp(&r->source, source, sizeof(*source)) == 0 && strcmp(r->server, server) == 0;
}

/* The row of this source, else a free one, else NULL. */
static struct row *
find(struct refused *f, const char *server, const struct msg_addr *peer, const char *reason)
{
	struct row *spare = NULL;
	struct source source;

	source_set(&source, peer);
	for (size_t i = 0; i < COUNT_OF(f->rows); i++)
		if (row_is_of(&f->rows[i], server, &source, reason))
			return &f->rows[i];
		else if (f->rows[i].reason == NULL)
			spare = &f->rows[i];
	return spare;
}

void
refused_add(struct refused *f, uint64_t now, const char *server, const struct msg_addr *peer,
	    const char *reason)
{
	struct row *r;

	totals_add_named(TOTAL_REFUSED, reason);
	refused_tick(f, now);
	if ((r = find(f, server, peer, reason)) == NULL) {
		r = &f->others;
		if (r->reason == NULL)
			row_begin(r, now, server, peer, reason);
	} else if (r->reason == NULL) {
		row_begin(r, now, server, peer, reason);
		tell(r, 1, "");
		return;
	}
	r->last = *peer;
	r->count++;
}

static void
row_tick(struct row *r, uint64_t now, const char *sources)
{
	if (r->reason == NULL || now - r->since < TOGETHER_MS)
		return;
	if (r->count > 0)
		tell(r, r->count, sources);
	r->reason = NULL;
}

void
refused_tick(struct refused *f, uint64_t now)
{
	for (size_t i = 0; i < COUNT_OF(f->rows); i++)
		row_tick(&f->rows[i], now, "");
	row_tick(&f->others, now, " sources=many");
}
