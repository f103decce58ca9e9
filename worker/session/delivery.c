#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "worker/session/delivery.h"
#include "worker/session/receipt.h"
#include "worker/session/session.h"

enum {
	ACK_WAIT_MS = 1000 /* an acknowledgement may be delayed by half of that, RFC 9293 3.8.6.3 */
};

/* Those whose last octet has left since the last look. */
static void
note_sent(struct delivery *d, const struct stream *s)
{
	for (; d->left < d->count && d->items[d->left].end <= s->sent; d->left++)
		d->items[d->left].seen = s->seen_before;
}

/* Move those that wait to the front. */
static void
move_down(struct delivery *d)
{
	memmove(d->items, d->items + d->first, (d->count - d->first) * sizeof(*d->items));
	d->left -= d->first;
	d->count -= d->first;
	d->first = 0;
}

/* Room for one more.  0 or -1. */
static int
make_room(struct delivery *d)
{
	bool few = d->items == d->few;
	struct delivery_item *items;

	if (d->room == 0) {
		d->items = d->few;
		d->room = COUNT_OF(d->few);
	}
	if (d->first > d->room / 2)
		move_down(d);
	if (d->count < d->room)
		return 0;
	if ((items = reallocarray(few ? NULL : d->items, d->room * 2, sizeof(*items))) == NULL)
		return -1;
	if (few)
		memcpy(items, d->few, sizeof(d->few));
	d->items = items;
	d->room *= 2;
	return 0;
}

void
delivery_put(struct session *ss, size_t i, uint64_t octets, bool retrieved)
{
	struct delivery *d = &ss->delivery;

	note_sent(d, &ss->stream);
	if (make_room(d) == -1)
		return; /* is never confirmed */
	d->items[d->count++] = (struct delivery_item){.i = i,
						      .octets = octets,
						      .retrieved = retrieved,
						      .end = stream_put_so_far(&ss->stream)};
	ss->stream.look_before = true;
}

static void
confirm(struct session *ss, const struct delivery_item *item)
{
	receipts_fetched(ss, item->i);
	if (!item->retrieved)
		return;
	ss->end.retrieved++;
	ss->end.retrieved_octets += item->octets;
}

/* The first item that the command which was taken last cannot confirm: it had come before. */
static size_t
not_followed(const struct delivery *d, const struct stream *s)
{
	size_t at = d->first;

	while (at < d->left && d->items[at].seen < stream_taken(s))
		at++;
	return at;
}

void
delivery_look(struct session *ss)
{
	struct delivery *d = &ss->delivery;
	uint64_t acked;
	size_t end;

	note_sent(d, &ss->stream);
	if ((end = not_followed(d, &ss->stream)) == d->first)
		return;
	acked = stream_acked(&ss->stream);
	while (d->first < end && d->items[d->first].end <= acked)
		confirm(ss, &d->items[d->first++]);
}

void
delivery_finish(struct session *ss)
{
	struct delivery *d = &ss->delivery;
	uint64_t acked;
	size_t end = not_followed(d, &ss->stream);

	if (end > d->first) {
		stream_await_acked(&ss->stream, d->items[end - 1].end, ACK_WAIT_MS);
		delivery_look(ss);
	}
	acked = stream_acked(&ss->stream);
	for (size_t at = d->first; at < d->count && d->items[at].end <= acked; at++)
		store_mark(ss->delivered, d->items[at].i);
}

bool
delivery_is_done(const struct session *ss, size_t i)
{
	return store_is_marked(ss->fetched, i) || store_is_marked(ss->delivered, i);
}
