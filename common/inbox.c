#include "config.h"

#include "common/inbox.h"

#include "common/log.h"

int
inbox_take(const struct inbox *inbox, void *who, struct msg *m)
{
	int state = inbox->state(who, m);

	for (size_t i = 0; i < inbox->count; i++) {
		const struct inbox_row *row = &inbox->rows[i];

		if (row->type != m->type)
			continue;
		if ((row->states & state) != 0)
			return row->handle(who, m);
		if ((row->late & state) != 0)
			return 0;
		break;
	}
	log_debug(0, "message %s in state %#x breaks a rule", msg_name(m->type), (unsigned)state);
	return -1;
}
