#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/roles/tickets.h"

static uint8_t keys[2][MSG_TICKET_KEY_SIZE];
static uint32_t valid;

void
tickets_rotate(void)
{
	memcpy(keys[1], keys[0], sizeof(keys[1]));
	arc4random_buf(keys[0], sizeof(keys[0]));
	if (valid < 2)
		valid++;
}

void
tickets_send(struct evchannel *worker, uint32_t lifetime)
{
	struct msg_ticket_keys msg;

	memset(&msg, 0, sizeof(msg));
	msg.lifetime = lifetime;
	if (lifetime > 0) {
		msg.count = valid;
		memcpy(msg.key, keys, valid * sizeof(keys[0]));
	}
	evchannel_put(worker, MSG_TICKET_KEYS, &msg, sizeof(msg));
	explicit_bzero(&msg, sizeof(msg));
}
