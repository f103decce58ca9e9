#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/channel_event.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "daemon/dispatch/workers.h"

enum { WORKER_QUEUE = 4096 /* refusals on their way to one worker */ };

struct worker {
	LIST_ENTRY(worker) link;
	uint32_t number;
	struct evchannel ec;
};

static struct {
	struct event_base *base;
	worker_ask_fn *ask;
	worker_bad_fn *bad;
	LIST_HEAD(, worker) list;
} all;

void
workers_init(struct event_base *base, worker_ask_fn *ask, worker_bad_fn *bad)
{
	all.base = base;
	all.ask = ask;
	all.bad = bad;
	LIST_INIT(&all.list);
}

static struct worker *
worker_find(uint32_t number)
{
	struct worker *w;

	LIST_FOREACH (w, &all.list, link)
		if (w->number == number)
			return w;
	return NULL;
}

static void
worker_free(struct worker *w)
{
	LIST_REMOVE(w, link);
	evchannel_close(&w->ec);
	free(w);
}

static int
worker_asks(void *who, struct msg *m)
{
	const struct worker *w = who;

	all.ask(w->number, &m->u.login_ask);
	return 0;
}

/* What a request may ask, and when, is judged by its row (logins.h). */
static int
worker_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return INBOX_ALWAYS;
}

static const struct inbox_row worker_rows[] = {{MSG_LOGIN_ASK, INBOX_ALWAYS, 0, worker_asks}};

static const struct inbox worker_inbox = {worker_rows, COUNT_OF(worker_rows), worker_state};

static void worker_end(struct evchannel *ec, int error, void *arg);

static void
worker_message(struct evchannel *ec, struct msg *m, void *arg)
{
	if (inbox_take(&worker_inbox, arg, m) == -1)
		worker_end(ec, EBADMSG, arg);
}

static void
worker_end(struct evchannel *ec, int error, void *arg)
{
	struct worker *w = arg;
	uint32_t number = w->number;

	(void)ec;
	if (error == EBADMSG) {
		workers_give_up(number, "message against the rules");
		return;
	}
	worker_free(w);
	all.bad(number, error);
}

void
workers_add(uint32_t number, int fd)
{
	struct worker *w;

	workers_remove(number);
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		close(fd);
	if (w == NULL || evchannel_open(&w->ec, all.base, fd, ROLE_DISPATCH, ROLE_LOGIN,
					WORKER_QUEUE, worker_message, worker_end, w) < 0) {
		log_error(0, "no channel to worker %u: %m", number);
		free(w);
		all.bad(number, ENOMEM);
		return;
	}
	w->number = number;
	LIST_INSERT_HEAD(&all.list, w, link);
}

void
workers_remove(uint32_t number)
{
	struct worker *w = worker_find(number);

	if (w != NULL)
		worker_free(w);
}

void
workers_give_up(uint32_t number, const char *why)
{
	log_warn(0, "worker %u broke a rule: %s", number, why);
	workers_remove(number);
	all.bad(number, EBADMSG);
}

void
workers_refuse(uint32_t number, const struct msg_login_refused *m)
{
	struct worker *w = worker_find(number);

	if (w != NULL)
		evchannel_put(&w->ec, MSG_LOGIN_REFUSED, m, sizeof(*m));
}
