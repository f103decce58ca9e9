/*
 * Receipts: a line in the log for each deleted message, and a warning when a
 * mailbox was treated in an unusual way.
 *
 * Of one session ten thousand lines are written, and at its end one with the number
 * of the others.  No other receipt is dropped.  While the log takes no line, the
 * sessions that have one to write are not heard: they wait, and nobody else does.
 */
#ifndef POP3D_RECEIPTS_H
#define POP3D_RECEIPTS_H

#include "daemon/roles/sessions.h"

struct receipts *receipts_new(struct master *m); /* NULL: no memory */
/* When no session waits any more, or the process ends; NULL: nothing. */
void receipts_free(struct receipts *r);

/* A session reports one deleted message, which s->receipts counts already. */
void receipts_got(struct session *s, const struct msg_receipt *r);

/* The session is freed; the line that waits goes to the log, and the number of those left out. */
void receipts_end(struct session *s);

/* A session has opened its mailbox; a session has ended: warn if that is called for. */
void receipts_opened(struct master *m, const struct conn *c, const struct msg_session_open *open);
void receipts_ended(struct master *m, const struct conn *c, const struct msg_session_end *end,
		    uint64_t messages);

/* Since the start. */
struct receipts_status {
	uint64_t deleted;	  /* messages */
	uint64_t vanished, again; /* sessions warned of */
};
const struct receipts_status *receipts_status(const struct master *m);

#endif
