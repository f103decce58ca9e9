/*
 * Homes and mailboxes that every user of the host can write into: a warning a day.
 */
#ifndef POP3D_EXPOSED_H
#define POP3D_EXPOSED_H

#include <stdbool.h>
#include <stdint.h>

/* Is a warning due for this user of this server at `now` (clock_ms())?  Then it counts as given and
 * is due again a day later.  Not for more than EXPOSED_USERS a day. */
enum { EXPOSED_USERS = 256 };
bool exposed_is_due(const char *server, const char *user, uint64_t now);

#endif
