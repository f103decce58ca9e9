/*
 * The log lines of master that scripts rely on; their form is part of pop3d(8).
 */
#ifndef POP3D_REPORT_H
#define POP3D_REPORT_H

#include "daemon/base.h"
#include "daemon/table/conn.h"

/* Who is told of connections beside the log, as they come and go. */
struct report_sink {
	void (*serving)(struct master *m); /* the ports are open */
	void (*tick)(struct master *m);	   /* once a second */
	void (*connected)(const struct conn *c);
	void (*gone)(const struct conn *c);	/* a connection has ended */
	void (*session_over)(struct master *m); /* a session, and its row has gone */
};
void report_to(const struct report_sink *sink); /* NULL: nobody */

void report_serving(struct master *m);
void report_tick(struct master *m);
void report_gone(const struct conn *c);
void report_session_over(struct master *m);

void report_connect(const struct conn *c);
/* A connection that ended before a session took it. */
void report_disconnect(const struct conn *c, enum conn_end why, uint32_t failures);
/* Logged in and the mailbox is open; or the mailbox was refused. */
void report_login(const struct conn *c, const struct msg_session_open *open);
void report_login_failed(const struct conn *c, enum login_result result, const char *reason);
/* A login that the helper refused, or whose client had gone; first it is counted, and then, if the
 * helper may still log, it gets its line. */
void report_count_failed(const struct msg_auth_failed *f);
void report_auth_failed(const struct msg_auth_failed *f);
/* A message was deleted: into dst of REPORT_SIZE, for who sees that it is not lost.  Returns dst.
 */
enum { REPORT_SIZE = MSG_TEXT_MAX };
const char *report_deleted(char *dst, const struct conn *c, const struct msg_receipt *r);
/* So many more were deleted, which have no line. */
void report_deleted_more(const struct conn *c, uint64_t messages);
/* Warnings: every user can write into what the session found exposed; of the unique-ids that the
 * session before left many are gone; many messages were fetched that an earlier session had
 * fetched. */
void report_exposed(const struct conn *c, enum exposed what);
void report_vanished(const struct conn *c, uint64_t vanished, uint64_t known);
void report_fetched_again(const struct conn *c, uint64_t again, uint64_t messages);
/* A login of the same user ends the session of `holder`. */
void report_takeover(const struct conn *c, const struct conn *holder);
/* A mailbox job has ended: its words, exit status, and why it failed or "". */
void report_job(const struct conn *c, const char *words, uint32_t status, const char *why);
void report_session_end(const struct conn *c, const struct msg_session_end *end);

#endif
