#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/names.h"
#include "worker/session/receipt.h"
#include "worker/store/history.h"

/* The one UPDATE of this process. */
static struct {
	struct history history;
	char who[HISTORY_WHO_SIZE];
	uint64_t *asked; /* what was marked before the removal */
} update = {.history = {.fd = -1}};

/* When message i was first retrieved: seconds; 0: never, as far as is known; -1: nobody keeps that.
 */
static int64_t
retrieved_at(struct session *ss, size_t i)
{
	const struct store_backend *backend = ss->store.backend;

	return backend->fetched_at != NULL ? backend->fetched_at(&ss->store, i) : -1;
}

void
receipts_fetched(struct session *ss, size_t i)
{
	const struct store_backend *backend = ss->store.backend;

	if (!store_is_marked(ss->fetched, i) && retrieved_at(ss, i) > 0)
		ss->end.again++;
	store_mark(ss->fetched, i);
	if (backend->fetched != NULL)
		backend->fetched(&ss->store, i);
}

/* Its size, if that is known: nothing is read once more only to be deleted. */
static uint64_t
octets_of(struct session *ss, size_t i)
{
	uint64_t octets = STORE_NO_SIZE;

	(void)ss->store.backend->size(&ss->store, i, false, &octets);
	return octets;
}

/* What each line of the history ends with. */
static const char *
who_write(const struct msg_grant *g)
{
	char id[LOG_ID_SIZE], peer[LOG_ADDR_SIZE], tls[48], user[LOG_QUOTED_SIZE];
	const char *version = g->facts.version[0] != '\0' ? g->facts.version : "none";

	(void)snprintf(
	    update.who, sizeof(update.who), "conn=%s peer=%s tls=%s mech=%s server=%s user=%s",
	    log_conn(id, g->id), log_addr(peer, &g->peer),
	    log_quote(tls, sizeof(tls), version, strlen(version)), login_mech_name(g->mech),
	    g->server, log_quote(user, sizeof(user), g->account.user, strlen(g->account.user)));
	return update.who;
}

static void
history_failed(const struct session *ss)
{
	log_error(ss->grant.id, "history of %s: %s", ss->store.path, strerror(errno));
}

void
receipts_begin(struct session *ss)
{
	struct store *s = &ss->store;
	size_t words = s->count / 64 + 1;
	struct history *h = &update.history;
	char uid[STORE_UID_SIZE];

	if (s->history_fd == -1)
		return;
	if ((update.asked = calloc(words, sizeof(update.asked[0]))) == NULL ||
	    history_begin(h, s->history_fd, s->history, who_write(&ss->grant)) == -1) {
		history_failed(ss);
		return;
	}
	memcpy(update.asked, ss->marked, words * sizeof(update.asked[0]));
	for (size_t i = 0; i < s->count; i++) {
		if (!store_is_marked(ss->marked, i))
			continue;
		s->backend->uid(s, i, uid);
		history_deleting(h, uid, octets_of(ss, i), retrieved_at(ss, i),
				 delivery_is_done(ss, i) || retrieved_at(ss, i) > 0);
	}
	if (history_sync(h) == -1)
		history_failed(ss);
}

/* Tell the history which messages stayed, and that it is over. */
static void
history_finish(struct session *ss)
{
	struct history *h = &update.history;
	char uid[STORE_UID_SIZE];
	uint64_t kept = 0;

	if (h->fd == -1)
		return;
	for (size_t i = 0; i < ss->store.count; i++) {
		if (!store_is_marked(update.asked, i) || store_is_marked(ss->marked, i))
			continue;
		kept++;
		ss->store.backend->uid(&ss->store, i, uid);
		history_kept(h, uid);
	}
	if (history_done(h, ss->end.deleted, kept) == -1)
		history_failed(ss);
}

void
receipts_end(struct session *ss)
{
	struct msg_receipt r = {.id = ss->grant.id};
	struct store *s = &ss->store;

	history_finish(ss);
	for (size_t i = 0; i < s->count; i++) {
		if (!store_is_marked(ss->marked, i))
			continue;
		s->backend->uid(s, i, r.uid);
		r.octets = octets_of(ss, i);
		r.retrieved = retrieved_at(ss, i);
		stream_report(&ss->stream, MSG_RECEIPT, &r, sizeof(r));
	}
	free(update.asked);
}
