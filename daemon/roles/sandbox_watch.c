#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "daemon/roles/sandbox_watch.h"

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
	struct event **self = arg;

	(void)what;
	if (sandbox_report((int)fd) == 0)
		return;
	event_free(*self);
	free(self);
	close((int)fd);
}

void
sandbox_watch(struct event_base *base, int fd)
{
	struct event **ev;

	if (fd == -1)
		return;
	if (!sandbox_is_listener(fd) || (ev = calloc(1, sizeof(*ev))) == NULL) {
		close(fd);
		return;
	}
	*ev = event_new(base, fd, EV_READ | EV_PERSIST, on_report, ev);
	if (*ev != NULL && event_add(*ev, NULL) == 0)
		return;
	if (*ev != NULL)
		event_free(*ev);
	free(ev);
	close(fd);
}
