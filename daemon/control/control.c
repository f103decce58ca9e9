#include "config.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/pop3.h"
#include "daemon/control/control.h"
#include "daemon/table/jobs.h"
#include "daemon/ports/servers.h"

enum {
	REQUEST_MAX = 65536, /* octets */
	REQUEST_SECONDS = 10 /* to send a request, or to take the answer */
};

/* The sockets, each with the right of who connects there. */
static const struct kind {
	const char *name; /* in runtime_dir */
	size_t clients_max;
	size_t kept; /* of these places, for who may change something */
} kinds[CONTROL_RIGHTS] = {
    [CONTROL_ALL] = {"control", 64, 32},
    [CONTROL_METRICS] = {"metrics", 8, 0},
};

struct ctl {
	struct waiter waiter; /* first */
	TAILQ_ENTRY(ctl) next;
	struct master *master;
	struct listener *listener;
	struct bufferevent *bev;
	struct evbuffer *answer;
	bool may_change; /* root, or the one user of a rootless daemon */
	bool running;	 /* its command has begun */
	bool ending;	 /* the answer is on its way */
	enum answer_kind kind;
	uint64_t what;
	ctl_then_fn *then;
	struct event *limit;
};

TAILQ_HEAD(ctl_list, ctl);

struct listener {
	struct master *master;
	size_t count; /* clients */
	int fd;
	char path[MSG_PATH_SIZE];
	struct event *on_client;
};

struct control {
	struct ctl_list list;
	struct listener listeners[CONTROL_RIGHTS];
	const struct conf *conf; /* that the sockets' owners and modes are by */
};

struct control *
control_new(struct master *m)
{
	struct control *cs = calloc(1, sizeof(*cs));

	if (cs == NULL)
		return NULL;
	TAILQ_INIT(&cs->list);
	for (size_t i = 0; i < CONTROL_RIGHTS; i++)
		cs->listeners[i] = (struct listener){.master = m, .fd = -1};
	return cs;
}

static void
ctl_free(struct ctl *c)
{
	struct control *cs = c->master->control;

	TAILQ_REMOVE(&cs->list, c, next);
	c->listener->count--;
	if (c->waiter.kind == WAIT_JOB)
		jobs_abandon(c->master, c->waiter.id);
	waiters_cancel(c->master->waiters, &c->waiter);
	if (c->limit != NULL)
		event_free(c->limit);
	bufferevent_free(c->bev);
	evbuffer_free(c->answer);
	free(c);
}

/* ---- answers ---- */

static void __attribute__((format(printf, 2, 0))) say(struct ctl *c, const char *fmt, va_list ap)
{
	evbuffer_add_vprintf(c->answer, fmt, ap);
}

void
ctl_answers(struct ctl *c, enum answer_kind kind)
{
	c->kind = kind;
}

void
ctl_say(struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

static void
ctl_finish(struct ctl *c)
{
	const struct timeval patience = {REQUEST_SECONDS, 0};

	c->ending = true;
	if (c->limit != NULL)
		event_del(c->limit);
	bufferevent_set_timeouts(c->bev, NULL, &patience);
}

void
ctl_end(struct ctl *c, enum control_status status)
{
	ctl_finish(c);
	evbuffer_add_printf(bufferevent_get_output(c->bev), "%d%c", (int)status,
			    status == CONTROL_DONE ? (int)c->kind : (int)ANSWER_NOTHING);
	evbuffer_add_buffer(bufferevent_get_output(c->bev), c->answer);
}

/* Nothing was written yet, so there is room for the octets that the descriptor rides on. */
void
ctl_end_with(struct ctl *c, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char head[2] = {'0' + CONTROL_DONE, (char)c->kind};
	struct iovec iov = {head, sizeof(head)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	/* Who cannot be given it cannot be told, either. */
	if (sendmsg(bufferevent_getfd(c->bev), &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		log_debug(0, "control: %s", strerror(errno));
	ctl_finish(c);
	evbuffer_add(bufferevent_get_output(c->bev), "\n", 1);
}

void
ctl_fail(struct ctl *c, enum control_status status, const char *fmt, ...)
{
	va_list ap;

	evbuffer_drain(c->answer, evbuffer_get_length(c->answer));
	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
	evbuffer_add(c->answer, "\n", 1);
	ctl_end(c, status);
}

/* ---- waiting ---- */

static void
ctl_go_on(struct ctl *c, bool in_time, const void *result)
{
	if (c->limit != NULL)
		event_del(c->limit);
	c->then(c->master, c, c->what, in_time, result);
}

static void
on_woken(struct waiter *w, const void *result)
{
	ctl_go_on((struct ctl *)w, true, result);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;

	(void)fd, (void)what;
	waiters_cancel(c->master->waiters, &c->waiter);
	ctl_go_on(c, false, NULL);
}

void
ctl_wait(struct ctl *c, enum wait_kind kind, uint64_t id, uint64_t what, unsigned seconds,
	 ctl_then_fn *then)
{
	const struct timeval limit = {seconds, 0};

	c->what = what;
	c->then = then;
	waiters_add(c->master->waiters, &c->waiter, kind, id, on_woken);
	if (seconds == 0)
		return;
	if (c->limit == NULL)
		c->limit = evtimer_new(c->master->base, on_limit, c);
	if (c->limit != NULL)
		event_add(c->limit, &limit);
}

/* ---- requests ---- */

/* Cut a whole request, the count included, into its words.  Their number. */
static size_t
request_cut(char *text, size_t len, char *words[CONTROL_WORDS_MAX])
{
	size_t n = 0;
	char *p = text + strlen(text) + 1;

	for (; p < text + len && n < CONTROL_WORDS_MAX; p += strlen(p) + 1)
		words[n++] = p;
	return n;
}

static enum control_right
right_of(const struct ctl *c)
{
	return (enum control_right)(c->listener - c->master->control->listeners);
}

static void
request_run(struct ctl *c, uint64_t count)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len = evbuffer_get_length(in);
	char *words[CONTROL_WORDS_MAX], *text = malloc(len);

	c->running = true;
	/* From here on only its end is waited for. */
	bufferevent_set_timeouts(c->bev, NULL, NULL);
	if (text == NULL) {
		ctl_fail(c, CONTROL_FAILED, "no memory");
		return;
	}
	evbuffer_remove(in, text, len);
	if (count > CONTROL_WORDS_MAX)
		ctl_fail(c, CONTROL_USAGE, "wrong # args: more than %d words", CONTROL_WORDS_MAX);
	else
		control_run(c->master, c, right_of(c), c->may_change, request_cut(text, len, words),
			    words);
	free(text);
}

/* Is the request whole?  1: it is, and *count words follow its first; 0: not yet; -1: never. */
static int
request_is_whole(struct ctl *c, uint64_t *count)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len = evbuffer_get_length(in), ends = 0;
	const char *text = (const char *)evbuffer_pullup(in, -1);

	for (size_t i = 0; i < len; i++)
		ends += text[i] == '\0';
	if (len > REQUEST_MAX)
		return -1;
	if (ends == 0)
		return 0;
	if (pop3_number(text, strlen(text), count) == -1 || ends > *count + 1)
		return -1;
	return ends == *count + 1 && text[len - 1] == '\0';
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct ctl *c = arg;
	uint64_t count;
	int r = c->running ? -1 : request_is_whole(c, &count);

	(void)bev;
	if (r == 1)
		request_run(c, count);
	else if (r == -1)
		ctl_free(c);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct ctl *c = arg;

	(void)bev;
	if (c->ending)
		ctl_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct ctl *c = arg;

	(void)bev, (void)what;
	ctl_free(c);
}

/* Who is it?  Only who could reach the socket by its mode comes here at all. */
static bool
peer_may_change(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

/* Is there a place for one more?  Some are kept for who may change something. */
static bool
has_room(const struct listener *l, bool may_change)
{
	const struct kind *k = &kinds[l - l->master->control->listeners];

	return l->count < k->clients_max - (may_change ? 0 : k->kept);
}

/* It owns fd, with a bufferevent on it.  NULL: no memory, and fd is closed. */
static struct ctl *
ctl_new(struct listener *l, int fd, bool may_change)
{
	struct ctl *c = calloc(1, sizeof(*c));
	struct evbuffer *answer = evbuffer_new();
	struct bufferevent *bev =
	    bufferevent_socket_new(l->master->base, fd, BEV_OPT_CLOSE_ON_FREE);

	if (c == NULL || answer == NULL || bev == NULL) {
		if (answer != NULL)
			evbuffer_free(answer);
		if (bev != NULL)
			bufferevent_free(bev);
		else
			close(fd);
		free(c);
		return NULL;
	}
	c->master = l->master;
	c->listener = l;
	c->may_change = may_change;
	c->answer = answer;
	c->bev = bev;
	return c;
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval patience = {REQUEST_SECONDS, 0};
	struct listener *l = arg;
	int client = accept4((int)fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ctl *c;
	bool may_change;

	(void)what;
	if (client == -1)
		return;
	may_change = peer_may_change(client);
	if (!has_room(l, may_change)) {
		close(client);
		return;
	}
	if ((c = ctl_new(l, client, may_change)) == NULL)
		return;
	TAILQ_INSERT_TAIL(&l->master->control->list, c, next);
	l->count++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_set_timeouts(c->bev, &patience, NULL);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* ---- the sockets ---- */

/* Root's alone, or also a group's. */
static int
socket_protect(const struct listener *l)
{
	const struct master *m = l->master;
	bool metrics = l == &m->control->listeners[CONTROL_METRICS];
	const char *name = metrics ? m->conf->metrics_group : m->conf->control_group;
	uint32_t gid = metrics ? m->accounts.metrics_gid : m->accounts.control_gid;
	bool group = name[0] != '\0';

	if (group && chown(l->path, (uid_t)-1, gid) == -1)
		return -1;
	return chmod(l->path, group ? 0660 : 0600);
}

static int
socket_listen(const struct listener *l)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	if (strlen(l->path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, l->path, strlen(l->path));
	unlink(l->path); /* the pid file says that nobody else has it */
	mask = umask(0177);
	r = bind(l->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	return r == -1 || socket_protect(l) == -1 ? -1 : listen(l->fd, SOMAXCONN);
}

static int
listener_open(struct listener *l, const char *name)
{
	const struct master *m = l->master;

	snprintf(l->path, sizeof(l->path), "%.*s/%s", (int)sizeof(l->path) - 16,
		 m->conf->runtime_dir, name);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd == -1 || socket_listen(l) == -1 ||
	    (l->on_client = event_new(m->base, l->fd, EV_READ | EV_PERSIST, on_client, l)) == NULL)
		return -1;
	return event_add(l->on_client, NULL);
}

int
control_open(struct master *m)
{
	for (size_t i = 0; i < CONTROL_RIGHTS; i++) {
		struct listener *l = &m->control->listeners[i];

		if (listener_open(l, kinds[i].name) == 0)
			continue;
		log_line(m->rootless ? LOG_INFO : LOG_ERR, 0, "%s socket %s: %s", kinds[i].name,
			 l->path, strerror(errno));
		/* A user may have no runtime_dir of his own; then there is no pop3ctl. */
		return m->rootless ? 0 : -1;
	}
	return 0;
}

void
control_settle(struct master *m)
{
	struct control *cs = m->control;

	if (cs->conf == m->conf)
		return;
	cs->conf = m->conf;
	for (size_t i = 0; i < CONTROL_RIGHTS; i++)
		if (cs->listeners[i].on_client != NULL && socket_protect(&cs->listeners[i]) == -1)
			log_error(0, "%s socket %s: %s", kinds[i].name, cs->listeners[i].path,
				  strerror(errno));
}

static void
listener_close(struct listener *l)
{
	if (l->on_client != NULL)
		event_free(l->on_client);
	l->on_client = NULL;
	if (l->fd != -1) {
		close(l->fd);
		unlink(l->path);
	}
	l->fd = -1;
}

void
control_close(struct master *m)
{
	struct control *cs = m->control;
	struct ctl *c;

	while ((c = TAILQ_FIRST(&cs->list)) != NULL)
		ctl_free(c);
	for (size_t i = 0; i < CONTROL_RIGHTS; i++)
		listener_close(&cs->listeners[i]);
}
