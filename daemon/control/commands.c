/*
 * What pop3ctl(8) can ask for: the table, and what is about the whole daemon.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/ctl_words.h"
#include "common/sandbox.h"
#include "daemon/change.h"
#include "daemon/table/conns.h"
#include "daemon/control/commands.h"
#include "daemon/roles/keys.h"
#include "daemon/roles/helper.h"
#include "daemon/table/receipts.h"
#include "daemon/roles/sessions.h"
#include "daemon/roles/workers.h"
#include "daemon/totals.h"

struct server *
control_server(struct master *m, struct ctl *c, const char *name)
{
	struct server *s = servers_find(m, name);

	if (s == NULL)
		ctl_fail(c, CONTROL_FAILED, "no such server \"%s\"", name);
	return s;
}

static void
reload_then(struct master *m, struct ctl *c, uint64_t what, bool in_time, const void *refusal)
{
	if (in_time && change_number(m) < what) /* ours is to come */
		ctl_wait(c, WAIT_GENERATION, 0, what, READY_SECONDS, reload_then);
	else
		control_up_then(m, c, SERVERS_MAX, in_time, refusal);
}

static void
command_reload(struct master *m, struct ctl *c, size_t n, char *words[])
{
	(void)n, (void)words;
	ctl_wait(c, WAIT_GENERATION, 0, change_settings(m), READY_SECONDS, reload_then);
}

static void
say_processes(struct master *m, struct ctl *c)
{
	const struct worker *w = workers_serving(m);
	const struct key_process *keys;
	const struct certificate *k;
	char text[CLOCK_UTC_SIZE];

	if (w != NULL)
		STAILQ_FOREACH(k, &w->certificates, next)
	ctl_say(c, "certificate %s\texpires=%s\n", k->is.path, clock_utc(text, k->is.expires));
	for (w = workers_next(m, NULL); w != NULL; w = workers_next(m, w))
		ctl_say(
		    c, "worker %u\tpid=%ld generation=%u%s connections=%u seccomp=%u landlock=%u\n",
		    w->number, (long)w->child.pid, w->generation, w->draining ? " draining" : "",
		    w->connections, w->confined.seccomp, w->confined.landlock_abi);
	for (keys = keys_next(m, NULL); keys != NULL; keys = keys_next(m, keys))
		ctl_say(c, "keys %u\tpid=%ld seccomp=%u landlock=%u\n", keys->generation,
			(long)keys->child.pid, keys->confined.seccomp, keys->confined.landlock_abi);
}

static void
say_sessions(struct master *m, struct ctl *c, const struct sessions_status *s)
{
	char landlock[16] = "unknown";
	const char *lacks = sandbox_lacks(m->conf->landlock_abi_max);

	if (s->landlock_told)
		(void)snprintf(landlock, sizeof(landlock), "%u", s->landlock_abi);
	ctl_say(c, "spawner\tpid=%ld spares=%u seccomp=%u session_landlock=%s\n", (long)s->pid,
		s->spares, s->seccomp, landlock);
	ctl_say(c, "sandbox_lacks\t%s\n", lacks != NULL ? lacks : "nothing");
}

/* Since the start. */
static void
say_totals(struct ctl *c)
{
	static const struct {
		const char *key;
		enum total total;
	} rows[] = {{"connections_accepted", TOTAL_ACCEPTED},
		    {"connections_refused", TOTAL_REFUSED},
		    {"sessions_ended", TOTAL_SESSION_ENDS},
		    {"messages_retrieved", TOTAL_RETRIEVED},
		    {"octets_retrieved", TOTAL_RETRIEVED_OCTETS},
		    {"session_crashes", TOTAL_CRASHES},
		    {"processes_lost", TOTAL_LOST},
		    {"log_lines_lost", TOTAL_LOG_LOST}};
	uint64_t logins = totals_of(TOTAL_LOGINS, LOGIN_OK);

	ctl_say(c, "logins\t%" PRIu64 "\nlogins_failed\t%" PRIu64 "\n", logins,
		totals_sum(TOTAL_LOGINS) - logins);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		ctl_say(c, "%s\t%" PRIu64 "\n", rows[i].key, totals_sum(rows[i].total));
}

static void
command_status(struct master *m, struct ctl *c, size_t n, char *words[])
{
	static const char *const states[] = {"starting", "serving", "stopping"};
	const struct receipts_status *r = receipts_status(m);
	char read_at[CLOCK_UTC_SIZE];
	struct sessions_status s;
	struct rlimit files;

	(void)n, (void)words;
	ctl_say(c, "version\t%s\npid\t%ld\nstate\t%s\n", PACKAGE_VERSION, (long)getpid(),
		states[m->state]);
	ctl_say(c, "configuration\t%s\nconfiguration_read\t%s\nuptime\t%" PRIu64 "\n", m->conf_path,
		clock_utc(read_at, m->conf_read), (clock_ms() - m->started) / 1000);
	sessions_status(m, &s);
	ctl_say(c, "connections\t%zu\nundecided\t%zu\nsessions\t%zu\n", conns_count(m),
		conns_undecided(m), s.sessions);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		ctl_say(c, "connections_max\t%u\ndescriptors_max\t%ju\n", m->conf->max_connections,
			(uintmax_t)files.rlim_cur);
	ctl_say(c,
		"messages_deleted\t%" PRIu64 "\nuids_vanished\t%" PRIu64 "\nfetched_again\t%" PRIu64
		"\n",
		r->deleted, r->vanished, r->again);
	say_totals(c);
	say_processes(m, c);
	say_sessions(m, c, &s);
	ctl_end(c, CONTROL_DONE);
}

/* One line, for the head of `top`. */
static void
command_summary(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct sessions_status s;

	(void)n, (void)words;
	sessions_status(m, &s);
	ctl_say(c,
		"pop3d %s  connections %zu  before login %zu  sessions %zu  "
		"failed logins in the last minute %u\n",
		PACKAGE_VERSION, conns_count(m), conns_undecided(m), s.sessions,
		helper_failed_logins(m));
	ctl_end(c, CONTROL_DONE);
}

/* Words are counted with the command's own. */
static const struct command {
	const char *word, *second; /* second: NULL, or the word behind it */
	size_t min, max;
	bool changes;
	enum control_right right; /* CONTROL_ALL, or that of another socket, too */
	enum answer_kind answer;
	command_fn *run;
} commands[] = {
    {"new", NULL, 1, 2, true, CONTROL_ALL, ANSWER_VALUE, command_new},
    {"up", NULL, 2, 2, true, CONTROL_ALL, ANSWER_NOTHING, command_up},
    {"down", NULL, 2, 2, true, CONTROL_ALL, ANSWER_NOTHING, command_down},
    {"destroy", NULL, 2, 4, true, CONTROL_ALL, ANSWER_NOTHING, command_destroy},
    {"configure", NULL, 2, 2, false, CONTROL_ALL, ANSWER_PAIRS, command_configure},
    {"configure", NULL, 3, 3, false, CONTROL_ALL, ANSWER_VALUE, command_configure},
    {"configure", NULL, 4, CONTROL_WORDS_MAX, true, CONTROL_ALL, ANSWER_NOTHING, command_configure},
    {"cget", NULL, 3, 3, false, CONTROL_ALL, ANSWER_VALUE, command_cget},
    {"conn", "list", 3, 3, false, CONTROL_ALL, ANSWER_LIST, command_conn_list},
    {"conn", "state", 4, 4, false, CONTROL_ALL, ANSWER_PAIRS, command_conn_state},
    {"conn", "kill", 4, 4, true, CONTROL_ALL, ANSWER_NOTHING, command_conn_kill},
    {"who", NULL, 1, 1, false, CONTROL_ALL, ANSWER_TABLE, command_who},
    {"kick", NULL, 2, 2, true, CONTROL_ALL, ANSWER_NUMBER, command_kick},
    {"list", NULL, 1, 1, false, CONTROL_ALL, ANSWER_TABLE, command_list},
    {"status", NULL, 1, 1, false, CONTROL_ALL, ANSWER_PAIRS, command_status},
    {"last", NULL, 1, 4, false, CONTROL_ALL, ANSWER_TABLE, command_last},
    {"log", "errors", 2, 3, false, CONTROL_ALL, ANSWER_TABLE, command_log_errors},
    {"metrics", NULL, 1, 1, false, CONTROL_METRICS, ANSWER_METRICS, command_metrics},
    {"reload", NULL, 1, 1, true, CONTROL_ALL, ANSWER_NOTHING, command_reload},
    /* for `top` */
    {"sessions", NULL, 1, 1, false, CONTROL_ALL, ANSWER_TABLE, command_sessions},
    {"summary", NULL, 1, 1, false, CONTROL_ALL, ANSWER_VALUE, command_summary},
    /* for `box`, `history` and `uidl`: the stream of a session */
    {"job", NULL, 5, CONTROL_WORDS_MAX, true, CONTROL_ALL, ANSWER_NOTHING, command_job},
};

static bool
command_is(const struct command *k, size_t n, char *words[])
{
	return strcmp(k->word, words[0]) == 0 &&
	       (k->second == NULL || (n > 1 && strcmp(k->second, words[1]) == 0));
}

/* No command has these words, or as many: say what it could be. */
static void
command_complain(struct ctl *c, const struct command *known, size_t n, char *words[])
{
	char text[CTL_TEXT_SIZE], choices[CTL_TEXT_SIZE];
	bool wants_second = known == NULL && n > 0 && ctl_choices(choices, words[0])[0] != '\0';

	if (wants_second && n == 1 && strchr(choices, ',') == NULL)
		ctl_fail(c, CONTROL_USAGE, "wrong # args: should be \"pop3ctl %s\"",
			 ctl_synopsis(text, words[0], choices));
	else if (known != NULL)
		ctl_fail(c, CONTROL_USAGE, "wrong # args: should be \"pop3ctl %s\"",
			 ctl_synopsis(text, known->word, known->second));
	else if (wants_second && n == 1)
		ctl_fail(c, CONTROL_USAGE,
			 "wrong # args: should be \"pop3ctl %s option name ?arg ...?\"", words[0]);
	else
		ctl_fail(c, CONTROL_USAGE, "bad option \"%s\": must be %s",
			 n > 0 ? words[wants_second ? 1 : 0] : "",
			 ctl_choices(text, wants_second ? words[0] : NULL));
}

/* Why not; NULL: it may run. */
static const char *
objection(const struct master *m, const struct command *k, enum control_right right,
	  bool may_change)
{
	if (right != CONTROL_ALL && k->right != right)
		return "this socket answers \"metrics\" only";
	if (k->changes && !may_change)
		return "only root may do that";
	if (k->changes && m->state != MASTER_SERVING)
		return "the daemon is starting or stopping";
	return NULL;
}

void
control_run(struct master *m, struct ctl *c, enum control_right right, bool may_change, size_t n,
	    char *words[])
{
	const struct command *known = NULL;
	const char *why;

	for (size_t i = 0; i < COUNT_OF(commands) && n > 0; i++) {
		const struct command *k = &commands[i];

		if (!command_is(k, n, words))
			continue;
		known = k;
		if (n < k->min || n > k->max)
			continue;
		if ((why = objection(m, k, right, may_change)) != NULL)
			ctl_fail(c, CONTROL_FAILED, "%s", why);
		else {
			ctl_answers(c, k->answer);
			k->run(m, c, n, words);
		}
		return;
	}
	command_complain(c, known, n, words);
}
