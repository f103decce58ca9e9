#include "config.h"

#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>

#include "common/source.h"
#include "daemon/ports/limits.h"

struct counter {
	RB_ENTRY(counter) node;
	struct source source;
	uint32_t count;
};

RB_HEAD(counter_tree, counter);

struct limits {
	struct counter_tree tree;
	size_t count;
};

static int
counter_compare(const struct counter *a, const struct counter *b)
{
	return memcmp(&a->source, &b->source, sizeof(a->source));
}

RB_PROTOTYPE(counter_tree, counter, node, counter_compare)
RB_GENERATE(counter_tree, counter, node, counter_compare)

/* Lengths of prefixes; a site of IPv4 is none. */
static const struct {
	uint8_t bits4, bits6;
} networks[LIMIT_COUNT] = {[LIMIT_ADDRESS] = {SOURCE_BITS4, SOURCE_BITS6},
			   [LIMIT_NETWORK] = {NETWORK_BITS4, NETWORK_BITS6},
			   [LIMIT_SITE] = {0, 48}};

bool
limits_within(const struct conf_networks *list, const struct msg_addr *a)
{
	for (size_t i = 0; i < list->n; i++)
		if (network_has(&list->network[i], a))
			return true;
	return false;
}

const char *
limits_barred(const struct conf_server *s, const struct msg_addr *a)
{
	if (limits_within(&s->deny, a))
		return "deny";
	return conf_networks_given(&s->allow) && !limits_within(&s->allow, a) ? "allow" : NULL;
}

struct limits *
limits_new(void)
{
	return calloc(1, sizeof(struct limits));
}

void
limits_free(struct limits *l)
{
	struct counter *s;

	if (l == NULL)
		return;
	while ((s = RB_ROOT(&l->tree)) != NULL) {
		RB_REMOVE(counter_tree, &l->tree, s);
		free(s);
	}
	free(l);
}

/* The source of an address at a level; of a family that has no such level, family 0. */
static struct counter
counter_key(const struct msg_addr *a, int limit)
{
	struct counter key = {.count = 0};

	source_network(&key.source, a, networks[limit].bits4, networks[limit].bits6);
	if (key.source.bits == 0)
		key.source.family = 0;
	return key;
}

/* One less of the source.  False: it has none. */
static bool
counter_leave(struct limits *l, const struct msg_addr *a, int limit)
{
	struct counter key = counter_key(a, limit), *s = RB_FIND(counter_tree, &l->tree, &key);

	if (s == NULL)
		return false;
	if (--s->count > 0)
		return true;
	RB_REMOVE(counter_tree, &l->tree, s);
	free(s);
	return true;
}

/* One more, if it may have one.  0; 1: it may not; -1: no memory. */
static int
counter_enter(struct limits *l, const struct msg_addr *a, int limit, uint32_t most)
{
	struct counter key = counter_key(a, limit), *s;

	if (key.source.family == 0)
		return 0;
	if ((s = RB_FIND(counter_tree, &l->tree, &key)) == NULL) {
		if ((s = malloc(sizeof(*s))) == NULL)
			return -1;
		*s = key;
		RB_INSERT(counter_tree, &l->tree, s);
	}
	if (s->count >= most)
		return 1;
	s->count++;
	return 0;
}

int
limits_enter(struct limits *l, const struct msg_addr *a, const uint32_t most[LIMIT_COUNT],
	     bool uncounted)
{
	int limit, full = 0;

	for (limit = 0; !uncounted && limit < LIMIT_COUNT; limit++)
		if ((full = counter_enter(l, a, limit, most[limit])) != 0)
			break;
	if (full == 0) {
		l->count++;
		return LIMIT_COUNT;
	}
	for (int i = 0; i < limit; i++)
		counter_leave(l, a, i);
	return full == -1 ? -1 : limit;
}

void
limits_leave(struct limits *l, const struct msg_addr *a, bool uncounted)
{
	if (!uncounted && !counter_leave(l, a, LIMIT_ADDRESS))
		return;
	for (int limit = LIMIT_ADDRESS + 1; !uncounted && limit < LIMIT_COUNT; limit++)
		counter_leave(l, a, limit);
	l->count--;
}

size_t
limits_count(const struct limits *l)
{
	return l->count;
}
