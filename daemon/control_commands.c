/*
 * What pop3ctl(8) can ask for.  The words and messages are those of the
 * model system where it has them.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pop3.h"
#include "daemon/child.h"
#include "daemon/conns.h"
#include "daemon/control.h"
#include "daemon/helper.h"
#include "daemon/listeners.h"
#include "daemon/report.h"
#include "daemon/servers.h"
#include "daemon/sessions.h"
#include "daemon/workers.h"

enum {
	KILL_SECONDS = 10, /* for killed connections to be gone */
	STATE_SECONDS = 1, /* for a busy session to bring its page up to date */
	READY_SECONDS = 60 /* for workers with another certificate or other settings */
};

typedef void command_fn(struct master *m, struct ctl *c, size_t n, char *words[]);

/* ---- options of a server ---- */

static int
set_port(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	uint64_t port;

	if (pop3_number(value, strlen(value), &port) == -1 || port > 65535) {
		snprintf(expected, CONF_EXPECTED_SIZE, "expected a port from 0 to 65535");
		return -1;
	}
	set->port = (uint32_t)port;
	return 0;
}

/* "tls", or with a certificate of its own "tls:CERTIFICATE:KEY"; the same with "plain+stls". */
static int
set_socket(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	char text[3 * MSG_PATH_SIZE], *rest = text, *kind, *certificate, *key;

	snprintf(text, sizeof(text), "%s", value[0] == '\0' ? "plain" : value);
	kind = strsep(&rest, ":");
	certificate = strsep(&rest, ":");
	key = strsep(&rest, ":");
	if (conf_server_set(set, "socket", kind, expected) == -1)
		return -1;
	if (certificate == NULL)
		return 0;
	if (key == NULL || rest != NULL || set->socket == SOCKET_PLAIN) {
		snprintf(expected, CONF_EXPECTED_SIZE, "expected tls:CERTIFICATE:KEY");
		return -1;
	}
	if (conf_server_set(set, "certificate", certificate, expected) == -1)
		return -1;
	return conf_server_set(set, "certificate_key", key, expected);
}

static int
set_auth(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	return conf_server_set(set, "auth", value, expected);
}

static int
set_storage(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE])
{
	return conf_server_set(set, "storage", value, expected);
}

static void
get_port(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%u", server_port(s));
}

static void
get_auth(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%s", s->set.auth);
}

static void
get_storage(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%s", s->set.storage);
}

static void
get_socket(struct ctl *c, const struct server *s)
{
	static const char *const words[] = {"plain", "plain+stls", "tls"};

	ctl_say(c, "%s", words[s->set.socket]);
}

static void
get_state(struct ctl *c, const struct server *s)
{
	ctl_say(c, "%s", server_state_name(s->state));
}

static const struct option {
	const char *name;
	void (*get)(struct ctl *c, const struct server *s);
	int (*set)(struct conf_server *set, const char *value, char expected[CONF_EXPECTED_SIZE]);
} options[] = {
    {"-port", get_port, set_port},
    {"-auth", get_auth, set_auth},
    {"-storage", get_storage, set_storage},
    {"-socket", get_socket, set_socket},
    {"-state", get_state, NULL},
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static const struct option *
option_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* The server that a request names.  NULL: there is none, and that was said. */
static struct server *
server_named(struct master *m, struct ctl *c, const char *name)
{
	struct server *s = servers_find(m, name);

	if (s == NULL)
		ctl_fail(c, CONTROL_FAILED, "no such server \"%s\"", name);
	return s;
}

static void
command_cget(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const struct server *s = server_named(m, c, words[1]);
	const struct option *o = option_find(words[2]);

	(void)n;
	if (s == NULL)
		return;
	if (o == NULL) {
		ctl_fail(c, CONTROL_USAGE,
			 "Unknown option \"%s\": Expected \"-state\", \"-port\", \"-auth\", "
			 "\"-socket\", "
			 "or \"-storage\"",
			 words[2]);
		return;
	}
	o->get(c, s);
	ctl_say(c, "\n");
	ctl_end(c, CONTROL_DONE);
}

/* All or nothing: the options are set in a copy. */
static void
configure_set(struct master *m, struct ctl *c, struct server *s, size_t n, char *words[])
{
	char expected[CONF_EXPECTED_SIZE];
	struct conf_server set = s->set;

	for (size_t i = 0; i + 1 < n; i += 2) {
		const struct option *o = option_find(words[i]);

		if (o == NULL) {
			ctl_fail(
			    c, CONTROL_USAGE,
			    "Unknown option \"%s\": Expected \"-port\", \"-auth\", \"-socket\", or "
			    "\"-storage\"",
			    words[i]);
			return;
		}
		if (o->set == NULL) {
			ctl_fail(c, CONTROL_FAILED, "Option %s is read-only", o->name);
			return;
		}
		if (o->set(&set, words[i + 1], expected) == -1) {
			ctl_fail(c, CONTROL_FAILED, "option %s: %s", o->name, expected);
			return;
		}
	}
	if (set.port != s->set.port && listeners_inherited(m, s)) {
		ctl_fail(c, CONTROL_FAILED,
			 "server \"%s\" listens on a socket of the service manager", s->set.name);
		return;
	}
	s->set = set;
	helper_configure(m); /* rows know their server by its slot: theirs is renewed, too */
	ctl_end(c, CONTROL_DONE);
}

static void
command_configure(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = server_named(m, c, words[1]);

	if (s == NULL)
		return;
	if (n == 3) {
		command_cget(m, c, n, words);
		return;
	}
	if (n % 2 != 0) {
		ctl_fail(c, CONTROL_USAGE, "wrong # args, expected: -option | (-option value)...");
		return;
	}
	if (n > 2) {
		configure_set(m, c, s, n - 2, words + 2);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		ctl_say(c, "%s\t", options[i].name);
		options[i].get(c, s);
		ctl_say(c, "\n");
	}
	ctl_end(c, CONTROL_DONE);
}

/* ---- the life of a server ---- */

static void
command_new(struct master *m, struct ctl *c, size_t n, char *words[])
{
	static const char expected[] = "expected a name of letters, digits and _ . -";
	char name[MSG_WORD_SIZE];

	if (n > 1 &&
	    (strlen(words[1]) >= sizeof(name) || conf_check_server_name(words[1]) != NULL)) {
		ctl_fail(c, CONTROL_FAILED, "bad name \"%s\": %s", words[1], expected);
		return;
	}
	if (n > 1 && servers_find(m, words[1]) != NULL) {
		ctl_fail(c, CONTROL_FAILED,
			 "command \"%s\" already exists, unable to create pop3 server", words[1]);
		return;
	}
	if (n > 1)
		snprintf(name, sizeof(name), "%s", words[1]);
	else
		servers_auto_name(m, name);
	if (server_make(m, name) == NULL) {
		ctl_fail(c, CONTROL_FAILED, "cannot make a server: %s", strerror(errno));
		return;
	}
	helper_configure(m);
	ctl_say(c, "%s\n", name);
	ctl_end(c, CONTROL_DONE);
}

static void
up_then(struct master *m, struct ctl *c, uint64_t what, bool in_time)
{
	const struct server *s = servers_at(m, (uint32_t)what);
	const char *refusal = ctl_refusal(c);

	/* It may have been another's generation. */
	if (in_time && refusal == NULL && s != NULL && s->wanted_up) {
		ctl_wait(c, WAIT_GENERATION, what, READY_SECONDS, up_then);
		return;
	}
	if (!in_time)
		ctl_fail(c, CONTROL_FAILED, "the workers are not ready yet; see the log");
	else if (refusal != NULL)
		ctl_fail(c, CONTROL_FAILED, "%s", refusal);
	else
		ctl_end(c, CONTROL_DONE);
}

static void
command_up(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = server_named(m, c, words[1]);
	char why[MSG_PATH_SIZE];
	int r;

	(void)n;
	if (s == NULL)
		return;
	if ((r = server_up(m, s, why)) == -1)
		ctl_fail(c, CONTROL_FAILED, "%s", why);
	else if (r == 1)
		ctl_wait(c, WAIT_GENERATION, s->slot, READY_SECONDS, up_then);
	else
		ctl_end(c, CONTROL_DONE);
}

static void
command_down(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = server_named(m, c, words[1]);
	char why[MSG_PATH_SIZE];

	(void)n;
	if (s == NULL)
		return;
	if (server_down(m, s, why) == -1)
		ctl_fail(c, CONTROL_FAILED, "%s", why);
	else
		ctl_end(c, CONTROL_DONE);
}

static void
say_conns(struct master *m, struct ctl *c, const struct server *s)
{
	char id[LOG_ID_SIZE];

	for (struct conn *k = conns_next(m, NULL); k != NULL; k = conns_next(m, k))
		if (k->server == s)
			ctl_say(c, "%s\n", log_conn(id, k->row.id));
}

static void
destroy_then(struct master *m, struct ctl *c, uint64_t slot, bool in_time)
{
	if (!in_time) {
		ctl_say(c, "these connections are still there:\n");
		say_conns(m, c, servers_at(m, (uint32_t)slot));
	}
	ctl_end(c, in_time ? CONTROL_DONE : CONTROL_FAILED);
}

static void
command_destroy(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct server *s = server_named(m, c, words[1]);
	bool wait = n > 2 && strcmp(words[n - 1], "--wait") == 0;
	const char *mode = n - wait > 2 ? words[2] : "kill";
	bool kill = strcmp(mode, "kill") == 0;

	if (s == NULL)
		return;
	if (n - wait > 3) {
		ctl_fail(c, CONTROL_USAGE,
			 "wrong # args: should be \"pop3ctl destroy name ?mode?\"");
		return;
	}
	if (!kill && strcmp(mode, "defer") != 0) {
		ctl_fail(c, CONTROL_USAGE,
			 "Illegal destruction mode \"%s\": Expected \"kill\", or \"defer\"", mode);
		return;
	}
	if (kill || wait)
		ctl_wait(c, WAIT_SERVER, s->slot, kill ? KILL_SECONDS : 0, destroy_then);
	server_destroy(m, s, kill);
	if (!kill && !wait)
		ctl_end(c, CONTROL_DONE);
}

static void
command_list(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const struct server *s;

	(void)n, (void)words;
	ctl_say(c, "name\tstate\tport\tsocket\tauth\tstorage\tconnections\n");
	TAILQ_FOREACH (s, servers_all(m), next) {
		ctl_say(c, "%s\t%s\t%u\t", s->set.name, server_state_name(s->state),
			server_port(s));
		get_socket(c, s);
		ctl_say(c, "\t%s\t%s\t%zu\n", s->set.auth, s->set.storage, s->connections);
	}
	ctl_end(c, CONTROL_DONE);
}

/* ---- connections ---- */

static struct conn *
conn_named(struct master *m, struct ctl *c, char *words[])
{
	const struct server *s = server_named(m, c, words[2]);
	struct conn *k = NULL;
	char *end;
	conn_id id;

	if (s == NULL)
		return NULL;
	errno = 0;
	id = strtoull(words[3], &end, 16);
	if (errno == 0 && end != words[3] && *end == '\0')
		k = conns_find(m, id);
	if (k != NULL && k->server == s)
		return k;
	ctl_fail(c, CONTROL_FAILED, "no such connection \"%s\"", words[3]);
	return NULL;
}

static void
command_conn_list(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const struct server *s = server_named(m, c, words[2]);

	(void)n;
	if (s == NULL)
		return;
	say_conns(m, c, s);
	ctl_end(c, CONTROL_DONE);
}

static void
say_quoted(struct ctl *c, const char *key, const char *value)
{
	char text[LOG_QUOTED_SIZE];

	ctl_say(c, "%s\t%s\n", key,
		value[0] == '\0' ? "" : log_quote(text, sizeof(text), value, strlen(value)));
}

/* What a session shows of itself, as the four last of the eleven keys. */
static void
say_page(struct ctl *c, const struct conn *k)
{
	struct session_page p = {.octets = UINT64_MAX};
	uint32_t *deleted = NULL;

	if (k->session == NULL || sessions_read_page(k->session, &p, &deleted) == -1)
		p.ndeleted = 0;
	ctl_say(c, "msg\t%" PRIu64 "\n", p.messages);
	if (p.octets == UINT64_MAX)
		ctl_say(c, "size\t%s\n", k->session != NULL ? "unknown" : "0");
	else
		ctl_say(c, "size\t%" PRIu64 "\n", p.octets);
	ctl_say(c, "deleted\t");
	for (uint32_t i = 0; i < p.ndeleted; i++)
		ctl_say(c, i == 0 ? "%u" : " %u", deleted[i]);
	free(deleted);
	ctl_say(c, "\ntls\t%s\n",
		k->login != NULL && k->login->facts.version[0] != '\0' ? k->login->facts.version
								       : "none");
	ctl_say(c, "bytes\t%" PRIu64 "\nsince\t%.3f\nlastcmd\t%s\n", p.retrieved_octets,
		(double)(clock_ms() - k->accepted) / 1000, p.command);
}

/* "auth", "trans", "update". */
static const char *
state_word(const struct conn *k)
{
	struct session_page p;

	if (k->state != CONN_SESSION || k->session == NULL)
		return "auth";
	if (sessions_read_page(k->session, &p, NULL) == -1)
		return "trans";
	return p.state == PAGE_UPDATE ? "update" : p.state == PAGE_TRANS ? "trans" : "auth";
}

static void
state_then(struct master *m, struct ctl *c, uint64_t id, bool in_time)
{
	static const char *const logons[LOGON_COUNT] = {"", "user", "apop"};
	const struct msg_conn_state *login = ctl_login_state(c);
	const struct conn *k = conns_find(m, id);
	char text[LOG_ADDR_SIZE];

	(void)in_time; /* a session that is busy shows what it showed last */
	if (k == NULL) {
		ctl_fail(c, CONTROL_FAILED, "no such connection \"%s\"", log_conn(text, id));
		return;
	}
	ctl_say(c, "server\t%s\n", k->server->set.name);
	ctl_say(c, "remotehost\t%s\n", log_host(text, &k->row.peer));
	ctl_say(c, "remoteport\t%u\n", k->row.peer.port);
	ctl_say(c, "id\t%s\n", log_conn(text, id));
	ctl_say(c, "state\t%s\n", state_word(k));
	ctl_say(c, "logon\t%s\n", login != NULL ? logons[login->logon] : "");
	say_quoted(c, "name", k->login != NULL ? k->login->user : login != NULL ? login->name : "");
	say_quoted(c, "storage", k->login != NULL ? k->login->mailbox : "");
	say_page(c, k);
	ctl_end(c, CONTROL_DONE);
}

static void
command_conn_state(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct conn *k = conn_named(m, c, words);

	(void)n;
	if (k == NULL)
		return;
	ctl_wait(c, WAIT_STATE, k->row.id, STATE_SECONDS, state_then);
	conns_ask_state(k);
}

static void
kill_then(struct master *m, struct ctl *c, uint64_t id, bool in_time)
{
	char text[LOG_ID_SIZE];

	(void)m;
	if (in_time)
		ctl_end(c, CONTROL_DONE);
	else
		ctl_fail(c, CONTROL_FAILED, "connection %s is still there", log_conn(text, id));
}

static void
command_conn_kill(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct conn *k = conn_named(m, c, words);

	(void)n;
	if (k == NULL)
		return;
	ctl_wait(c, WAIT_CONN, k->row.id, KILL_SECONDS, kill_then);
	conns_kill(m, k);
}

/* ---- the daemon ---- */

static void
reload_then(struct master *m, struct ctl *c, uint64_t what, bool in_time)
{
	(void)what;
	if (in_time && ctl_refusal(c) == NULL && (m->reload_again || m->renewing))
		ctl_wait(c, WAIT_GENERATION, 0, READY_SECONDS, reload_then); /* ours is to come */
	else
		up_then(m, c, SERVERS_MAX, in_time);
}

static void
command_reload(struct master *m, struct ctl *c, size_t n, char *words[])
{
	(void)n, (void)words;
	ctl_wait(c, WAIT_GENERATION, 0, READY_SECONDS, reload_then);
	master_reload(m);
}

static void
command_status(struct master *m, struct ctl *c, size_t n, char *words[])
{
	static const char *const states[] = {"starting", "serving", "stopping"};

	(void)n, (void)words;
	ctl_say(c, "version\t%s\npid\t%ld\nstate\t%s\n", PACKAGE_VERSION, (long)getpid(),
		states[m->state]);
	ctl_say(c, "configuration\t%s\n", m->conf_path);
	ctl_say(c, "connections\t%zu\nundecided\t%zu\nsessions\t%zu\n", conns_count(m),
		conns_undecided(m), sessions_count(m));
	workers_say_status(m, c);
	sessions_say_status(m, c);
	ctl_end(c, CONTROL_DONE);
}

/* One line, for the head of `top`. */
static void
command_summary(struct master *m, struct ctl *c, size_t n, char *words[])
{
	(void)n, (void)words;
	ctl_say(c,
		"pop3d %s  connections %zu  before login %zu  sessions %zu  "
		"failed logins in the last minute %u\n",
		PACKAGE_VERSION, conns_count(m), conns_undecided(m), sessions_count(m),
		helper_failed_logins(m));
	ctl_end(c, CONTROL_DONE);
}

/* A row for each connection, for `top`. */
static void
command_sessions(struct master *m, struct ctl *c, size_t n, char *words[])
{
	static const char *const waits[PAGE_WAIT_COUNT] = {"-", "client", "disk"};
	char text[LOG_ADDR_SIZE], user[LOG_QUOTED_SIZE];

	(void)n, (void)words;
	ctl_say(c, "id\tserver\tuser\tpeer\tstate\tmessages\tretrieved\toctets\tdeleted\twaiting\t"
		   "command\tseconds\n");
	for (struct conn *k = conns_next(m, NULL); k != NULL; k = conns_next(m, k)) {
		struct session_page p = {.wait = PAGE_WAIT_NOTHING};

		if (k->session != NULL && sessions_read_page(k->session, &p, NULL) == -1)
			p = (struct session_page){.wait = PAGE_WAIT_NOTHING};
		ctl_say(c, "%s\t%s\t", log_conn(text, k->row.id), k->server->set.name);
		ctl_say(c, "%s\t%s\t%s\t",
			k->login == NULL
			    ? "-"
			    : log_quote(user, sizeof(user), k->login->user, strlen(k->login->user)),
			log_host(text, &k->row.peer), state_word(k));
		ctl_say(c, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%.1f\n",
			p.messages, p.retrieved, p.retrieved_octets, p.marked, waits[p.wait],
			p.command[0] != '\0' ? p.command : "-",
			(double)(clock_ms() - k->accepted) / 1000);
	}
	ctl_end(c, CONTROL_DONE);
}

/* ---- the table ---- */

/* Words are counted with the command's own. */
static const struct command {
	const char *word, *second; /* second: NULL, or the word behind it */
	size_t min, max;
	bool changes;
	const char *usage;
	command_fn *run;
} commands[] = {
    {"new", NULL, 1, 2, true, "new ?name?", command_new},
    {"up", NULL, 2, 2, true, "up name", command_up},
    {"down", NULL, 2, 2, true, "down name", command_down},
    {"destroy", NULL, 2, 4, true, "destroy name ?kill|defer? ?--wait?", command_destroy},
    {"configure", NULL, 2, 2, false, "configure name ?-option? ?value -option value ...?",
     command_configure},
    {"configure", NULL, 3, 3, false, "configure name -option", command_configure},
    {"configure", NULL, 4, CONTROL_WORDS_MAX, true, "configure name -option value ...",
     command_configure},
    {"cget", NULL, 3, 3, false, "cget name -option", command_cget},
    {"conn", "list", 3, 3, false, "conn list name", command_conn_list},
    {"conn", "state", 4, 4, false, "conn state name connId", command_conn_state},
    {"conn", "kill", 4, 4, true, "conn kill name connId", command_conn_kill},
    {"list", NULL, 1, 1, false, "list", command_list},
    {"status", NULL, 1, 1, false, "status", command_status},
    {"sessions", NULL, 1, 1, false, "sessions", command_sessions},
    {"summary", NULL, 1, 1, false, "summary", command_summary},
    {"reload", NULL, 1, 1, true, "reload", command_reload},
};

static bool
command_is(const struct command *k, size_t n, char *words[])
{
	return strcmp(k->word, words[0]) == 0 &&
	       (k->second == NULL || (n > 1 && strcmp(k->second, words[1]) == 0));
}

static void
command_unknown(struct ctl *c, size_t n, char *words[])
{
	if (n > 1 && strcmp(words[0], "conn") == 0)
		ctl_fail(c, CONTROL_USAGE, "bad option \"%s\": must be kill, list, or state",
			 words[1]);
	else if (n > 0 && strcmp(words[0], "conn") == 0)
		ctl_fail(c, CONTROL_USAGE,
			 "wrong # args: should be \"pop3ctl conn option name ?arg ...?\"");
	else
		ctl_fail(
		    c, CONTROL_USAGE,
		    "bad option \"%s\": must be cget, configure, conn, destroy, down, list, new, "
		    "reload, sessions, status, or up",
		    n > 0 ? words[0] : "");
}

void
control_run(struct master *m, struct ctl *c, bool may_change, size_t n, char *words[])
{
	const struct command *known = NULL;

	for (size_t i = 0; i < COUNT_OF(commands) && n > 0; i++) {
		const struct command *k = &commands[i];

		if (!command_is(k, n, words))
			continue;
		known = k;
		if (n < k->min || n > k->max)
			continue;
		if (k->changes && !may_change)
			ctl_fail(c, CONTROL_FAILED, "only root may do that");
		else if (k->changes && m->state != MASTER_SERVING)
			ctl_fail(c, CONTROL_FAILED, "the daemon is starting or stopping");
		else
			k->run(m, c, n, words);
		return;
	}
	if (known != NULL)
		ctl_fail(c, CONTROL_USAGE, "wrong # args: should be \"pop3ctl %s\"", known->usage);
	else
		command_unknown(c, n, words);
}
