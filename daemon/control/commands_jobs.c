/*
 * pop3ctl(8) box, uidl, history: mailbox jobs (jobs.h).
 */
#include "config.h"

#include <string.h>

#include "daemon/table/conns.h"
#include "daemon/control/commands.h"
#include "daemon/table/jobs.h"

/* "-" is any server, if all of them know the same users and keep their mail in the same place. */
static struct server *
job_server(struct master *m, struct ctl *c, const char *name)
{
	struct server *s, *first = TAILQ_FIRST(servers_all(m));

	if (strcmp(name, "-") != 0)
		return control_server(m, c, name);
	TAILQ_FOREACH (s, servers_all(m), next)
		if (strcmp(s->set.auth, first->set.auth) != 0 ||
		    strcmp(s->set.username_domain, first->set.username_domain) != 0 ||
		    s->set.username_fold != first->set.username_fold ||
		    strcmp(s->set.storage, first->set.storage) != 0) {
			ctl_fail(c, CONTROL_FAILED,
				 "servers \"%s\" and \"%s\" differ in -auth, -storage, "
				 "username_domain or username_fold: name one of them",
				 first->set.name, s->set.name);
			return NULL;
		}
	if (first == NULL)
		ctl_fail(c, CONTROL_FAILED, "there is no server; make one with pop3ctl new");
	return first;
}

static void
job_then(struct master *m, struct ctl *c, uint64_t id, bool in_time, const void *refusal)
{
	const struct conn *k = conns_find(m, id);

	(void)in_time;
	if (refusal != NULL || k == NULL)
		ctl_fail(c, CONTROL_FAILED, "%s", refusal != NULL ? (const char *)refusal : "gone");
	else
		ctl_end_with(c, k->relay);
}

/* job SERVER USER OTHER WORD ...; pop3ctl(8) puts the words of its commands in this order. */
void
command_job(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = job_server(m, c, words[1]);
	char why[MSG_PATH_SIZE];
	conn_id id;

	if (s == NULL)
		return;
	id = jobs_begin(m, s, words[2], words[3], n - 4, words + 4, why);
	if (id == 0)
		ctl_fail(c, CONTROL_FAILED, "%s", why);
	else
		ctl_wait(c, WAIT_JOB, id, id, 0, job_then);
}
