/*
 * An mbox whose deletions are applied (pop3d --serve --apply-deletes).  The mbox
 * store reads and rewrites it, with its locks and its journal; unique-ids and
 * flags are those of the run's table.  Messages move up when others are removed,
 * so each session looks up again where they are, by what is shown of them.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "worker/store/archive.h"
#include "worker/store/mbox.h"

/* Of a message of this session: its number in the table, and in the mbox. */
struct place {
	size_t entry, message;
};

struct applied {
	struct archive archive;
	struct store box;
	struct place *places;
};

enum store_result
archive_mbox_recover(struct store *box)
{
	enum store_result result;

	box->backend = &store_mbox;
	result = box->backend->open(box, false);
	if (result == STORE_OK &&
	    sandbox_landlock_paths(box->confine, box->confine_count, SANDBOX_ON, 0) == -1)
		result = STORE_PERM;
	if (result == STORE_OK)
		result = box->backend->lock(box);
	if (result == STORE_OK)
		result = box->backend->list(box);
	if (box->data != NULL)
		box->backend->close(box);
	return result;
}

static enum store_result
applied_open(struct store *s, bool missing_is_empty)
{
	struct applied *v = calloc(1, sizeof(*v));
	enum store_result result;

	if (v == NULL)
		return STORE_TEMP;
	s->data = v;
	v->box = *s;
	v->box.backend = &store_mbox;
	v->box.data = NULL;
	if (archive_map(&v->archive, s->given[0], s->given[1]) == -1) {
		log_error(s->id, "archive %s: table: %s", s->path, strerror(errno));
		return STORE_PERM;
	}
	result = v->box.backend->open(&v->box, missing_is_empty);
	memcpy(s->confine, v->box.confine, sizeof(s->confine));
	s->confine_count = v->box.confine_count;
	return result;
}

static enum store_result
applied_lock(struct store *s)
{
	struct applied *v = s->data;
	enum store_result result;

	if ((v->archive.head->options & ARCHIVE_NO_LOCK) != 0)
		return STORE_OK;
	result = v->box.backend->lock(&v->box);
	s->lock = v->box.lock;
	s->lock_claim = v->box.lock_claim;
	return result;
}

/* The message of the table, from `first` on, that is still there and shows this; its count: none.
 */
static size_t
entry_find(const struct archive *a, size_t first, const uint8_t *digest)
{
	size_t count = (size_t)a->head->count;

	for (size_t e = first; e < count; e++)
		if (memcmp(a->entries[e].shown, digest, ARCHIVE_SHOWN) == 0 &&
		    (archive_flags(a, e) & ARCHIVE_DELETED) == 0)
			return e;
	return count;
}

/* What is in the file no more was removed by a session that was killed then, or by others. */
static void
entries_gone(const struct archive *a, size_t from, size_t to)
{
	for (size_t e = from; e < to; e++)
		archive_set_flag(a, e, ARCHIVE_DELETED);
}

/* Both are in the same order.  Mail that came since the start is no part of the run. */
static enum store_result
applied_list(struct store *s)
{
	struct applied *v = s->data;
	const struct archive *a = &v->archive;
	enum store_result result = v->box.backend->list(&v->box);
	const uint8_t *digest;
	size_t next = 0, e;

	if (result != STORE_OK)
		return result;
	if ((v->places = calloc(v->box.count + 1, sizeof(v->places[0]))) == NULL)
		return STORE_TEMP;
	for (size_t i = 0; i < v->box.count; i++) {
		if ((digest = mbox_digest(&v->box, i)) == NULL)
			return STORE_TEMP;
		e = entry_find(a, next, digest);
		if (e == a->head->count)
			continue;
		entries_gone(a, next, e);
		next = e + 1;
		v->places[s->count++] = (struct place){e, i};
		s->octets += a->entries[e].octets;
	}
	entries_gone(a, next, (size_t)a->head->count);
	return STORE_OK;
}

static void
applied_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	const struct applied *v = s->data;

	archive_uid(&v->archive.entries[v->places[i].entry], out);
}

static enum store_result
applied_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	struct applied *v = s->data;

	return v->box.backend->size(&v->box, v->places[i].message, look, octets);
}

static enum store_result
applied_get(struct store *s, size_t i, struct store_reader *r)
{
	struct applied *v = s->data;

	return v->box.backend->get(&v->box, v->places[i].message, r);
}

static void
applied_keep_size(struct store *s, size_t i, uint64_t octets)
{
	(void)s, (void)i, (void)octets;
}

static void
applied_fetched(struct store *s, size_t i)
{
	const struct applied *v = s->data;

	archive_set_flag(&v->archive, v->places[i].entry, ARCHIVE_FETCHED);
}

static enum store_result
applied_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	struct applied *v = s->data;
	uint64_t *bits = calloc(v->box.count / 64 + 1, sizeof(bits[0]));
	enum store_result result = STORE_TEMP;

	*removed = 0;
	for (size_t i = 0; bits != NULL && i < s->count; i++)
		if (store_is_marked(marked, i))
			bits[v->places[i].message / 64] |= UINT64_C(1)
							   << (v->places[i].message % 64);
	if (bits != NULL)
		result = v->box.backend->remove(&v->box, bits, removed);
	for (size_t i = 0; i < s->count; i++) {
		if (bits == NULL || !store_is_marked(bits, v->places[i].message))
			store_unmark(marked, i);
		else
			archive_set_flag(&v->archive, v->places[i].entry, ARCHIVE_DELETED);
	}
	free(bits);
	return result;
}

static void
applied_close(struct store *s)
{
	struct applied *v = s->data;

	if (v->box.data != NULL)
		v->box.backend->close(&v->box);
	free(v->places);
	free(v);
	s->data = NULL;
}

const struct store_backend store_archive_mbox = {
    .name = ARCHIVE_MBOX_STORE,
    .open = applied_open,
    .lock = applied_lock,
    .list = applied_list,
    .uid = applied_uid,
    .size = applied_size,
    .get = applied_get,
    .keep_size = applied_keep_size,
    .fetched = applied_fetched,
    .remove = applied_remove,
    .close = applied_close,
};
