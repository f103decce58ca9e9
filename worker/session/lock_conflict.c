#include "config.h"

#include "worker/session/lock_conflict.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pop3.h"
#include "common/replies.h"

enum {
	ANSWER_MS = 10000, /* master gives up before */
	RETRY_MS = 1000,   /* a shared file system may free a lock later than its holder's end */
	RETRY_PAUSE_NS = 20000000,
	CLAIMS = 3, /* the end of a session may reach master later than its client */
	CLAIM_PAUSE_NS = 100000000,
	STAY_MS = 30000, /* for clients that go on with another mechanism, or with QUIT */
	STAY_COMMANDS = 20
};

/* Ask master who has the lock; ss->holder is the answer, or "unknown". */
static void
lock_conflict_ask(struct session *ss, enum lock_purpose purpose)
{
	struct msg_lock_ask ask = {.id = ss->grant.id, .place = ss->store.lock, .purpose = purpose};
	uint64_t deadline = clock_ms() + ANSWER_MS, now;
	struct msg m;
	int r;

	ss->holder = (struct msg_lock_answer){.holder = LOCK_HOLDER_UNKNOWN};
	if (channel_put(&ss->master, MSG_LOCK_ASK, &ask, sizeof(ask)) == -1)
		return;
	ss->stream.answer = &ss->holder;
	while (ss->stream.answer != NULL && (now = clock_ms()) < deadline &&
	       (r = channel_wait(&ss->master, &m, (int)(deadline - now))) != -1)
		if (r == 1 && stream_obey(&ss->stream, &m) == -1)
			break;
	ss->stream.answer = NULL;
}

enum store_result
lock_conflict_take_over(struct session *ss)
{
	const struct timespec pause = {0, RETRY_PAUSE_NS};
	enum store_result result = STORE_IN_USE;
	uint64_t deadline;

	lock_conflict_ask(ss, LOCK_TAKE_OVER);
	if (ss->holder.holder != LOCK_HOLDER_ENDED)
		return STORE_IN_USE;
	store_show(&ss->store, SCOREBOARD_WAIT_LOCK);
	deadline = clock_ms() + RETRY_MS;
	while ((result = ss->store.backend->lock(&ss->store)) == STORE_IN_USE &&
	       clock_ms() < deadline)
		(void)nanosleep(&pause, NULL);
	if (result == STORE_IN_USE) /* another login was faster */
		lock_conflict_ask(ss, LOCK_LOOK);
	return result;
}

enum store_result
lock_conflict_claim(struct session *ss)
{
	const struct timespec pause = {0, CLAIM_PAUSE_NS};

	for (int i = 0; i < CLAIMS; i++) {
		lock_conflict_ask(ss, LOCK_CLAIM);
		if (ss->holder.holder == LOCK_HOLDER_UNKNOWN)
			return STORE_OK;
		if (ss->holder.holder != LOCK_HOLDER_ENDED)
			(void)nanosleep(&pause, NULL);
	}
	return STORE_IN_USE;
}

void
lock_conflict_look(struct session *ss)
{
	lock_conflict_ask(ss, LOCK_LOOK);
}

void
lock_conflict_reply(struct session *ss)
{
	const struct msg_lock_answer *h = &ss->holder;
	char host[LOG_ADDR_SIZE], since[CLOCK_UTC_SIZE];

	if (h->holder == LOCK_HOLDER_OWN)
		stream_reply(&ss->stream, "%s since %s from %s, idle for %" PRIu32 " s",
			     reply_text(REPLY_IN_USE), clock_utc(since, h->since),
			     log_host(host, &h->peer), h->idle);
	else if (h->holder == LOCK_HOLDER_OTHER)
		stream_reply(&ss->stream, "%s", reply_text(REPLY_IN_USE_OTHER));
	else
		stream_reply(&ss->stream, "%s", reply_text(REPLY_IN_USE_ELSEWHERE));
}

void
lock_conflict_stay(struct session *ss)
{
	int64_t deadline = (int64_t)clock_ms() + STAY_MS, left;
	enum stream_event input;
	struct pop3_command c;
	const char *line;
	size_t len;

	for (int n = 0; n < STAY_COMMANDS && (left = deadline - (int64_t)clock_ms()) > 0; n++) {
		if (ss->stream.idle_ms > left)
			ss->stream.idle_ms = left;
		if ((input = stream_line(&ss->stream, &line, &len)) == STREAM_END)
			return;
		if (input == STREAM_LINE && pop3_parse(line, len, &c) == 0 &&
		    strcmp(c.keyword, "QUIT") == 0) {
			stream_reply(&ss->stream, "%s", reply_text(REPLY_QUIT));
			return;
		}
		lock_conflict_reply(ss);
	}
}
