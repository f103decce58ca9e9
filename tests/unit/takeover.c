#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daemon/table/report.h"
#include "daemon/roles/sessions.h"
#include "daemon/table/conns.h"
#include "daemon/table/takeover.h"
#include "tests/unit/unit.h"

enum {
	CONNS = 4,
	ANN = 0,
	BOB = 1,
	CAT = 2,
	NEW = 3,
	UID = 2001,
	AGO = 1000000,
	LOGGED_IN = 1790000000
};

/* The connection table, what was sent to each session, and the clock. */
static struct conn conns[CONNS];
static struct session sessions[CONNS];
static struct conn_login logins[CONNS];
static struct scoreboard_head boards[CONNS];
static struct sent {
	unsigned answers, takeovers, kills;
	struct msg_lock_answer answer;
} sent[CONNS];
static struct conf conf;
static struct master m = {.conf = &conf};
static uint64_t now;

static const struct msg_lock_place place = {7, 99};

/* ---- what the module stands on ---- */

uint64_t
clock_ms(void)
{
	return now;
}

struct conn *
conns_next(struct master *master, struct conn *c)
{
	size_t i = c == NULL ? 0 : (size_t)(c - conns) + 1;

	(void)master;
	return i < CONNS ? &conns[i] : NULL;
}

int
sessions_read_scoreboard(const struct session *s, struct scoreboard_head *out, uint32_t **deleted)
{
	(void)deleted;
	*out = boards[s - sessions];
	return s->scoreboard == -1 ? -1 : 0;
}

void
sessions_kill(struct session *s)
{
	sent[s - sessions].kills++;
}

void
report_takeover(const struct conn *c, const struct conn *holder)
{
	(void)c, (void)holder;
}

int
evchannel_put(struct evchannel *ec, enum msg_type type, const void *body, size_t len)
{
	struct session *s = (struct session *)((char *)ec - offsetof(struct session, ec));
	struct sent *to = &sent[s - sessions];

	if (type == MSG_LOCK_ANSWER) {
		CU_ASSERT_EQUAL(len, sizeof(to->answer));
		memcpy(&to->answer, body, sizeof(to->answer));
		to->answers++;
	} else if (type == MSG_TAKEOVER) {
		to->takeovers++;
	}
	return 0;
}

/* ---- the tests ---- */

/* Four sessions of one user: the first, idle for ten minutes, has the lock, the last asks. */
static void
setup(void)
{
	now = AGO;
	memset(sent, 0, sizeof(sent));
	memset(sessions, 0, sizeof(sessions));
	conf.takeover = 60;
	for (size_t i = 0; i < CONNS; i++) {
		logins[i] = (struct conn_login){.user = "ann", .uid = UID, .since = LOGGED_IN};
		boards[i] = (struct scoreboard_head){.state = SCOREBOARD_TRANS,
						     .wait = SCOREBOARD_WAIT_CLIENT,
						     .active = now - 600000};
		conns[i] = (struct conn){.state = CONN_SESSION,
					 .row = {.id = 100 + i, .peer = {.family = 2}},
					 .session = &sessions[i],
					 .login = &logins[i],
					 .since = now - 900000};
	}
	sessions[ANN].takeover.place = place;
}

static bool
ask(size_t who, enum lock_purpose purpose)
{
	struct msg_lock_ask a = {.id = conns[who].row.id, .place = place, .purpose = purpose};

	return takeover_asked(&m, &conns[who], &a);
}

/* What the last one hears at once. */
static enum lock_holder
heard(void)
{
	CU_ASSERT_TRUE(ask(NEW, LOCK_TAKE_OVER));
	CU_ASSERT_EQUAL(sent[ANN].takeovers, 0);
	CU_ASSERT_EQUAL(sent[NEW].answers, 1);
	CU_ASSERT_EQUAL(sent[NEW].answer.id, conns[NEW].row.id);
	return (enum lock_holder)sent[NEW].answer.holder;
}

static void
test_ends_the_idle_one(void)
{
	setup();
	CU_ASSERT_TRUE(ask(NEW, LOCK_TAKE_OVER));
	CU_ASSERT_EQUAL(sent[ANN].takeovers, 1);
	CU_ASSERT_EQUAL(sent[NEW].answers, 0);
	CU_ASSERT_TRUE(ask(CAT, LOCK_TAKE_OVER)); /* a race: told once, both wait */
	CU_ASSERT_EQUAL(sent[ANN].takeovers, 1);
	takeover_session_gone(&m, &conns[ANN]);
	CU_ASSERT_EQUAL(sent[NEW].answers, 1);
	CU_ASSERT_EQUAL(sent[NEW].answer.holder, LOCK_HOLDER_ENDED);
	CU_ASSERT_EQUAL(sent[CAT].answers, 1);
	CU_ASSERT_EQUAL(sent[BOB].answers, 0);
	CU_ASSERT_EQUAL(sent[ANN].kills, 0);
	takeover_session_gone(&m, &conns[ANN]);
	CU_ASSERT_EQUAL(sent[NEW].answers, 1);
}

static void
test_only_the_same_uid(void)
{
	setup();
	logins[ANN].uid = UID + 1;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_UNKNOWN);
	CU_ASSERT_EQUAL(sent[NEW].answer.since, 0);
	CU_ASSERT_EQUAL(sent[NEW].answer.peer.family, 0);
}

static void
test_only_the_same_user(void)
{
	setup();
	strcpy(logins[ANN].user, "anna");
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OTHER);
	CU_ASSERT_EQUAL(sent[NEW].answer.since, 0);
	CU_ASSERT_EQUAL(sent[NEW].answer.peer.family, 0);
	/* The same user's session is found behind another's, that only says it has the lock. */
	setup();
	strcpy(logins[ANN].user, "anna");
	sessions[CAT].takeover.place = place;
	CU_ASSERT_TRUE(ask(NEW, LOCK_TAKE_OVER));
	CU_ASSERT_EQUAL(sent[CAT].takeovers, 1);
	CU_ASSERT_EQUAL(sent[ANN].takeovers, 0);
}

static void
test_only_the_same_place(void)
{
	static const struct msg_lock_place others[] = {{7, 98}, {8, 99}, {7, 0}, {0, 0}};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		setup();
		sessions[ANN].takeover.place = others[i];
		CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_UNKNOWN);
	}
	/* One that has locked nothing is not found by one that asks for nothing. */
	setup();
	struct msg_lock_ask a = {.id = conns[NEW].row.id};
	CU_ASSERT_TRUE(takeover_asked(&m, &conns[NEW], &a));
	CU_ASSERT_EQUAL(sent[NEW].answer.holder, LOCK_HOLDER_UNKNOWN);
}

static void
test_spared(void)
{
	setup();
	conf.takeover = 0;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	CU_ASSERT_EQUAL(sent[NEW].answer.idle, 600);
	CU_ASSERT_EQUAL(sent[NEW].answer.peer.family, 2);
	CU_ASSERT_EQUAL(sent[NEW].answer.since, LOGGED_IN);
	setup();
	boards[ANN].state = SCOREBOARD_UPDATE;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	setup();
	boards[ANN].state = SCOREBOARD_LOGIN;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	setup();
	boards[ANN].wait = SCOREBOARD_WAIT_DISK;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	setup();
	boards[ANN].active = now - 59999;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	CU_ASSERT_EQUAL(sent[NEW].answer.idle, 59);
	setup();
	boards[ANN].active = UINT64_MAX; /* a lie */
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	CU_ASSERT_EQUAL(sent[NEW].answer.idle, 0);
	setup();
	sessions[ANN].scoreboard = -1;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_OWN);
	setup();
	conns[ANN].state = CONN_OFFERED;
	CU_ASSERT_EQUAL(heard(), LOCK_HOLDER_UNKNOWN);
	setup();
	CU_ASSERT_TRUE(ask(NEW, LOCK_LOOK)); /* only to look */
	CU_ASSERT_EQUAL(sent[NEW].answer.holder, LOCK_HOLDER_OWN);
	CU_ASSERT_EQUAL(sent[ANN].takeovers, 0);
}

static void
test_asks_are_counted(void)
{
	setup();
	for (int i = 0; i < 5; i++)
		CU_ASSERT_TRUE(ask(NEW, LOCK_LOOK));
	CU_ASSERT_FALSE(ask(NEW, LOCK_LOOK));
}

static enum lock_holder
claim(size_t who)
{
	struct msg_lock_ask a = {.id = conns[who].row.id, .place = place, .purpose = LOCK_CLAIM};

	CU_ASSERT_TRUE(takeover_asked(&m, &conns[who], &a));
	return (enum lock_holder)sent[who].answer.holder;
}

/* A claim is had by one at a time, and a question is none. */
static void
test_claims(void)
{
	setup();
	conf.takeover = 0;
	CU_ASSERT_EQUAL(claim(NEW), LOCK_HOLDER_OWN);
	sessions[ANN].takeover.place.ino = 0; /* its end was told */
	CU_ASSERT_TRUE(ask(BOB, LOCK_TAKE_OVER));
	CU_ASSERT_EQUAL(sent[BOB].answer.holder, LOCK_HOLDER_UNKNOWN);
	CU_ASSERT_EQUAL(claim(NEW), LOCK_HOLDER_UNKNOWN);
	CU_ASSERT_EQUAL(claim(NEW), LOCK_HOLDER_UNKNOWN);
	CU_ASSERT_EQUAL(claim(CAT), LOCK_HOLDER_OWN);
	strcpy(logins[CAT].user, "cat");
	CU_ASSERT_EQUAL(claim(CAT), LOCK_HOLDER_OTHER);
	logins[CAT].uid++;
	CU_ASSERT_EQUAL(claim(CAT), LOCK_HOLDER_UNKNOWN);
}

static void
test_one_that_does_not_end(void)
{
	setup();
	CU_ASSERT_TRUE(ask(NEW, LOCK_TAKE_OVER));
	takeover_tick(&m);
	CU_ASSERT_EQUAL(sent[ANN].kills, 0);
	now += 2000;
	takeover_tick(&m);
	CU_ASSERT_EQUAL(sent[ANN].kills, 1);
	CU_ASSERT_TRUE(sessions[ANN].takeover.killed);
	takeover_tick(&m);
	CU_ASSERT_EQUAL(sent[ANN].kills, 1);
	CU_ASSERT_EQUAL(sent[NEW].answers, 0);
	takeover_session_gone(&m, &conns[ANN]);
	CU_ASSERT_EQUAL(sent[NEW].answer.holder, LOCK_HOLDER_ENDED);
}

static void
test_not_killed_in_update(void)
{
	setup();
	CU_ASSERT_TRUE(ask(NEW, LOCK_TAKE_OVER));
	boards[ANN].state = SCOREBOARD_UPDATE; /* QUIT came at the same time */
	now += 4999;
	takeover_tick(&m);
	CU_ASSERT_EQUAL(sent[NEW].answers, 0);
	now++;
	takeover_tick(&m);
	CU_ASSERT_EQUAL(sent[ANN].kills, 0);
	CU_ASSERT_EQUAL(sent[NEW].answers, 1);
	CU_ASSERT_EQUAL(sent[NEW].answer.holder, LOCK_HOLDER_OWN);
	takeover_session_gone(&m, &conns[ANN]);
	CU_ASSERT_EQUAL(sent[NEW].answers, 1);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"LCK-01 an idle session is told to end, who asked hears of its end",
	     test_ends_the_idle_one},
	    {"LCK-01 nothing is reached but sessions of the same uid", test_only_the_same_uid},
	    {"LCK-07 of another name of the uid only that it is in use", test_only_the_same_user},
	    {"LCK-01 only what has locked the same place", test_only_the_same_place},
	    {"LCK-01 active, busy, in UPDATE or unreadable: spared", test_spared},
	    {"five questions a session", test_asks_are_counted},
	    {"LCK-07 a mailbox is claimed by one session of a uid", test_claims},
	    {"LCK-04 one that does not end is killed", test_one_that_does_not_end},
	    {"LCK-01 UPDATE is left to finish", test_not_killed_in_update},
	    {NULL, NULL},
	};

	return unit_run("takeover", tests);
}
