/*
 * The session writes its scoreboard (common/scoreboard.h), which master reads for
 * `pop3ctl conn state` and `top`.
 */
#ifndef POP3D_SCORE_H
#define POP3D_SCORE_H

#include "common/scoreboard.h"
#include "worker/session/session.h"

/* Take the scoreboard that came with the grant; without one (-1, or it cannot be mapped) nothing is
 * written. */
void score_open(struct session *ss, int fd);

/* The mailbox is open, or the session goes on to UPDATE. */
void score_state(struct session *ss, enum scoreboard_state state);

/* A command was run; shows counters, too. */
void score_command(struct session *ss, const char *keyword);

/* DELE marked message i (from 0), or RSET took all marks back. */
void score_marked(struct session *ss, size_t i);
void score_unmarked(struct session *ss);

/* Master asks: find the sizes if nobody has yet, and say that the scoreboard is up to date. */
void score_answer(struct session *ss);

#endif
