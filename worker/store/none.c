/*
 * The maildrop of a server without a store: always empty, nothing to lock.
 */
#include "config.h"

#include "worker/store/store.h"

static enum store_result
none_open(struct store *s, bool missing_is_empty)
{
	(void)missing_is_empty;
	s->data = NULL;
	return STORE_OK;
}

static enum store_result
none_do(struct store *s)
{
	s->count = 0;
	s->octets = 0;
	return STORE_OK;
}

/* Never called: there is no message. */
static void
none_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	(void)s;
	(void)i;
	out[0] = '\0';
}

static enum store_result
none_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	(void)s;
	(void)i;
	(void)look;
	*octets = 0;
	return STORE_OK;
}

static enum store_result
none_get(struct store *s, size_t i, struct store_reader *r)
{
	(void)s;
	(void)i;
	*r = (struct store_reader){.fd = -1};
	return STORE_MISSING;
}

static void
none_keep_size(struct store *s, size_t i, uint64_t octets)
{
	(void)s;
	(void)i;
	(void)octets;
}

static enum store_result
none_remove(struct store *s, uint64_t *marked, uint64_t *removed)
{
	(void)s;
	(void)marked;
	*removed = 0;
	return STORE_OK;
}

static void
none_close(struct store *s)
{
	(void)s;
}

const struct store_backend store_none = {
    .name = "",
    .open = none_open,
    .lock = none_do,
    .list = none_do,
    .uid = none_uid,
    .size = none_size,
    .get = none_get,
    .keep_size = none_keep_size,
    .remove = none_remove,
    .close = none_close,
};
