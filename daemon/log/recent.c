#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "common/log.h"
#include "daemon/log/recent.h"

static struct {
	struct recent lines[RECENT_MAX];
	size_t n;    /* that are kept */
	size_t next; /* the place of the next one */
} ring;

/* Whose line it is, as log_foreign() begins it; `text` then begins behind that. */
static enum role
role_take(const char **text)
{
	static const char key[] = "role=";
	const char *name = *text + strlen(key);

	if (strncmp(*text, key, strlen(key)) != 0)
		return ROLE_MASTER;
	for (enum role r = 0; r < ROLE_COUNT; r++) {
		size_t len = strlen(role_name(r));

		if (strncmp(name, role_name(r), len) == 0 && name[len] == ' ') {
			*text = name + len + 1;
			return r;
		}
	}
	return ROLE_MASTER;
}

static bool
is_same(const struct recent *r, int prio, enum role role, const char *text)
{
	return r->prio == prio && r->role == role && strcmp(r->text, text) == 0;
}

/* A line that memory lacks for is not kept. */
static void
line_keep(int prio, enum role role, const char *text)
{
	struct recent *r = &ring.lines[ring.next];
	char *copy = strdup(text);

	if (copy == NULL)
		return;
	free(r->text);
	*r = (struct recent){
	    .time = time(NULL), .count = 1, .prio = prio, .role = role, .text = copy};
	ring.next = (ring.next + 1) % RECENT_MAX;
	ring.n += ring.n < RECENT_MAX;
}

static void
on_line(int prio, conn_id id, const char *text)
{
	char line[LOG_OUT_MAX];
	const char *own = line;
	struct recent *last = &ring.lines[(ring.next + RECENT_MAX - 1) % RECENT_MAX];
	enum role role;

	if (prio > LOG_WARNING)
		return;
	log_compose(line, id, text);
	role = role_take(&own);
	if (ring.n == 0 || !is_same(last, prio, role, own)) {
		line_keep(prio, role, own);
		return;
	}
	last->count++;
	last->time = time(NULL);
}

void
recent_open(void)
{
	log_also(on_line);
}

const struct recent *
recent_line(size_t back)
{
	return back < ring.n ? &ring.lines[(ring.next + RECENT_MAX - 1 - back) % RECENT_MAX] : NULL;
}

void
recent_clear(void)
{
	for (size_t i = 0; i < RECENT_MAX; i++)
		free(ring.lines[i].text);
	memset(&ring, 0, sizeof(ring));
}
