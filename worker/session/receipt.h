/*
 * What a session does with messages, written down: which were retrieved, and at
 * UPDATE each deleted one, in the mailbox's history before it goes, and in the
 * log after it has gone.
 */
#ifndef POP3D_RECEIPT_H
#define POP3D_RECEIPT_H

#include "worker/session/session.h"

/* The client has confirmed message i: tell the store, and count it if an earlier session had it
 * already. */
void receipts_fetched(struct session *ss, size_t i);

/* Before the marked messages are removed.  A history that cannot be written is logged, and keeps
 * nobody from deleting mail. */
void receipts_begin(struct session *ss);

/* They were removed, but for those whose marks were cleared: finish the history, and report the
 * others to master, waiting until it has taken them all. */
void receipts_end(struct session *ss);

#endif
