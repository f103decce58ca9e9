#include "config.h"

#include "worker/login/shed.h"

#include <stdlib.h>
#include <string.h>

#include "common/source.h"

enum shed_rank { SHED_HANDSHAKE, SHED_SILENT, SHED_SPOKE, SHED_NAMED, SHED_NEVER };

struct candidate {
	struct source network;
	enum shed_rank rank;
	uint32_t order; /* at random */
	struct conn *conn;
};

static enum shed_rank
rank_of(const struct conn *c)
{
	if (c->state == CONN_PROXY)
		return SHED_HANDSHAKE;
	if (c->row.trusted)
		return SHED_NEVER;
	if (c->state == CONN_HANDSHAKE)
		return SHED_HANDSHAKE;
	if (c->state == CONN_SASL)
		return SHED_NAMED;
	if (c->state == CONN_STLS_WAIT || c->state == CONN_STLS_GO)
		return SHED_SPOKE;
	if (c->state != CONN_COMMAND)
		return SHED_NEVER;
	return c->user != NULL ? SHED_NAMED : c->greeted ? SHED_SPOKE : SHED_SILENT;
}

/* Who goes first, wherever they are from. */
static int
order_compare(const struct candidate *x, const struct candidate *y)
{
	int order = (x->rank > y->rank) - (x->rank < y->rank);

	return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static int
candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = memcmp(&x->network, &y->network, sizeof(x->network));

	return order != 0 ? order : order_compare(x, y);
}

static size_t
candidates_list(const struct worker *w, struct candidate *list)
{
	struct conn *c;
	size_t n = 0;

	RB_FOREACH (c, conn_tree, (struct conn_tree *)(uintptr_t)&w->conns)
		if (rank_of(c) != SHED_NEVER) {
			list[n] = (struct candidate){
			    .rank = rank_of(c), .order = arc4random(), .conn = c};
			source_network(&list[n++].network, &c->row.peer, NETWORK_BITS4,
				       NETWORK_BITS6);
		}
	return n;
}

struct conn *
shed_choose(const struct worker *w)
{
	struct candidate *list = calloc(w->nconns + 1, sizeof(*list));
	size_t n = list != NULL ? candidates_list(w, list) : 0, most = 0;
	const struct candidate *found = NULL;
	struct conn *c;

	if (n > 0)
		qsort(list, n, sizeof(*list), candidate_compare);
	for (size_t first = 0, i = 1; i <= n; i++) {
		if (i < n &&
		    memcmp(&list[i].network, &list[first].network, sizeof(list[i].network)) == 0)
			continue;
		if (i - first > most ||
		    (i - first == most && order_compare(&list[first], found) < 0)) {
			most = i - first;
			found = &list[first];
		}
		first = i;
	}
	c = found != NULL ? found->conn : NULL;
	free(list);
	return c;
}
