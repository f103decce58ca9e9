/* daemon/dispatch/queue.c, daemon/dispatch/lines.c, daemon/dispatch/rows.c */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/dispatch/lines.h"
#include "daemon/dispatch/queue.h"
#include "daemon/dispatch/rows.h"
#include "tests/unit/unit.h"

/* A request of 192.0.2.`host` with this id. */
static struct request *
request_of(uint8_t host, conn_id id)
{
	struct msg_conn conn = {.id = id, .peer = {.family = AF_INET, .octets = {192, 0, 2, host}}};
	struct msg_login_ask ask = {.id = id, .user = "alice", .password = {"secret"}};
	struct request *r = request_new(&ask, &conn);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	return r;
}

static void
put(struct queue *q, uint8_t host, conn_id id)
{
	struct request *out;

	CU_ASSERT_EQUAL(queue_put(q, request_of(host, id), &out), 0);
	CU_ASSERT_PTR_NULL(out);
}

static conn_id
next(struct queue *q, size_t share, struct request **r)
{
	*r = queue_next(q, share);
	return *r == NULL ? 0 : (*r)->conn.id;
}

static void
done(struct request *r)
{
	queue_done(r);
	request_free(r);
}

static void
test_turns(void)
{
	static const conn_id order[] = {1, 4, 6, 2, 5, 3};
	struct request *r[6];
	struct queue q;

	queue_init(&q);
	put(&q, 1, 1);
	put(&q, 1, 2);
	put(&q, 1, 3);
	put(&q, 2, 4);
	put(&q, 2, 5);
	put(&q, 3, 6);
	CU_ASSERT_EQUAL(q.nwaiting, 6);
	for (size_t i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(next(&q, 10, &r[i]), order[i]);
	CU_ASSERT_PTR_NULL(queue_next(&q, 10));
	CU_ASSERT_EQUAL(q.nwaiting, 0);
	for (size_t i = 0; i < 6; i++)
		done(r[i]);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&q.turns));
}

static void
test_share(void)
{
	struct request *a, *b, *c, *d;
	struct queue q;

	queue_init(&q);
	for (conn_id id = 1; id <= 4; id++)
		put(&q, 1, id);
	CU_ASSERT_EQUAL(next(&q, 2, &a), 1);
	CU_ASSERT_EQUAL(next(&q, 2, &b), 2);
	CU_ASSERT_PTR_NULL(queue_next(&q, 2));
	put(&q, 2, 9);
	CU_ASSERT_EQUAL(next(&q, 2, &c), 9);
	CU_ASSERT_PTR_NULL(queue_next(&q, 2));
	done(a);
	CU_ASSERT_EQUAL(next(&q, 2, &a), 3);
	done(a);
	done(b);
	done(c);
	CU_ASSERT_EQUAL(next(&q, 2, &d), 4);
	done(d);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&q.turns));
}

static void
test_leave(void)
{
	struct request *a = request_of(1, 1), *b = request_of(1, 2), *r, *out;
	struct queue q;

	queue_init(&q);
	CU_ASSERT_FALSE(a->waits);
	CU_ASSERT_EQUAL(queue_put(&q, a, &out), 0);
	CU_ASSERT_EQUAL(queue_put(&q, b, &out), 0);
	CU_ASSERT_TRUE(a->waits);
	CU_ASSERT_EQUAL(next(&q, 1, &r), 1);
	CU_ASSERT_FALSE(a->waits);
	CU_ASSERT_PTR_NULL(queue_next(&q, 1));
	done(r);
	queue_remove(b);
	CU_ASSERT_FALSE(b->waits);
	request_free(b);
	CU_ASSERT_EQUAL(q.nwaiting, 0);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&q.turns));
}

/* Full of eight sources' requests, 128 each. */
static void
test_full(void)
{
	struct request *over = request_of(1, 9999), *r, *out;
	struct queue q;
	size_t n = 0;

	queue_init(&q);
	for (uint8_t host = 1; n < QUEUE_MAX; host++)
		for (size_t i = 0; i < QUEUE_SOURCE_MAX && n < QUEUE_MAX; i++, n++)
			put(&q, host, n + 1);
	CU_ASSERT_EQUAL(queue_put(&q, over, &out), -1);
	CU_ASSERT_EQUAL(errno, ENOBUFS);
	CU_ASSERT_PTR_NULL(out);
	CU_ASSERT_FALSE(over->waits);
	request_free(over);
	while ((r = queue_next(&q, QUEUE_MAX)) != NULL)
		done(r);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&q.turns));
}

/* Full: each source has its share, whatever others do. */
static void
test_full_makes_room(void)
{
	struct request *r, *out;
	struct queue q;
	size_t n = 0;

	queue_init(&q);
	for (uint8_t host = 1; n < QUEUE_MAX; host++)
		for (size_t i = 0; i < QUEUE_SOURCE_MAX && n < QUEUE_MAX; i++, n++)
			put(&q, host, n + 1);
	CU_ASSERT_EQUAL(queue_put(&q, request_of(99, 7777), &out), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(out->conn.id, QUEUE_SOURCE_MAX); /* the newest of the first one */
	CU_ASSERT_FALSE(out->waits);
	request_free(out);
	CU_ASSERT_EQUAL(q.nwaiting, QUEUE_MAX);
	/* no source gives way to one that has as many */
	for (conn_id id = 8000;; id++) {
		r = request_of(99, id);
		if (queue_put(&q, r, &out) < 0)
			break;
		request_free(out);
	}
	request_free(r);
	CU_ASSERT_EQUAL(q.nwaiting, QUEUE_MAX);
	n = 0;
	while ((r = queue_next(&q, QUEUE_MAX)) != NULL) {
		n += r->source.octets[3] == 99;
		done(r);
	}
	CU_ASSERT_TRUE(n > QUEUE_MAX / 9 - 2 && n <= QUEUE_MAX / 9 + 1);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&q.turns));
}

static void
test_source_full(void)
{
	struct request *over = request_of(1, 9999), *r, *out;
	struct queue q;

	queue_init(&q);
	for (conn_id id = 1; id <= QUEUE_SOURCE_MAX; id++)
		put(&q, 1, id);
	CU_ASSERT_EQUAL(queue_put(&q, over, &out), -1);
	CU_ASSERT_EQUAL(errno, ENOBUFS);
	request_free(over);
	put(&q, 2, 7777);
	while ((r = queue_next(&q, QUEUE_MAX)) != NULL)
		done(r);
}

/* ---- lines: what the gate was given of them, and what came back */

static unsigned given, answered;

static void
gate_check(const struct msg_login_ask *ask)
{
	(void)ask;
	given++;
}

static bool
gate_wanted(struct request *r)
{
	return r != NULL;
}

static void
gate_unwanted(struct request *r)
{
	request_free(r);
}

static void
gate_decided(struct request *r, const struct msg_checked *c)
{
	CU_ASSERT_EQUAL(r->conn.id, c->id);
	answered++;
	request_free(r);
}

/* Of four children one source has two, whatever it asks; another's is checked at once. */
static void
test_half_of_the_children(void)
{
	static const struct lines_calls calls = {gate_decided, gate_wanted, gate_unwanted};
	static const conn_id order[] = {1, 2, 5, 3, 4};
	const struct settings s = {.conf = {.children = 4, .deadline = 60}};
	struct event_base *base = event_base_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(base);
	lines_init(base, &calls, gate_check);
	lines_configure(&s);
	for (conn_id id = 1; id <= 4; id++)
		lines_ask("pam:pop3d", request_of(1, id));
	CU_ASSERT_EQUAL(given, 2);
	lines_ask("pam:pop3d", request_of(2, 5));
	CU_ASSERT_EQUAL(given, 3);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const struct msg_checked answer = {.id = order[i], .result = LOGIN_BAD};

		CU_ASSERT_EQUAL(lines_checked(&answer), 0);
	}
	CU_ASSERT_EQUAL(given, 5);
	CU_ASSERT_EQUAL(answered, 5);
	event_base_free(base);
}

static void
test_rows(void)
{
	static struct rows rows;
	struct msg_conn conn = {.worker = 1};
	struct row *row;

	for (conn_id id = 1; id <= 10000; id++) {
		conn.id = id;
		CU_ASSERT_PTR_NOT_NULL_FATAL(rows_set(&rows, &conn));
	}
	row = rows_find(&rows, 5000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	row->state = ROW_OVER;
	/* renewed: what the dispatcher knows of it stays */
	conn = (struct msg_conn){.id = 5000, .worker = 7, .tls = CONN_TLS_STLS};
	CU_ASSERT_PTR_EQUAL(rows_set(&rows, &conn), row);
	CU_ASSERT_EQUAL(row->state, ROW_OVER);
	CU_ASSERT_EQUAL(row->conn.worker, 7);
	CU_ASSERT_PTR_NULL(rows_find(&rows, 10001));
	for (conn_id id = 1; id <= 10000; id++)
		rows_remove(&rows, rows_find(&rows, id));
	CU_ASSERT_TRUE(RB_EMPTY(&rows));
	CU_ASSERT_PTR_NULL(rows_find(&rows, 1));
}

static const struct unit_test tests[] = {
    {"sources have their turn one after the other", test_turns},
    {"a source has no more than its share", test_share},
    {"requests that leave", test_leave},
    {"a full queue", test_full},
    {"a full queue makes room for a source with fewer", test_full_makes_room},
    {"a source with too many requests", test_source_full},
    {"a source has half of the children", test_half_of_the_children},
    {"rows of the connection table", test_rows},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("queue", tests);
}
