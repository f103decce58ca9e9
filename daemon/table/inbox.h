/*
 * What master hears: every message that a worker, the auth helper, the spawner
 * or a session may send, and when (common/inbox.h).
 */
#ifndef POP3D_MASTER_INBOX_H
#define POP3D_MASTER_INBOX_H

#include "daemon/roles/child.h"

/* For the roles. */
extern const struct role_calls inbox_calls;

#endif
