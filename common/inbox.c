#include "config.h"

#include <inttypes.h>

#include "common/inbox.h"

#include "common/log.h"

static uint64_t late[MSG_TYPE_COUNT];

uint64_t
inbox_late(enum msg_type type)
{
	return late[type];
}

static int
drop_late(const struct msg *m, int state)
{
	late[m->type]++;
	log_debug(0, "message %s in state %#x comes late (%" PRIu64 " so far)", msg_name(m->type),
		  (unsigned)state, late[m->type]);
	return 0;
}

int
inbox_take(const struct inbox *inbox, void *who, struct msg *m)
{
	int state = inbox->state(who, m), result;

	for (size_t i = 0; i < inbox->count; i++) {
		const struct inbox_row *row = &inbox->rows[i];

		if (row->type != m->type)
			continue;
		if ((row->states & state) != 0) {
			result = row->handle(who, m);
			return result == INBOX_LATE ? drop_late(m, state) : result;
		}
		if ((row->late & state) != 0)
			return drop_late(m, state);
		break;
	}
	log_debug(0, "message %s in state %#x breaks a rule", msg_name(m->type), (unsigned)state);
	return -1;
}
