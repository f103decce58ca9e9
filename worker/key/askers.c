#include "config.h"

#include "worker/key/askers.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_event.h"
#include "common/log.h"
#include "worker/key/keys.h"

enum { ASKER_QUEUE = 4096 }; /* answers that may wait for one worker */

struct asker {
	LIST_ENTRY(asker) next;
	struct evchannel ec;
	struct event *second; /* while some of this second's requests are done */
	uint32_t worker;      /* its number */
	unsigned done;	      /* in this second */
};

static struct {
	LIST_HEAD(, asker) list;
	uint64_t signatures;
} all = {LIST_HEAD_INITIALIZER(all.list), 0};

static void
asker_free(struct asker *a)
{
	LIST_REMOVE(a, next);
	evchannel_close(&a->ec);
	if (a->second != NULL)
		event_free(a->second);
	free(a);
}

static void
on_end(struct evchannel *ec, int error, void *arg)
{
	struct asker *a = arg;

	(void)ec;
	if (error != EPIPE)
		log_warn(0, "worker=%u given up: %s", a->worker, channel_end_text(error));
	asker_free(a);
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct asker *a = arg;

	(void)fd, (void)what;
	a->done = 0;
	evchannel_resume(&a->ec);
}

/* What a worker may have is so much that an honest one never meets it; the rest of a flood waits in
 * the worker's own queue. */
static void
count(struct asker *a)
{
	static const struct timeval second = {1, 0};

	if (a->done++ == 0)
		event_add(a->second, &second);
	if (a->done < ASKER_RATE)
		return;
	log_warn(0, "worker=%u asks for more than %d signatures a second", a->worker, ASKER_RATE);
	evchannel_pause(&a->ec);
}

static void
on_msg(struct evchannel *ec, struct msg *m, void *arg)
{
	static struct msg_signed answer;
	struct asker *a = arg;

	if (m->type != MSG_SIGN_ASK) {
		on_end(ec, EBADMSG, a);
		return;
	}
	memset(&answer, 0, sizeof(answer));
	answer.id = m->u.sign_ask.id;
	answer.len = (uint32_t)keys_sign(&m->u.sign_ask, answer.signature);
	all.signatures += answer.len > 0;
	if (answer.len == 0)
		log_warn(answer.id, "worker=%u asks for a signature that is not given", a->worker);
	count(a);
	evchannel_put(ec, MSG_SIGNED, &answer, sizeof(answer));
}

void
askers_add(struct event_base *base, uint32_t worker, int fd)
{
	struct asker *a = calloc(1, sizeof(*a));

	if (a == NULL || (a->second = evtimer_new(base, on_second, a)) == NULL) {
		log_error(0, "no memory for worker=%u", worker);
		close(fd);
		free(a);
		return;
	}
	a->worker = worker;
	LIST_INSERT_HEAD(&all.list, a, next);
	if (evchannel_open(&a->ec, base, fd, ROLE_KEY, ROLE_LOGIN, ASKER_QUEUE, on_msg, on_end,
			   a) == -1) {
		log_error(0, "no channel to worker=%u: %s", worker, strerror(errno));
		asker_free(a);
	}
}

uint64_t
askers_signed(void)
{
	return all.signatures;
}

void
askers_close(void)
{
	while (!LIST_EMPTY(&all.list))
		asker_free(LIST_FIRST(&all.list));
}
