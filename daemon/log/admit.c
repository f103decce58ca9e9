#include "config.h"

#include "common/log.h"
#include "daemon/log/admit.h"
#include "daemon/totals.h"

/* Receipts of failed logins come from the dispatcher, as many as there are failures. */
static const struct {
	uint32_t burst, a_second;
} rates[ROLE_COUNT] = {
    [ROLE_LOGIN] = {200, 50},	[ROLE_KEY] = {100, 20},	       [ROLE_DISPATCH] = {20000, 2000},
    [ROLE_AUTH] = {400, 100},	[ROLE_AUTH_CHILD] = {100, 20}, [ROLE_SPAWNER] = {200, 50},
    [ROLE_SESSION] = {100, 20},
};

bool
log_admit(struct log_bucket *b, enum role role, long pid, uint64_t now)
{
	uint64_t seconds = (now - b->filled) / 1000;
	uint64_t lines = b->lines + seconds * rates[role].a_second;

	if (b->filled == 0)
		lines = rates[role].burst;
	if (b->filled == 0 || seconds > 0) {
		b->lines = lines < rates[role].burst ? (uint32_t)lines : rates[role].burst;
		b->filled = now;
		if (b->dropped > 0)
			log_line(LOG_WARNING, 0, "role=%s pid=%ld wrote %u lines more than it may",
				 role_name(role), pid, b->dropped);
		b->dropped = 0;
	}
	if (b->lines > 0) {
		b->lines--;
		return true;
	}
	totals_add(TOTAL_LOG_LOST, TOTALS_LOG_RATE, 0, 1);
	b->dropped++;
	return false;
}
