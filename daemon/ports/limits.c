#include "config.h"

#include <bsd/sys/tree.h>
#include <errno.h>
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

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int
limits_is_loopback(const struct msg_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == AF_INET)
		return a->octets[0] == 127;
	if (a->family != AF_INET6)
		return 0;
	return memcmp(a->octets, one, 16) == 0 ||
	       (memcmp(a->octets, mapped, sizeof(mapped)) == 0 && a->octets[12] == 127);
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

	while ((s = RB_ROOT(&l->tree)) != NULL) {
		RB_REMOVE(counter_tree, &l->tree, s);
		free(s);
	}
	free(l);
}

int
limits_enter(struct limits *l, const struct msg_addr *a, uint32_t most)
{
	struct counter key = {.count = 0}, *s;

	source_set(&key.source, a);
	if ((s = RB_FIND(counter_tree, &l->tree, &key)) == NULL) {
		if ((s = malloc(sizeof(*s))) == NULL)
			return -1;
		*s = key;
		RB_INSERT(counter_tree, &l->tree, s);
	}
	if (s->count >= most) {
		errno = EUSERS;
		return -1;
	}
	s->count++;
	l->count++;
	return 0;
}

void
limits_leave(struct limits *l, const struct msg_addr *a)
{
	struct counter key = {.count = 0}, *s;

	source_set(&key.source, a);
	if ((s = RB_FIND(counter_tree, &l->tree, &key)) == NULL)
		return;
	l->count--;
	if (--s->count > 0)
		return;
	RB_REMOVE(counter_tree, &l->tree, s);
	free(s);
}

size_t
limits_count(const struct limits *l)
{
	return l->count;
}
