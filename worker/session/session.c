#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/acked.h"
#include "common/clock.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/replies.h"
#include "common/sandbox.h"
#include "common/title.h"
#include "worker/session/score.h"
#include "worker/session/lock_conflict.h"
#include "worker/session/commands.h"
#include "worker/session/job.h"
#include "worker/session/receipt.h"
#include "worker/session/session.h"
#include "worker/store/fault.h"

enum { MASTER_QUEUE = 32 };

/* What a store's trouble is to a login, and what the client hears of it. */
static const struct opening {
	enum login_result result;
	enum reply reply;
} openings[STORE_RESULT_COUNT] = {
    [STORE_OK] = {LOGIN_OK, REPLY_NONE},
    [STORE_IN_USE] = {LOGIN_IN_USE, REPLY_NONE}, /* lock_conflict_reply() knows more */
    [STORE_TEMP] = {LOGIN_TEMP, REPLY_STORE_TEMP},
    [STORE_FULL] = {LOGIN_TEMP, REPLY_STORE_TEMP},
    [STORE_PERM] = {LOGIN_PERM, REPLY_STORE_PERM},
    [STORE_MISSING] = {LOGIN_PERM, REPLY_STORE_PERM},
};

static const char *const farewells[STORE_RESULT_COUNT] = {
    [STORE_OK] = "+OK bye",
    [STORE_IN_USE] = "-ERR [SYS/TEMP] some deleted messages not removed",
    [STORE_TEMP] = "-ERR [SYS/TEMP] some deleted messages not removed",
    [STORE_FULL] = ("-ERR [SYS/TEMP] disk full or over quota: some deleted messages not removed; "
		    "to delete all of them, or the last ones alone, needs no room"),
    [STORE_PERM] = "-ERR [SYS/PERM] some deleted messages not removed",
    [STORE_MISSING] = "-ERR [SYS/TEMP] some deleted messages not removed",
};

static const enum session_end ends[STREAM_OVER_COUNT] = {
    [STREAM_GOING] = SESSION_END_QUIT,	   [STREAM_CLIENT] = SESSION_END_CLIENT,
    [STREAM_DEAD] = SESSION_END_CLIENT,	   [STREAM_TIMEOUT] = SESSION_END_TIMEOUT,
    [STREAM_ABUSE] = SESSION_END_ABUSE,	   [STREAM_SHUTDOWN] = SESSION_END_SHUTDOWN,
    [STREAM_TAKEN] = SESSION_END_TAKEOVER,
};

static void
session_asked(void *arg)
{
	score_answer(arg);
}

/* ---- from master, until the grant is here ---- */

enum {
	SPARE_WAITS = 1,   /* for a grant */
	SPARE_GRANTED = 2, /* for the job that the grant speaks of */
	SPARE_TAKES = 4	   /* it has all */
};

static int
spare_state(const void *who, const struct msg *m)
{
	const struct session *ss = who;

	(void)m;
	if (ss->grant.id == 0)
		return SPARE_WAITS;
	return ss->grant.job != 0 && ss->job.id == 0 ? SPARE_GRANTED : SPARE_TAKES;
}

static int
spare_serve(void *who, struct msg *m)
{
	struct session *ss = who;
	size_t at = 1;

	/* without a stream the grant is left untaken: master gives it to another spare */
	if ((ss->stream.fd = msg_take_fd(m, 0)) == -1)
		_exit(EXIT_SUCCESS);
	memcpy(&ss->grant, m->u.octets, m->len);
	if (ss->grant.tls != CONN_TLS_NONE)
		ss->acked = acked_map(msg_take_fd(m, at++));
	score_open(ss, msg_take_fd(m, at));
	ss->store.given[0] = msg_take_fd(m, at + 1);
	ss->store.given[1] = msg_take_fd(m, at + 2);
	return 0;
}

static int
spare_job(void *who, struct msg *m)
{
	struct session *ss = who;

	memcpy(&ss->job, m->u.octets, m->len);
	return 0;
}

static const struct inbox_row spare_rows[] = {
    {MSG_SERVE, SPARE_WAITS, 0, spare_serve},
    {MSG_JOB, SPARE_GRANTED, 0, spare_job},
};

static const struct inbox spare_inbox = {spare_rows, COUNT_OF(spare_rows), spare_state};

/* Wait for a grant.  What cannot be used ends the spare. */
static void
session_await_grant(struct session *ss)
{
	struct msg m;
	int r;

	while (spare_state(ss, NULL) != SPARE_TAKES) {
		if ((r = channel_wait(&ss->master, &m, -1)) == -1)
			_exit(EXIT_SUCCESS);
		if (r == 0)
			continue;
		if (inbox_take(&spare_inbox, ss, &m) == -1)
			_exit(EXIT_FAILURE);
		msg_discard(&m);
	}
}

/* Become the user for good.  0 or -1: nothing may be served. */
static int
session_become(const struct session *ss)
{
	static const struct rlimit none = {0, 0};
	const struct msg_account *a = &ss->grant.account;

	if (a->uid == 0 || (ss->grant.rootless != 0 && a->uid != geteuid())) {
		log_error(ss->grant.id, "grant for uid %u refused", a->uid);
		return -1;
	}
	if (privs_become(a->uid, a->gid, a->groups, a->ngroups) == -1 ||
	    setrlimit(RLIMIT_NPROC, &none) == -1 || privs_limit_memory(ss->grant.memory) == -1) {
		log_error(ss->grant.id, "cannot become uid %u: %s", a->uid, strerror(errno));
		return -1;
	}
	return 0;
}

enum store_result
session_find_store(struct session *ss)
{
	struct store *s = &ss->store;

	s->id = ss->grant.id;
	s->path = ss->grant.mailbox;
	s->home = ss->grant.account.home;
	s->had_mail = ss->grant.had_mail != 0;
	s->mbox_format = ss->grant.mbox_format;
	s->mbox_split = ss->grant.mbox_split;
	s->mbox_journal = ss->grant.mbox_journal;
	s->backend = store_find(ss->grant.storage);
	s->history_fd = -1;
	if (s->backend == NULL || (s->path[0] != '/' && s->backend != &store_none)) {
		log_error(s->id, "no store \"%s\" at \"%s\"", ss->grant.storage, s->path);
		return STORE_PERM;
	}
	return STORE_OK;
}

enum store_result
session_confine(struct session *ss, const struct msg_spawn_conf *conf, uint32_t *abi)
{
	const struct store *s = &ss->store;
	int landlock;

	landlock = sandbox_landlock_paths(s->confine, s->confine_count,
					  (enum sandbox_mode)conf->sandbox, conf->landlock_abi_max);
	if (landlock == -1) {
		log_error(s->id, "landlock: %s", strerror(errno));
		return STORE_PERM;
	}
	*abi = (uint32_t)landlock;
	return STORE_OK;
}

/* Open, lock and list the mailbox, and nothing else from here on. */
static enum store_result
session_open(struct session *ss, const struct msg_spawn_conf *conf, uint32_t *abi)
{
	struct store *s = &ss->store;
	enum store_result result = session_find_store(ss);
	size_t words;

	if (result != STORE_OK)
		return result;
	ss->exposed = store_exposed(s);
	result = s->backend->open(s, ss->grant.missing_maildir == MISSING_EMPTY);
	if (result != STORE_OK || (result = session_confine(ss, conf, abi)) != STORE_OK)
		return result;
	if ((result = s->backend->lock(s)) == STORE_IN_USE)
		result = lock_conflict_take_over(ss);
	if (result == STORE_OK && s->lock_claim)
		result = lock_conflict_claim(ss);
	if (result != STORE_OK || (result = s->backend->list(s)) != STORE_OK)
		return result;
	ss->octets = s->octets;
	ss->octets_known = s->octets != STORE_NO_SIZE;
	words = s->count / 64 + 1;
	/* not malloc(3), which asks for memory as often as it sees fit: a login is to make the
	 * same calls for any number of messages */
	ss->marked = mmap(NULL, 3 * words * sizeof(ss->marked[0]), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ss->marked == MAP_FAILED)
		return fault_log(s, NULL, "marks");
	ss->fetched = ss->marked + words;
	ss->delivered = ss->fetched + words;
	return STORE_OK;
}

static void
session_title(const struct session *ss, const char *state)
{
	char host[LOG_ADDR_SIZE];

	title_set("session", "%s from %s %s", ss->grant.account.user,
		  log_host(host, &ss->grant.peer), state);
}

void
session_close(struct session *ss)
{
	if (ss->store.data != NULL)
		ss->store.backend->close(&ss->store);
}

/* Serve commands.  True: QUIT was said. */
static bool
session_transaction(struct session *ss)
{
	enum command_event event = COMMAND_GO_ON;
	enum stream_event input;
	const char *line;
	size_t len;

	while (event == COMMAND_GO_ON &&
	       (input = stream_line(&ss->stream, &line, &len)) != STREAM_END) {
		delivery_look(ss);
		if (input == STREAM_LONG)
			stream_reply(&ss->stream, "-ERR line too long");
		else
			event = command_run(ss, line, len);
	}
	ss->end.why = ends[ss->stream.over];
	if (event == COMMAND_BROKEN)
		ss->end.why = SESSION_END_STORE;
	ss->stream.settled = true;
	return event == COMMAND_QUIT;
}

/* UPDATE, RFC 1939 section 6.  The lock is given up before the answer, so that who has read it
 * can log in again at once. */
static void
session_update(struct session *ss)
{
	enum store_result result = STORE_OK;
	uint64_t begun;

	delivery_finish(ss);
	session_title(ss, "update");
	score_state(ss, SCOREBOARD_UPDATE);
	if (ss->marked_count > 0) {
		size_t asked = ss->marked_count;

		begun = clock_ms();
		receipts_begin(ss);
		result = ss->store.backend->remove(&ss->store, ss->marked, &ss->end.deleted);
		receipts_end(ss);
		ss->end.kept = asked - ss->end.deleted;
		ss->end.update_ms = (uint32_t)(clock_ms() - begun) + 1;
	}
	if (result != STORE_OK)
		ss->end.why = SESSION_END_UPDATE;
	session_close(ss);
	stream_reply(&ss->stream, "%s", farewells[result]);
}

/* Answer the login: what the client has been waiting for since PASS. */
static void
session_answer(struct session *ss, enum store_result opened, uint32_t abi)
{
	struct msg_session_open report = {.id = ss->grant.id,
					  .result = openings[opened].result,
					  .landlock_abi = abi,
					  .messages = ss->store.count,
					  .known = ss->store.known,
					  .vanished = ss->store.vanished,
					  .exposed = ss->exposed,
					  .index = ss->store.index_found,
					  .octets = opened == STORE_OK ? ss->store.octets
								       : STORE_NO_SIZE};

	if (opened == STORE_OK)
		report.lock = ss->store.lock;
	stream_report(&ss->stream, MSG_SESSION_OPEN, &report, sizeof(report));
	if (opened != STORE_OK) {
		session_close(ss);
		ss->end.why = SESSION_END_REFUSED;
		if (opened == STORE_IN_USE)
			lock_conflict_reply(ss);
		else
			stream_reply(&ss->stream, "%s", reply_text(openings[opened].reply));
		return;
	}
	session_title(ss, "trans");
	score_state(ss, SCOREBOARD_TRANS);
	ss->stream.asked = session_asked;
	ss->stream.asked_arg = ss;
	stream_reply(&ss->stream, "+OK %zu messages", ss->store.count);
}

/* A client's session, in its stream's and master's sight. */
static void
session_serve(struct session *ss, const struct msg_spawn_conf *conf, bool became)
{
	enum store_result opened = STORE_PERM;
	uint32_t abi = 0;

	if (became)
		opened = session_open(ss, conf, &abi);
	session_answer(ss, opened, abi);
	if (opened == STORE_OK && session_transaction(ss))
		session_update(ss);
	else {
		ss->end.undone = ss->marked_count;
		session_close(ss);
	}
	if (opened == STORE_IN_USE)
		lock_conflict_stay(ss);
	ss->end.left = ss->store.count - ss->end.deleted;
	if (!stream_is_over(&ss->stream))
		stream_flush(&ss->stream);
	stream_report(&ss->stream, MSG_SESSION_END, &ss->end, sizeof(ss->end));
}

noreturn void
session_run(const struct msg_spawn_conf *conf, int channel)
{
	static struct session ss;
	struct msg_conn_ref ref;
	bool became;

	channel_init(&ss.master, channel, ROLE_SESSION, ROLE_MASTER, MASTER_QUEUE);
	log_to_channel(&ss.master);
	title_set("session", "spare");
	if (channel_put(&ss.master, MSG_HELLO, NULL, 0) == -1)
		_exit(EXIT_SUCCESS);
	session_await_grant(&ss);
	ref.id = ss.end.id = ss.grant.id;
	title_detail((enum ps_titles)ss.grant.ps_titles);
	stream_init(&ss.stream, ss.stream.fd, &ss.master, ss.grant.id, ss.grant.idle_timeout);
	ss.stream.scoreboard = ss.scoreboard;
	ss.stream.acked = ss.acked;
	if (ss.scoreboard != NULL)
		ss.store.shown = &ss.scoreboard->head.wait;
	ss.stream.trace = ss.grant.trace;
	if (channel_put(&ss.master, MSG_HAVE_IT, &ref, sizeof(ref)) == -1)
		_exit(EXIT_SUCCESS);

	became = session_become(&ss) == 0;
	if (ss.grant.job != 0)
		job_serve(&ss, conf, became);
	else
		session_serve(&ss, conf, became);
	stream_finish(&ss.stream);
	stream_report_all(&ss.stream);
	_exit(EXIT_SUCCESS);
}
