#include "config.h"

#include "worker/session/board.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

void
board_open(struct session *ss, int fd)
{
	if (fd == -1)
		return;
	ss->board = page_map(fd);
	close(fd);
}

void
board_state(struct session *ss, enum page_state state)
{
	struct session_board *b = ss->board;

	if (b == NULL)
		return;
	page_begin(b);
	b->page.state = state;
	b->page.messages = ss->store.count;
	if (state == PAGE_TRANS) {
		b->page.octets = ss->store.octets;
		b->page.active = clock_ms();
	}
	page_end(b);
}

void
board_command(struct session *ss, const char *keyword)
{
	struct session_board *b = ss->board;

	if (b == NULL)
		return;
	page_begin(b);
	snprintf(b->page.command, sizeof(b->page.command), "%s", keyword);
	if (ss->store.octets != STORE_NO_SIZE)
		b->page.octets = ss->store.octets;
	b->page.retrieved = ss->sent;
	b->page.retrieved_octets = ss->sent_octets;
	b->page.confirmed = ss->end.retrieved;
	b->page.confirmed_octets = ss->end.retrieved_octets;
	b->page.topped = ss->end.topped;
	b->page.again = ss->end.again;
	b->page.marked = ss->marked_count;
	page_end(b);
}

void
board_marked(struct session *ss, size_t i)
{
	struct session_board *b = ss->board;

	if (b == NULL || b->page.ndeleted >= PAGE_DELETED_MAX)
		return;
	page_begin(b);
	b->deleted[b->page.ndeleted++] = (uint32_t)(i + 1);
	page_end(b);
}

void
board_unmarked(struct session *ss)
{
	struct session_board *b = ss->board;

	if (b == NULL)
		return;
	page_begin(b);
	b->page.ndeleted = 0;
	page_end(b);
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
board_answer(struct session *ss)
{
	struct msg_conn_ref ref = {ss->grant.id};
	struct session_board *b = ss->board;
	uint64_t octets;

	if (b != NULL && b->page.octets == UINT64_MAX && octets_at_login(ss, &octets)) {
		page_begin(b);
		b->page.octets = octets;
		page_end(b);
	}
	stream_report(&ss->stream, MSG_STATE, &ref, sizeof(ref));
}
