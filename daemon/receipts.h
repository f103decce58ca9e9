/*
 * Receipts: a line in the log for each deleted message, and a warning when a
 * mailbox was treated in an unusual way.
 *
 * A receipt is never dropped.  While the log takes no line, the sessions that
 * have one to write are not heard: they wait, and nobody else does.
 */
#ifndef POP3D_RECEIPTS_H
#define POP3D_RECEIPTS_H

#include "daemon/sessions.h"

struct ctl;

struct receipts *receipts_new(struct master *m);

/* A session reports one deleted message. */
void receipts_got(struct session *s, const struct msg_receipt *r);

/* The session is freed. */
void receipts_forget(struct session *s);

/* A session has opened its mailbox; a session has ended: warn if that is called for. */
void receipts_opened(struct master *m, const struct conn *c, const struct msg_session_open *open);
void receipts_ended(struct master *m, const struct conn *c, const struct msg_session_end *end,
    uint64_t messages);

/* Add what `pop3ctl status` counts of all this. */
void receipts_say_status(const struct master *m, struct ctl *c);

#endif
