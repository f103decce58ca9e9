#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/dispatch/refusals.h"
#include "daemon/dispatch/workers.h"

static struct {
	struct event_base *base;
	refusals_again_fn *again;
	uint32_t max_failures;
} all;

void
refusals_init(struct event_base *base, refusals_again_fn *again)
{
	all.base = base;
	all.again = again;
}

void
refusals_configure(uint32_t max_failures)
{
	all.max_failures = max_failures;
}

static void
early_forget(struct row *row)
{
	if (row->early != NULL)
		explicit_bzero(row->early, sizeof(*row->early));
	free(row->early);
	row->early = NULL;
}

void
refusal_reopen(struct row *row)
{
	struct msg_login_ask *early = row->early;

	row->request = NULL;
	row->state = ROW_OPEN;
	row->early = NULL;
	if (early == NULL)
		return;
	all.again(row, early);
	explicit_bzero(early, sizeof(*early));
	free(early);
}

static void
refusal_send(struct row *row)
{
	workers_refuse(row->conn.worker, &row->refusal);
	if (row->refusal.last == 0) {
		refusal_reopen(row);
		return;
	}
	row->state = ROW_OVER;
	early_forget(row);
}

static void
refusal_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	refusal_send(arg);
}

static void
failure_count(struct row *row, const uint8_t digest[MSG_DIGEST_SIZE])
{
	if (refusal_is_repeated(row, digest))
		return;
	row->failures++;
	memcpy(row->failed, digest, sizeof(row->failed));
}

void
refusal_put(struct row *row, enum login_result result, uint64_t delay,
	    const uint8_t digest[MSG_DIGEST_SIZE])
{
	const struct timeval tv = {(time_t)(delay / 1000), (suseconds_t)(delay % 1000 * 1000)};

	if (digest != NULL)
		failure_count(row, digest);
	row->request = NULL;
	row->state = ROW_REFUSED;
	row->refusal = (struct msg_login_refused){
	    .id = row->conn.id, .result = result, .last = row->failures >= all.max_failures};
	if (delay > 0 && row->delay == NULL)
		row->delay = evtimer_new(all.base, refusal_due, row);
	if (delay > 0 && row->delay != NULL)
		evtimer_add(row->delay, &tv);
	else
		refusal_send(row);
}

bool
refusal_is_repeated(const struct row *row, const uint8_t digest[MSG_DIGEST_SIZE])
{
	return row->failures > 0 && memcmp(row->failed, digest, sizeof(row->failed)) == 0;
}

int
refusal_keep_early(struct row *row, const struct msg_login_ask *ask)
{
	if (row->early != NULL || (row->early = malloc(sizeof(*ask))) == NULL)
		return -1;
	*row->early = *ask;
	return 0;
}

void
refusal_forget(struct row *row)
{
	if (row->delay != NULL)
		event_free(row->delay);
	row->delay = NULL;
	early_forget(row);
}
