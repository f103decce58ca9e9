#include "config.h"

#include "daemon/table/takeover.h"

#include <string.h>

#include "common/clock.h"
#include "daemon/table/conns.h"
#include "daemon/table/report.h"
#include "daemon/roles/sessions.h"

enum {
	ASKS_MAX = 5,	   /* to take over, to see who was faster, and three claims */
	KILL_AFTER = 2000, /* milliseconds from being told to end */
	GIVE_UP = 5000	   /* and until who asked hears that it is still there */
};

static bool
is_session(const struct conn *c)
{
	return c->state == CONN_SESSION && c->session != NULL && c->login != NULL;
}

static bool
same_place(const struct msg_lock_place *a, const struct msg_lock_place *b)
{
	return a->ino != 0 && a->ino == b->ino && a->dev == b->dev;
}

/* The session of the asker's uid and, if there is one, user name that has locked the place. */
static struct conn *
holder_find(struct master *m, const struct conn *asker, const struct msg_lock_place *place)
{
	struct conn *c, *found = NULL;

	for (c = conns_next(m, NULL); c != NULL; c = conns_next(m, c)) {
		if (c == asker || !is_session(c) || c->login->uid != asker->login->uid ||
		    !same_place(&c->session->takeover.place, place))
			continue;
		found = c;
		if (strcmp(c->login->user, asker->login->user) == 0)
			break;
	}
	return found;
}

/* Milliseconds since the client did anything, by the session's own word. */
static uint64_t
idle_of(const struct scoreboard_head *p)
{
	uint64_t now = clock_ms();

	return p->active < now ? now - p->active : 0;
}

/* Does it wait for its client, who has been silent for as long as the setting says?  Not so one
 * that is at work in the mailbox, in UPDATE above all. */
static bool
may_end(const struct master *m, const struct conn *c)
{
	struct scoreboard_head p;

	return m->conf->takeover > 0 && sessions_read_scoreboard(c->session, &p, NULL) == 0 &&
	       p.state == SCOREBOARD_TRANS && p.wait == SCOREBOARD_WAIT_CLIENT &&
	       idle_of(&p) >= (uint64_t)m->conf->takeover * 1000;
}

static void
describe(struct msg_lock_answer *a, const struct conn *holder)
{
	struct scoreboard_head p;

	if (sessions_read_scoreboard(holder->session, &p, NULL) == 0)
		a->idle = (uint32_t)(idle_of(&p) / 1000);
	a->since = holder->login->since;
	a->peer = holder->row.peer;
}

static void
answer(struct conn *asker, enum lock_holder who, const struct conn *holder)
{
	struct msg_lock_answer a = {.id = asker->row.id, .holder = who};

	asker->session->takeover.awaits = 0;
	if (who == LOCK_HOLDER_OWN)
		describe(&a, holder);
	evchannel_put(&asker->session->ec, MSG_LOCK_ANSWER, &a, sizeof(a));
}

/* Answer all who wait for the end of this connection's session. */
static void
answer_waiting(struct master *m, const struct conn *holder, enum lock_holder who)
{
	struct conn *c;

	for (c = conns_next(m, NULL); c != NULL; c = conns_next(m, c))
		if (is_session(c) && c->session->takeover.awaits == holder->row.id)
			answer(c, who, holder);
}

bool
takeover_asked(struct master *m, struct conn *c, const struct msg_lock_ask *ask)
{
	struct conn *holder = holder_find(m, c, &ask->place);
	struct takeover *t;

	if (++c->session->takeover.asked > ASKS_MAX)
		return false;
	if (holder == NULL) {
		if (ask->purpose == LOCK_CLAIM)
			c->session->takeover.place = ask->place;
		answer(c, LOCK_HOLDER_UNKNOWN, NULL);
		return true;
	}
	if (strcmp(holder->login->user, c->login->user) != 0) {
		answer(c, LOCK_HOLDER_OTHER, NULL);
		return true;
	}
	t = &holder->session->takeover;
	if (ask->purpose == LOCK_LOOK || (t->told == 0 && !may_end(m, holder))) {
		answer(c, LOCK_HOLDER_OWN, holder);
		return true;
	}
	c->session->takeover.awaits = holder->row.id;
	if (t->told == 0) {
		t->told = clock_ms();
		report_takeover(c, holder);
		evchannel_put(&holder->session->ec, MSG_TAKEOVER, NULL, 0);
	}
	return true;
}

void
takeover_session_gone(struct master *m, const struct conn *c)
{
	if (c->session->takeover.told != 0)
		answer_waiting(m, c, LOCK_HOLDER_ENDED);
}

void
takeover_tick(struct master *m)
{
	uint64_t now = clock_ms();
	struct conn *c;

	for (c = conns_next(m, NULL); c != NULL; c = conns_next(m, c)) {
		struct takeover *t = is_session(c) ? &c->session->takeover : NULL;

		if (t == NULL || t->told == 0)
			continue;
		if (!t->killed && now - t->told >= KILL_AFTER && may_end(m, c)) {
			t->killed = true;
			sessions_kill(c->session);
		}
		if (now - t->told >= GIVE_UP)
			answer_waiting(m, c, LOCK_HOLDER_OWN);
	}
}
