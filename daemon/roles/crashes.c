#include "config.h"

#include "daemon/roles/crashes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECENT = 256,	     /* sessions that ended; more than end in one round of events */
	CULPRITS = 256,	     /* users that are remembered */
	FIRST_MS = 1000,     /* kept out after the first crash */
	LONGEST_MS = 300000, /* ... and at most */
	FORGET_MS = 1800000  /* after the last crash */
};

struct culprit {
	uint64_t since; /* clock_ms() of the last crash; 0: a free place */
	uint64_t ms;	/* that he is kept out from then on */
	uint32_t uid;
	char user[MSG_NAME_SIZE];
};

struct crashes {
	struct crash_session recent[RECENT];
	size_t next; /* place in `recent` to be used next */
	struct culprit culprits[CULPRITS];
};

struct crashes *
crashes_new(void)
{
	return calloc(1, sizeof(struct crashes));
}

void
crashes_remember(struct crashes *c, const struct crash_session *s)
{
	c->recent[c->next] = *s;
	c->next = (c->next + 1) % RECENT;
}

const struct crash_session *
crashes_find(const struct crashes *c, pid_t pid)
{
	for (size_t i = 1; i <= RECENT; i++) {
		const struct crash_session *s = &c->recent[(c->next + RECENT - i) % RECENT];

		if (s->pid == pid && pid > 0)
			return s;
	}
	return NULL;
}

static bool
is_his(const struct culprit *p, uint32_t uid, const char *user)
{
	return p->since != 0 && p->uid == uid && strcmp(p->user, user) == 0;
}

/* His place, or the one that nobody has had for longest. */
static size_t
place_of(const struct crashes *c, uint32_t uid, const char *user)
{
	size_t oldest = 0;

	for (size_t i = 0; i < CULPRITS; i++) {
		const struct culprit *p = &c->culprits[i];

		if (is_his(p, uid, user))
			return i;
		if (p->since < c->culprits[oldest].since)
			oldest = i;
	}
	return oldest;
}

void
crashes_count(struct crashes *c, uint32_t uid, const char *user, uint64_t now)
{
	struct culprit *p = &c->culprits[place_of(c, uid, user)];

	if (is_his(p, uid, user) && now - p->since < FORGET_MS)
		p->ms = 2 * p->ms < LONGEST_MS ? 2 * p->ms : LONGEST_MS;
	else
		*p = (struct culprit){.ms = FIRST_MS, .uid = uid};
	p->since = now;
	(void)snprintf(p->user, sizeof(p->user), "%s", user);
}

bool
crashes_keep_out(const struct crashes *c, uint32_t uid, const char *user, uint64_t now)
{
	const struct culprit *p = &c->culprits[place_of(c, uid, user)];

	return is_his(p, uid, user) && now - p->since < p->ms;
}
