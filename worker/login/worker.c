#include "config.h"

#include "worker/login/worker.h"

#include <malloc.h>

#include "common/title.h"
#include "worker/login/conn.h"
#include "worker/login/channels.h"

enum { WORKER_CROWD = 64 };

RB_GENERATE(conn_tree, conn, link, conn_compare)

SSL_CTX *
worker_tls(const struct worker *w, uint32_t server)
{
	if (server >= w->nservers || w->servers[server] == NULL)
		return NULL;
	return w->servers[server]->tls;
}

static void
worker_show_count(const struct worker *w)
{
	title_set(role_name(ROLE_LOGIN), "%zu connection%s%s", w->nconns, w->nconns == 1 ? "" : "s",
		  w->draining && w->conf.one_shot == 0 ? ", draining" : "");
}

/* After a crowd has gone the C library would keep what TLS took for it. */
static void
worker_give_back(struct worker *w)
{
	if (w->nconns_peak < WORKER_CROWD || w->nconns > w->nconns_peak / 4)
		return;
	malloc_trim(0);
	w->nconns_peak = w->nconns;
}

void
worker_add(struct worker *w, struct conn *c)
{
	RB_INSERT(conn_tree, &w->conns, c);
	w->nconns++;
	if (w->nconns > w->nconns_peak)
		w->nconns_peak = w->nconns;
	if (w->conf.one_shot != 0)
		w->draining = true;
	worker_show_count(w);
}

void
worker_remove(struct worker *w, struct conn *c)
{
	RB_REMOVE(conn_tree, &w->conns, c);
	w->nconns--;
	worker_give_back(w);
	worker_show_count(w);
	if (w->draining && w->nconns == 0)
		worker_finish(w);
}

struct conn *
worker_find(struct worker *w, conn_id id)
{
	struct conn key;
	key.row.id = id;
	return RB_FIND(conn_tree, &w->conns, &key);
}

void
worker_drain(struct worker *w)
{
	w->draining = true;
	worker_show_count(w);
	if (w->nconns == 0)
		worker_finish(w);
}

void
worker_finish(struct worker *w)
{
	w->finished = true;
	if (w->master.ch.queued == 0)
		event_base_loopbreak(w->base);
}
