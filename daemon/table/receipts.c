#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/table/receipts.h"
#include "daemon/table/report.h"

enum {
	LINES_MAX = 10000,  /* of one session; the history has the others */
	STUCK_SECONDS = 5,  /* without one line taken: nobody waits for this log */
	UNUSUAL_LEAST = 20, /* messages; fewer are no reason for a warning */
	UNUSUAL_SHARE = 2   /* more than one in so many */
};

struct receipts {
	struct event_base *base;
	TAILQ_HEAD(, session) waiting; /* with the line that the log did not take */
	int fd;			       /* writable when it may */
	struct event *ready;	       /* NULL: nothing waits */
	bool stuck;		       /* it took none for long: lines are lost as others are */
	struct receipts_status status;
};

struct receipts *
receipts_new(struct master *m)
{
	struct receipts *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->base = m->base;
	r->fd = -1;
	TAILQ_INIT(&r->waiting);
	return r;
}

static void
wait_end(struct receipts *r)
{
	if (r->ready != NULL)
		event_free(r->ready);
	r->ready = NULL;
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
}

void
receipts_free(struct receipts *r)
{
	if (r != NULL)
		wait_end(r);
	free(r);
}

/* The line of a session has been written, or nobody waits for that any more. */
static void
let_go(struct receipts *r, struct session *s)
{
	TAILQ_REMOVE(&r->waiting, s, in_receipts);
	free(s->receipt);
	s->receipt = NULL;
	evchannel_resume(&s->ec);
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct receipts *r = arg;
	struct session *s;

	(void)fd;
	r->stuck = (what & EV_TIMEOUT) != 0;
	while ((s = TAILQ_FIRST(&r->waiting)) != NULL) {
		if (r->stuck)
			log_line(LOG_INFO, 0, "%s", s->receipt);
		else if (log_try(LOG_INFO, s->receipt) == -1)
			return;
		let_go(r, s);
	}
	wait_end(r);
}

/* Wait until the log takes lines again.  0 or -1. */
static int
wait_begin(struct receipts *r)
{
	static const struct timeval limit = {STUCK_SECONDS, 0};

	if (r->ready != NULL)
		return 0;
	if ((r->fd = log_wait_fd()) == -1)
		return -1;
	r->ready = event_new(r->base, r->fd, EV_WRITE | EV_PERSIST, on_ready, r);
	if (r->ready != NULL && event_add(r->ready, &limit) == 0)
		return 0;
	wait_end(r);
	return -1;
}

/* May lines go past those that wait?  They may when the log is no more waited for. */
static bool
is_written(struct receipts *r, const char *line)
{
	if (!TAILQ_EMPTY(&r->waiting) || log_try(LOG_INFO, line) == -1)
		return false;
	r->stuck = false;
	return true;
}

void
receipts_got(struct session *s, const struct msg_receipt *receipt)
{
	struct receipts *r = s->master->receipts;
	char line[REPORT_SIZE];

	r->status.deleted++;
	if (s->receipts > LINES_MAX)
		return;
	report_deleted(line, s->conn, receipt);
	if (is_written(r, line))
		return;
	if (r->stuck || wait_begin(r) == -1 || (s->receipt = strdup(line)) == NULL) {
		log_line(LOG_INFO, 0, "%s", line);
		return;
	}
	TAILQ_INSERT_TAIL(&r->waiting, s, in_receipts);
	evchannel_pause(&s->ec);
}

void
receipts_end(struct session *s)
{
	if (s->receipt != NULL) {
		log_line(LOG_INFO, 0, "%s", s->receipt);
		TAILQ_REMOVE(&s->master->receipts->waiting, s, in_receipts);
		free(s->receipt);
		s->receipt = NULL;
	}
	if (s->receipts > LINES_MAX && s->conn != NULL)
		report_deleted_more(s->conn, s->receipts - LINES_MAX);
}

static bool
is_unusual(uint64_t part, uint64_t whole)
{
	return part >= UNUSUAL_LEAST && part > whole / UNUSUAL_SHARE;
}

void
receipts_opened(struct master *m, const struct conn *c, const struct msg_session_open *open)
{
	if (!is_unusual(open->vanished, open->known))
		return;
	m->receipts->status.vanished++;
	report_vanished(c, open->vanished, open->known);
}

void
receipts_ended(struct master *m, const struct conn *c, const struct msg_session_end *end,
	       uint64_t messages)
{
	if (!is_unusual(end->again, messages))
		return;
	m->receipts->status.again++;
	report_fetched_again(c, end->again, messages);
}

const struct receipts_status *
receipts_status(const struct master *m)
{
	return &m->receipts->status;
}
