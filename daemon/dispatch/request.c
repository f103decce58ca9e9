#include "config.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daemon/dispatch/request.h"

struct request *
request_new(const struct msg_login_ask *ask, const struct msg_conn *conn)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->arrived = r->put = clock_ms();
	r->conn = *conn;
	source_set(&r->source, &conn->peer);
	r->mech = ask->mech;
	r->facts = ask->tls;
	memcpy(r->authzid, ask->authzid, sizeof(r->authzid));
	memcpy(r->user, ask->user, sizeof(r->user));
	r->password = ask->password;
	return r;
}

void
request_free(struct request *r)
{
	if (r->patience != NULL)
		event_free(r->patience);
	if (r->pace != NULL)
		event_free(r->pace);
	explicit_bzero(r, sizeof(*r));
	free(r);
}
