#include "config.h"

#include "daemon/table/exposed.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/msg.h"

enum { DAY_MS = 86400000 };

/* Who was warned of, and until when that holds. */
static struct warned {
	char server[MSG_SERVER_SIZE], user[MSG_NAME_SIZE];
	uint64_t until; /* clock_ms() */
} warned[EXPOSED_USERS];

bool
exposed_is_due(const char *server, const char *user, uint64_t now)
{
	struct warned *room = NULL;

	for (size_t i = 0; i < EXPOSED_USERS; i++) {
		struct warned *w = &warned[i];

		if (w->until <= now)
			room = w;
		else if (strcmp(w->server, server) == 0 && strcmp(w->user, user) == 0)
			return false;
	}
	if (room == NULL)
		return false;
	room->until = now + DAY_MS;
	(void)snprintf(room->server, sizeof(room->server), "%s", server);
	(void)snprintf(room->user, sizeof(room->user), "%s", user);
	return true;
}
