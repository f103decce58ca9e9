#include "config.h"

#include "worker/login/shed.h"

#include <stdlib.h>
#include <string.h>

#include "common/source.h"

enum shed_rank {
	SHED_HANDSHAKE,
	SHED_SILENT,
	SHED_SPOKE,
	SHED_NAMED,
	SHED_ASKED, /* its login is being decided, or the refusal has its delay */
	SHED_NEVER
};

struct candidate {
	struct source network;
	enum shed_rank rank;
	uint64_t order; /* within a rank: the least goes */
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
	if (c->state == CONN_LOGIN)
		return SHED_ASKED;
	if (c->state == CONN_STLS_WAIT || c->state == CONN_STLS_GO)
		return SHED_SPOKE;
	if (c->state != CONN_COMMAND)
		return SHED_NEVER;
	return c->user != NULL ? SHED_NAMED : c->greeted ? SHED_SPOKE : SHED_SILENT;
}

/* The one that has waited longest; those of people are decided at once.  Else at random. */
static uint64_t
order_of(const struct conn *c)
{
	return c->state == CONN_LOGIN ? c->asked : arc4random();
}

static int
candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = memcmp(&x->network, &y->network, sizeof(x->network));

	if (order == 0)
		order = (x->rank > y->rank) - (x->rank < y->rank);
	return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static size_t
candidates_list(const struct worker *w, struct candidate *list)
{
	struct conn *c;
	size_t n = 0;

	RB_FOREACH (c, conn_tree, (struct conn_tree *)(uintptr_t)&w->conns)
		if (rank_of(c) != SHED_NEVER) {
			list[n] =
			    (struct candidate){.rank = rank_of(c), .order = order_of(c), .conn = c};
			source_network(&list[n++].network, &c->row.peer, NETWORK_BITS4,
				       NETWORK_BITS6);
		}
	return n;
}

/* Of a sorted list keep the first of each of those networks that have most; how many. */
static size_t
networks_with_most(struct candidate *list, size_t n)
{
	size_t most = 0, kept = 0;

	for (size_t first = 0, i = 1; i <= n; i++) {
		if (i < n &&
		    memcmp(&list[i].network, &list[first].network, sizeof(list[i].network)) == 0)
			continue;
		if (i - first > most)
			kept = 0;
		if (i - first >= most) {
			most = i - first;
			list[kept++] = list[first];
		}
		first = i;
	}
	return kept;
}

/* The rank that most of them have is the crowd's. */
static enum shed_rank
commonest_rank(const struct candidate *list, size_t n)
{
	size_t counts[SHED_NEVER] = {0};
	enum shed_rank found = SHED_HANDSHAKE;

	for (size_t i = 0; i < n; i++)
		counts[list[i].rank]++;
	for (enum shed_rank rank = SHED_HANDSHAKE; rank < SHED_NEVER; rank++)
		if (counts[rank] > counts[found])
			found = rank;
	return found;
}

struct conn *
shed_choose(const struct worker *w)
{
	struct candidate *list = calloc(w->nconns + 1, sizeof(*list)), *found = NULL;
	size_t n = list != NULL ? candidates_list(w, list) : 0;
	struct conn *c;
	enum shed_rank rank;

	if (n > 0)
		qsort(list, n, sizeof(*list), candidate_compare);
	n = networks_with_most(list, n);
	rank = commonest_rank(list, n);
	for (size_t i = 0; i < n; i++)
		if (list[i].rank == rank && (found == NULL || list[i].order < found->order))
			found = &list[i];
	c = found != NULL ? found->conn : NULL;
	free(list);
	return c;
}
