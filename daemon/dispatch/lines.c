#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "daemon/dispatch/lines.h"
#include "daemon/dispatch/queue.h"

struct line {
	TAILQ_ENTRY(line) link;
	char auth[MSG_SPEC_SIZE];
	struct queue queue;
	struct request_list running; /* the gate has them */
	size_t nrunning;
};

static struct {
	struct event_base *base;
	struct lines_calls calls;
	lines_check_fn *check;
	const struct settings *settings;
	TAILQ_HEAD(, line) list;
} all;

void
lines_init(struct event_base *base, const struct lines_calls *calls, lines_check_fn *check)
{
	all.base = base;
	all.calls = *calls;
	all.check = check;
	TAILQ_INIT(&all.list);
}

/* The line of an `auth` setting, made if there is none; NULL: no memory.  Lines stay: there are as
 * many as there were settings. */
static struct line *
line_get(const char *auth)
{
	struct line *l;

	TAILQ_FOREACH (l, &all.list, link)
		if (strcmp(l->auth, auth) == 0)
			return l;
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	(void)snprintf(l->auth, sizeof(l->auth), "%s", auth);
	queue_init(&l->queue);
	TAILQ_INIT(&l->running);
	TAILQ_INSERT_TAIL(&all.list, l, link);
	return l;
}

/* The dispatcher's own answer to a request that the gate does not have. */
static void
refuse(struct request *r, const char *why)
{
	struct msg_checked c = {.id = r->conn.id, .result = LOGIN_TEMP};

	(void)snprintf(c.why, sizeof(c.why), "%s", why);
	all.calls.decided(r, &c);
}

static void
line_check(struct line *l, struct request *r)
{
	struct msg_login_ask ask;

	memset(&ask, 0, sizeof(ask));
	ask.id = r->conn.id;
	ask.mech = r->mech;
	memcpy(ask.user, r->user, sizeof(ask.user));
	ask.password = r->password;
	ask.tls = r->facts;
	TAILQ_INSERT_TAIL(&l->running, r, link);
	l->nrunning++;
	r->put = clock_ms();
	all.check(&ask);
	explicit_bzero(&ask, sizeof(ask));
	secret_wipe(&r->password);
}

/* Give the gate as many as it has children for. */
static void
line_run(struct line *l)
{
	size_t children = all.settings->conf.children, share = children > 1 ? children / 2 : 1;
	struct request *r;

	while (l->nrunning < children && (r = queue_next(&l->queue, share)) != NULL) {
		evtimer_del(r->patience);
		if (all.calls.wanted(r)) {
			line_check(l, r);
			continue;
		}
		queue_done(r);
		all.calls.unwanted(r);
	}
}

void
lines_configure(const struct settings *s)
{
	struct line *l;

	all.settings = s;
	TAILQ_FOREACH (l, &all.list, link)
		line_run(l);
}

/* It has waited long enough. */
static void
line_impatient(evutil_socket_t fd, short what, void *arg)
{
	struct request *r = arg;

	(void)fd, (void)what;
	queue_remove(r);
	refuse(r, "no child free");
}

void
lines_ask(const char *auth, struct request *r)
{
	const struct timeval patience = {.tv_sec = (time_t)all.settings->conf.deadline};
	struct line *l = line_get(auth);
	struct request *out = NULL;

	if (r->patience == NULL)
		r->patience = evtimer_new(all.base, line_impatient, r);
	if (l == NULL || r->patience == NULL || queue_put(&l->queue, r, &out) < 0) {
		refuse(r, "queue full");
		return;
	}
	if (out != NULL)
		refuse(out, "queue full");
	evtimer_add(r->patience, &patience);
	line_run(l);
}

bool
lines_cancel(struct request *r)
{
	if (!r->waits)
		return false;
	queue_remove(r);
	return true;
}

static struct request *
line_find(const struct line *l, conn_id id)
{
	struct request *r;

	TAILQ_FOREACH (r, &l->running, link)
		if (r->conn.id == id)
			return r;
	return NULL;
}

int
lines_checked(const struct msg_checked *c)
{
	struct request *r = NULL;
	struct line *l;

	TAILQ_FOREACH (l, &all.list, link)
		if ((r = line_find(l, c->id)) != NULL)
			break;
	if (r == NULL)
		return -1;
	TAILQ_REMOVE(&l->running, r, link);
	l->nrunning--;
	queue_done(r);
	all.calls.decided(r, c);
	line_run(l);
	return 0;
}
