#include "config.h"

#include "worker/session/score.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

void
score_open(struct session *ss, int fd)
{
	if (fd == -1)
		return;
	ss->scoreboard = scoreboard_map(fd);
	close(fd);
}

void
score_state(struct session *ss, enum scoreboard_state state)
{
	struct scoreboard *b = ss->scoreboard;

	if (b == NULL)
		return;
	scoreboard_begin(b);
	b->head.state = state;
	b->head.messages = ss->store.count;
	if (state == SCOREBOARD_TRANS) {
		b->head.octets = ss->store.octets;
		b->head.active = clock_ms();
	}
	scoreboard_end(b);
}

void
score_command(struct session *ss, const char *keyword)
{
	struct scoreboard *b = ss->scoreboard;

	if (b == NULL)
		return;
	scoreboard_begin(b);
	snprintf(b->head.command, sizeof(b->head.command), "%s", keyword);
	if (ss->store.octets != STORE_NO_SIZE)
		b->head.octets = ss->store.octets;
	b->head.retrieved = ss->sent;
	b->head.retrieved_octets = ss->sent_octets;
	b->head.confirmed = ss->end.retrieved;
	b->head.confirmed_octets = ss->end.retrieved_octets;
	b->head.topped = ss->end.topped;
	b->head.again = ss->end.again;
	b->head.marked = ss->marked_count;
	scoreboard_end(b);
}

void
score_marked(struct session *ss, size_t i)
{
	struct scoreboard *b = ss->scoreboard;

	if (b == NULL || b->head.ndeleted >= SCOREBOARD_DELETED_MAX)
		return;
	scoreboard_begin(b);
	b->deleted[b->head.ndeleted++] = (uint32_t)(i + 1);
	scoreboard_end(b);
}

void
score_unmarked(struct session *ss)
{
	struct scoreboard *b = ss->scoreboard;

	if (b == NULL)
		return;
	scoreboard_begin(b);
	b->head.ndeleted = 0;
	scoreboard_end(b);
}

/* The size of the mailbox as it was at login; false: a message cannot be read now. */
static bool
octets_at_login(struct session *ss, uint64_t *sum)
{
	uint64_t octets;

	*sum = ss->store.octets;
	if (*sum != STORE_NO_SIZE)
		return true;
	*sum = 0;
	for (size_t i = 0; i < ss->store.count; i++) {
		if (ss->store.backend->size(&ss->store, i, true, &octets) != STORE_OK)
			return false;
		*sum += octets;
	}
	return true;
}

void
score_answer(struct session *ss)
{
	struct msg_conn_ref ref = {ss->grant.id};
	struct scoreboard *b = ss->scoreboard;
	uint64_t octets;

	if (b != NULL && b->head.octets == UINT64_MAX && octets_at_login(ss, &octets)) {
		scoreboard_begin(b);
		b->head.octets = octets;
		scoreboard_end(b);
	}
	stream_report(&ss->stream, MSG_STATE, &ref, sizeof(ref));
}
