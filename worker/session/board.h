/*
 * What the session shows of itself: it writes its page (common/page.h), which
 * master reads for `pop3ctl conn state` and `top`.
 */
#ifndef POP3D_BOARD_H
#define POP3D_BOARD_H

#include "common/page.h"
#include "worker/session/session.h"

/* Take the page that came with the grant; -1, or a page that cannot be mapped: nothing is shown. */
void board_open(struct session *ss, int fd);

/* The mailbox is open, or the session goes on to UPDATE. */
void board_state(struct session *ss, enum page_state state);

/* A command was run; shows counters, too. */
void board_command(struct session *ss, const char *keyword);

/* DELE marked message i (from 0), or RSET took all marks back. */
void board_marked(struct session *ss, size_t i);
void board_unmarked(struct session *ss);

/* Master asks: find the sizes if nobody has yet, and say that the page is up to date. */
void board_answer(struct session *ss);

#endif
