#include "config.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/limits.h"

struct source {
	RB_ENTRY(source) node;
	struct msg_addr prefix;
	uint32_t count;
};

RB_HEAD(source_tree, source);

struct limits {
	struct source_tree tree;
};

static int
source_compare(const struct source *a, const struct source *b)
{
	return memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));
}

RB_PROTOTYPE(source_tree, source, node, source_compare)
RB_GENERATE(source_tree, source, node, source_compare)

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct msg_addr
limits_source(const struct msg_addr *a)
{
	struct msg_addr s = {.family = a->family};

	if (a->family == AF_INET)
		memcpy(s.octets, a->octets, 4);
	else if (a->family == AF_INET6 && memcmp(a->octets, mapped, sizeof(mapped)) == 0)
		memcpy(s.octets, a->octets, 16);
	else
		memcpy(s.octets, a->octets, 8);
	return s;
}

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
	struct source *s;

	while ((s = RB_ROOT(&l->tree)) != NULL) {
		RB_REMOVE(source_tree, &l->tree, s);
		free(s);
	}
	free(l);
}

int
limits_enter(struct limits *l, const struct msg_addr *a, uint32_t most)
{
	struct source key = {.prefix = limits_source(a)}, *s;

	if ((s = RB_FIND(source_tree, &l->tree, &key)) == NULL) {
		if ((s = malloc(sizeof(*s))) == NULL)
			return -1;
		*s = key;
		RB_INSERT(source_tree, &l->tree, s);
	}
	if (s->count >= most) {
		errno = EUSERS;
		return -1;
	}
	s->count++;
	return 0;
}

void
limits_leave(struct limits *l, const struct msg_addr *a)
{
	struct source key = {.prefix = limits_source(a)}, *s;

	if ((s = RB_FIND(source_tree, &l->tree, &key)) == NULL || --s->count > 0)
		return;
	RB_REMOVE(source_tree, &l->tree, s);
	free(s);
}
