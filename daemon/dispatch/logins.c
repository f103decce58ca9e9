#include "config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/backends.h"
#include "common/clock.h"
#include "common/count.h"
#include "common/failures.h"
#include "common/log.h"
#include "daemon/auth/digest.h"
#include "daemon/dispatch/lines.h"
#include "daemon/dispatch/logins.h"
#include "daemon/dispatch/pace.h"
#include "daemon/dispatch/refusals.h"
#include "daemon/dispatch/request.h"
#include "daemon/dispatch/rows.h"
#include "daemon/auth/username.h"
#include "daemon/dispatch/workers.h"

enum { FAILURES_TURN = 8 /* messages of failures a second */ };

static struct {
	const struct settings *settings;
	struct rows rows;
	struct failures *failures;
	struct event *telling; /* master, of failures */
	login_tell_fn *tell;
	uint64_t late; /* requests for connections that had gone */
} all;

static uint64_t
now_seconds(void)
{
	return clock_ms() / 1000;
}

/* Milliseconds until the refusal may leave: failure_delay after its check began, or, if that took
 * longer, at the next multiple of it, so that its length tells nothing.  Not after the request
 * came: who fills the line of requests could have the checks of others end on either side of a
 * multiple.
 */
static uint64_t
refusal_delay(const struct request *r, enum login_result result)
{
	uint64_t delay = all.settings->conf.failure_delay, passed = clock_ms() - r->put;

	if (passed < delay)
		return delay - passed;
	if (result != LOGIN_BAD || delay == 0)
		return 0;
	return (delay - passed % delay) % delay;
}

/* Tell master, which logs and counts it.  People type passwords where the name belongs: a name that
 * is no account's stays out of the line.  LOGIN_OK: the client has gone meanwhile. */
static void
failure_tell(const struct request *r, enum login_result result, const char *why, const char *known,
	     uint32_t check_ms)
{
	struct msg_auth_failed m;

	memset(&m, 0, sizeof(m));
	m.id = r->conn.id;
	m.result = result;
	m.check_ms = check_ms;
	m.mech = r->mech;
	m.peer = r->conn.peer;
	m.facts = r->facts;
	memcpy(m.server, r->server, sizeof(m.server));
	snprintf(m.user, sizeof(m.user), "%s", known);
	snprintf(m.given, sizeof(m.given), "%s", r->user);
	snprintf(m.why, sizeof(m.why), "%s", why);
	all.tell(MSG_AUTH_FAILED, &m, sizeof(m));
}

/* The row that this request is under way for; NULL: its client has gone. */
static struct row *
request_row(const struct request *r)
{
	struct row *row = rows_find(&all.rows, r->conn.id);

	return row != NULL && row->request == r ? row : NULL;
}

/* Tells one name and password from another, in whatever way they came; what another back end is to
 * judge is another. */
static void
request_digest(struct request *r, const struct msg_auth_server *server)
{
	const char *other = strcmp(r->authzid, r->user) != 0 ? r->authzid : "";
	const struct iovec parts[] = {
	    {(void *)(uintptr_t)r->user, strlen(r->user)},
	    {(void *)(uintptr_t)r->password.octets, strlen(r->password.octets)},
	    {(void *)(uintptr_t)other, strlen(other)},
	    {(void *)(uintptr_t)r->conn.stamp, r->mech == MECH_APOP ? strlen(r->conn.stamp) : 0},
	    {(void *)(uintptr_t)server->auth, strlen(server->auth)},
	};

	digest_make(r->digest, all.settings->conf.key, parts, COUNT_OF(parts));
}

/* Be done with the request; the worker hears of it in due time. */
static void
request_end(struct request *r, enum login_result result)
{
	struct row *row = request_row(r);

	if (row != NULL)
		refusal_put(row, result, refusal_delay(r, result),
			    result == LOGIN_BAD ? r->digest : NULL);
	request_free(r);
}

/* Refuse, log, and be done with the request. */
static void
request_refuse(struct request *r, enum login_result result, const char *why, const char *known)
{
	failure_tell(r, result, why, known, 0);
	request_end(r, result);
}

/* The name as failures are counted by: back ends may take no notice of case, whatever username_fold
 * says, and another spelling shall not begin another count. */
static size_t
counted_name(const struct request *r, char name[MSG_NAME_SIZE])
{
	size_t len = 0;

	for (; r->user[len] != '\0'; len++) {
		char c = r->user[len];

		name[len] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	return len;
}

/* Failures count for a name from one source: whoever fails in another's name shuts out himself.
 * A digest, since people type passwords where the name belongs. */
static struct failure_key
user_key(const struct request *r)
{
	char counted[MSG_NAME_SIZE];
	struct failure_key key;
	const struct iovec parts[] = {
	    {(void *)(uintptr_t)&r->source, sizeof(r->source)},
	    {counted, counted_name(r, counted)},
	};

	digest_make(key.octets, all.settings->conf.key, parts, COUNT_OF(parts));
	return key;
}

/* The same of a name from all sources. */
static struct failure_key
name_key(const struct request *r)
{
	char counted[MSG_NAME_SIZE];
	struct failure_key key;
	const struct iovec name = {counted, counted_name(r, counted)};

	digest_make(key.octets, all.settings->conf.key, &name, 1);
	return key;
}

static struct failure_key
source_key(const struct request *r)
{
	struct failure_key key = {{0}};

	memcpy(key.octets, &r->source, sizeof(r->source));
	return key;
}

/* Tell master of counts that have changed, as many as its queue bears; a second later, the rest. */
static void
failures_tell(evutil_socket_t fd, short what, void *arg)
{
	static struct msg_failures m;
	size_t len;

	(void)fd, (void)what, (void)arg;
	for (int i = 0; i < FAILURES_TURN && (len = failures_take(all.failures, &m)) > 0; i++)
		all.tell(MSG_FAILURES, &m, len);
}

static void
failure_add(const struct request *r, bool known)
{
	const struct msg_auth_conf *conf = &all.settings->conf;
	uint64_t now = now_seconds();
	struct failure_key user = user_key(r), source = source_key(r), name;

	if (conf->failures_per_user > 0)
		failures_add(all.failures, FAILURE_USER, &user, now, known);
	if (conf->account_delay > 0) {
		name = name_key(r);
		failures_add(all.failures, FAILURE_NAME, &name, now, false);
	}
	if (conf->failures_per_source > 0 && !r->conn.trusted)
		failures_add(all.failures, FAILURE_SOURCE, &source, now, false);
}

/* Does an earlier failure tell that the name is an account's? */
static bool
user_is_known(const struct request *r)
{
	struct failure_key user = user_key(r);
	bool known;

	failures_count(all.failures, FAILURE_USER, &user, now_seconds(), &known);
	return known;
}

static bool
is_too_many(enum failure_kind kind, struct failure_key key, uint32_t limit)
{
	return limit > 0 && failures_count(all.failures, kind, &key, now_seconds(), NULL) >= limit;
}

/* Has the user or the source failed too often? */
static bool
failures_are_too_many(const struct request *r)
{
	const struct msg_auth_conf *conf = &all.settings->conf;

	return is_too_many(FAILURE_USER, user_key(r), conf->failures_per_user) ||
	       (!r->conn.trusted &&
		is_too_many(FAILURE_SOURCE, source_key(r), conf->failures_per_source));
}

/* Milliseconds from the request to its check. */
static uint32_t
request_pace(const struct request *r)
{
	uint32_t most = all.settings->conf.account_delay;
	struct failure_key name;

	if (most == 0)
		return 0;
	name = name_key(r);
	return pace_delay(failures_count(all.failures, FAILURE_NAME, &name, now_seconds(), NULL),
			  most);
}

/* Why a request is refused like a wrong password, without asking a back end; NULL: it is not. */
static const char *
request_objection(const struct request *r, const struct msg_auth_server *server)
{
	const struct backend *backend;

	if (r->user[0] == '\0' || secret_is_empty(&r->password))
		return "empty name or password";
	if (!username_is_clean(r->user))
		return "control characters in the name";
	if (r->authzid[0] != '\0' && strcmp(r->authzid, r->user) != 0)
		return "authorization identity is another's";
	if (server->auth[0] == '\0')
		return "no auth back end";
	backend = backends_find(backends_auth, server->auth, NULL);
	if (r->mech == MECH_APOP && (backend == NULL || !backend->apop))
		return "no APOP with this back end";
	return NULL;
}

/* The password is right; master has the grant, unless the client has gone. */
static void
request_granted(struct request *r, const struct msg_checked *c)
{
	struct row *row = request_row(r);
	struct failure_key user = user_key(r);

	failures_clear(all.failures, FAILURE_USER, &user);
	if (c->granted == 0)
		failure_tell(r, LOGIN_OK, c->why, c->known, 0);
	request_free(r);
	if (row != NULL)
		refusal_reopen(row);
}

static void
request_decided(struct request *r, const struct msg_checked *c)
{
	const char *known = c->known;
	uint32_t check_ms = 0;

	if (c->result == LOGIN_OK) {
		request_granted(r, c);
		return;
	}
	if (c->judged == 0 && user_is_known(r))
		known = r->user;
	if (c->judged != 0 && c->result == LOGIN_BAD) {
		failure_add(r, known[0] != '\0');
		check_ms = c->check_ms < UINT32_MAX ? c->check_ms + 1 : UINT32_MAX;
	}
	failure_tell(r, (enum login_result)c->result, c->why, known, check_ms);
	request_end(r, (enum login_result)c->result);
}

static void
request_refuse_too_many(struct request *r)
{
	request_refuse(r, LOGIN_BAD, "too-many-failures", user_is_known(r) ? r->user : "");
}

/* It may be put to the gate, if its time has come. */
static void
request_put(struct request *r)
{
	const struct msg_auth_server *server = settings_server(all.settings, r->conn.server);
	uint32_t delay = request_pace(r);

	if (server == NULL)
		request_refuse(r, LOGIN_TEMP, "no such server", "");
	else if (pace_is_over(r, delay))
		lines_ask(server->auth, r);
	else if (pace_wait(r, delay) == -1)
		request_refuse(r, LOGIN_TEMP, "no memory", "");
}

/* The same after a while, in which others may have failed. */
static void
request_put_again(struct request *r)
{
	if (failures_are_too_many(r))
		request_refuse_too_many(r);
	else
		request_put(r);
}

/* Asked when a child is free: meanwhile others may have failed. */
static bool
request_wanted(struct request *r)
{
	return !failures_are_too_many(r) && pace_is_over(r, request_pace(r));
}

/* The rule that a request breaks; NULL: none.  One login may be under way and one wait: master may
 * have refused the first, and its worker heard so, before the gate's word of its end is read here.
 */
static const char *
row_objection(const struct row *row, uint32_t worker, uint32_t mech)
{
	if (row->conn.worker != worker)
		return "login for another worker's connection";
	if (row->early != NULL)
		return "third login on a connection";
	if (row->state == ROW_OVER)
		return "login after the last refusal";
	if (row->conn.tls == CONN_TLS_NONE && !row->conn.clear_ok)
		return "login without TLS";
	if (mech == MECH_APOP && row->conn.stamp[0] == '\0')
		return "APOP where it is off";
	return NULL;
}

/* Is it what failed just before on its connection? */
static bool
request_is_repeated(const struct request *r)
{
	const struct row *row = request_row(r);

	return row != NULL && refusal_is_repeated(row, r->digest);
}

/* Refuse what needs no check, else have it checked. */
static void
request_begin(struct request *r)
{
	const struct msg_auth_server *server = settings_server(all.settings, r->conn.server);
	const char *objection;
	bool foreign;

	if (server == NULL) {
		request_refuse(r, LOGIN_TEMP, "no such server", "");
		return;
	}
	memcpy(r->server, server->name, sizeof(r->server));
	foreign = username_apply(server, r->user) == -1 || username_apply(server, r->authzid) == -1;
	request_digest(r, server);
	/* Mail programs try one password by PLAIN, LOGIN and USER. */
	if (request_is_repeated(r)) {
		log_debug(r->conn.id, "the same name and password again");
		request_end(r, LOGIN_BAD);
		return;
	}
	objection = foreign ? "domain is not the server's" : request_objection(r, server);
	/* First, so that who has failed too often no longer fills the tables of failures. */
	if (failures_are_too_many(r))
		request_refuse_too_many(r);
	else if (objection != NULL) {
		failure_add(r, false);
		request_refuse(r, LOGIN_BAD, objection, "");
	} else
		request_put(r);
}

/* The row is open: judge the login. */
static void
logins_begin(struct row *row, const struct msg_login_ask *ask)
{
	row->request = request_new(ask, &row->conn);
	if (row->request == NULL) {
		log_error(ask->id, "no memory for a login");
		refusal_put(row, LOGIN_TEMP, 0, NULL);
		return;
	}
	row->state = ROW_ASKED;
	request_begin(row->request);
}

/* A client would wait for an answer that nobody owes him.  Master starts another dispatcher, which
 * hears of all connections; workers refuse what was under way. */
static _Noreturn void
no_memory(conn_id id)
{
	log_error(id, "no memory for a login");
	_exit(EXIT_FAILURE);
}

void
logins_ask(uint32_t worker, const struct msg_login_ask *ask)
{
	struct row *row = rows_find(&all.rows, ask->id);
	const char *objection;

	if (row == NULL) {
		all.late++;
		log_debug(ask->id, "login for a connection that has gone (%llu so far)",
			  (unsigned long long)all.late);
		return;
	}
	objection = row_objection(row, worker, ask->mech);
	if (objection != NULL)
		workers_give_up(worker, objection);
	else if (row->state == ROW_OPEN)
		logins_begin(row, ask);
	else if (refusal_keep_early(row, ask) < 0)
		no_memory(ask->id);
}

void
logins_failures(const struct msg_failures *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		failures_put(all.failures, &m->rows[i]);
}

void
logins_row(const struct msg_conn *conn)
{
	if (rows_set(&all.rows, conn) == NULL)
		no_memory(conn->id);
}

void
logins_row_gone(conn_id id)
{
	struct row *row = rows_find(&all.rows, id);

	if (row == NULL)
		return;
	/* one that has not begun ends here; the other's answer comes late */
	if (row->request != NULL && (pace_cancel(row->request) || lines_cancel(row->request)))
		request_free(row->request);
	refusal_forget(row);
	rows_remove(&all.rows, row);
}

int
logins_init(struct event_base *base, login_tell_fn *tell, lines_check_fn *check)
{
	static const struct lines_calls calls = {request_decided, request_wanted,
						 request_put_again};

	all.tell = tell;
	refusals_init(base, logins_begin);
	pace_init(base, request_put_again);
	all.failures = failures_new(FAILURES_MAX);
	all.telling = event_new(base, -1, EV_PERSIST, failures_tell, NULL);
	if (all.failures == NULL || all.telling == NULL ||
	    event_add(all.telling, &(struct timeval){.tv_sec = 1}) == -1)
		return -1;
	lines_init(base, &calls, check);
	return 0;
}

void
logins_configure(const struct settings *s)
{
	all.settings = s;
	refusals_configure(s->conf.max_failures);
	failures_set_window(all.failures, s->conf.failure_window);
	lines_configure(s);
}
