/*
 * The command `metrics`: what totals.h counts, and what is now.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "daemon/control/commands.h"
#include "daemon/roles/certificate_list.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/table/conns.h"
#include "daemon/table/receipts.h"
#include "daemon/totals.h"

/* Octets of resident memory, proc(5); 0: not known. */
static uint64_t
resident(pid_t pid)
{
	unsigned long long size, pages = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
set_workers(struct master *m)
{
	uint64_t n = 0, connections = 0, memory = 0;

	for (const struct worker *w = workers_next(m, NULL); w != NULL; w = workers_next(m, w)) {
		n++;
		connections += w->connections;
		memory += resident(w->child.pid);
	}
	totals_set(TOTAL_WORKERS, 0, n);
	totals_set(TOTAL_WORKER_CONNECTIONS, 0, connections);
	totals_set(TOTAL_WORKER_MEMORY, 0, memory);
}

static void
set_connections(struct master *m)
{
	uint64_t states[CONN_SESSION + 1] = {0};

	for (const struct conn *c = conns_next(m, NULL); c != NULL;
	     c = conns_next(m, (struct conn *)(uintptr_t)c))
		states[c->state] += c->job == NULL;
	for (unsigned i = 0; i <= CONN_SESSION; i++)
		totals_set(TOTAL_CONNECTIONS, i, states[i]);
	totals_set(TOTAL_CONNECTIONS_MAX, 0, m->conf->max_connections);
}

static void
set_gauges(struct master *m)
{
	const struct receipts_status *r = receipts_status(m);
	struct sessions_status s;

	sessions_status(m, &s);
	set_connections(m);
	set_workers(m);
	totals_set(TOTAL_SPARES, 0, s.spares);
	totals_set(TOTAL_STARTED, 0, (uint64_t)time(NULL) - (clock_ms() - m->started) / 1000);
	totals_set(TOTAL_DELETED, 0, r->deleted);
	totals_set(TOTAL_VANISHED, 0, r->vanished);
	totals_set(TOTAL_FETCHED_AGAIN, 0, r->again);
}

static void
print_connections(struct master *m, FILE *out)
{
	const struct server *s;

	TAILQ_FOREACH (s, servers_all(m), next)
		totals_sample(out, TOTAL_SERVER_CONNECTIONS, (const char *[]){s->set.name},
			      s->connections);
}

static const struct certificate *
certificate_find(const struct worker *w, const char *path)
{
	const struct certificate *k;

	STAILQ_FOREACH(k, &w->certificates, next)
	if (strcmp(k->is.path, path) == 0)
		return k;
	return NULL;
}

/* As served, which may be older than what the files hold. */
static void
print_certificates(struct master *m, FILE *out)
{
	const struct worker *w = workers_serving(m);
	const struct server *s;

	TAILQ_FOREACH (s, servers_all(m), next)
		for (size_t i = 0; w != NULL && i < s->set.certificate.n; i++) {
			const char *path = s->set.certificate.path[i];
			const struct certificate *k = certificate_find(w, path);

			if (k != NULL && k->is.expires > 0)
				totals_sample(out, TOTAL_CERTIFICATES,
					      (const char *[]){s->set.name, path},
					      (uint64_t)k->is.expires);
		}
}

static void
print_more(void *arg, FILE *out, enum total t)
{
	if (t == TOTAL_SERVER_CONNECTIONS)
		print_connections(arg, out);
	else if (t == TOTAL_CERTIFICATES)
		print_certificates(arg, out);
	else
		totals_sample(out, t, (const char *[]){PACKAGE_VERSION}, 1);
}

void
command_metrics(struct master *m, struct ctl *c, size_t n, char *words[])
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)n, (void)words;
	if (out == NULL) {
		ctl_fail(c, CONTROL_FAILED, "no memory");
		return;
	}
	set_gauges(m);
	totals_print(out, print_more, m);
	if (fclose(out) == 0) {
		ctl_say(c, "%s", text);
		ctl_end(c, CONTROL_DONE);
	} else
		ctl_fail(c, CONTROL_FAILED, "no memory");
	free(text);
}
