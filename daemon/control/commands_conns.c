/*
 * pop3ctl(8) conn and sessions: what connections are doing.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/table/conns.h"
#include "daemon/control/commands.h"
#include "daemon/roles/sessions.h"

void
control_say_conns(struct master *m, struct ctl *c, const struct server *s)
{
	char id[LOG_ID_SIZE];

	for (struct conn *k = conns_next(m, NULL); k != NULL; k = conns_next(m, k))
		if (k->server == s)
			ctl_say(c, "%s\n", log_conn(id, k->row.id));
}

static struct conn *
conn_named(struct master *m, struct ctl *c, char *words[])
{
	const struct server *s = control_server(m, c, words[2]);
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

void
command_conn_list(struct master *m, struct ctl *c, size_t n, char *words[])
{
	const struct server *s = control_server(m, c, words[2]);

	(void)n;
	if (s == NULL)
		return;
	control_say_conns(m, c, s);
	ctl_end(c, CONTROL_DONE);
}

static void
say_quoted(struct ctl *c, const char *key, const char *value)
{
	char text[LOG_QUOTED_SIZE];

	ctl_say(c, "%s\t%s\n", key,
		value[0] == '\0' ? "" : log_quote(text, sizeof(text), value, strlen(value)));
}

/* A load balancer that announced the client, and what it said of TLS that ends there. */
static void
say_balancer(struct ctl *c, const struct conn *k)
{
	static const struct msg_balancer_tls none;
	const struct msg_balancer_tls *b = k->balancer_tls != NULL ? k->balancer_tls : &none;
	char text[LOG_ADDR_SIZE];

	say_quoted(c, "balancer", k->balancer.family != 0 ? log_addr(text, &k->balancer) : "");
	say_quoted(c, "balancer_tls", b->version);
	say_quoted(c, "balancer_cipher", b->cipher);
	say_quoted(c, "client_name", b->client);
}

/* What a session shows of itself, and the version of TLS. */
static void
say_scoreboard(struct ctl *c, const struct conn *k, const char *tls)
{
	struct scoreboard_head p = {.octets = UINT64_MAX};
	uint32_t *deleted = NULL;

	if (k->session == NULL || sessions_read_scoreboard(k->session, &p, &deleted) == -1)
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
	ctl_say(c, "\ntls\t%s\n", tls);
	ctl_say(c, "bytes\t%" PRIu64 "\nsince\t%.3f\nlastcmd\t%s\n", p.retrieved_octets,
		(double)(clock_ms() - k->accepted) / 1000, p.command);
}

/* "auth", "trans", "update". */
static const char *
state_word(const struct conn *k)
{
	struct scoreboard_head p;

	if (k->state != CONN_SESSION || k->session == NULL)
		return "auth";
	if (sessions_read_scoreboard(k->session, &p, NULL) == -1)
		return "trans";
	return p.state == SCOREBOARD_UPDATE  ? "update"
	       : p.state == SCOREBOARD_TRANS ? "trans"
					     : "auth";
}

static void
state_then(struct master *m, struct ctl *c, uint64_t id, bool in_time, const void *result)
{
	static const char *const logons[LOGON_COUNT] = {"", "user", "apop"};
	const struct msg_conn_state *login = result;
	const struct conn *k = conns_find(m, id);
	const struct msg_tls_facts *tls, none = {.version = ""};
	char text[LOG_ADDR_SIZE];

	(void)in_time; /* a session that is busy shows what it showed last */
	if (k == NULL) {
		ctl_fail(c, CONTROL_FAILED, "no such connection \"%s\"", log_conn(text, id));
		return;
	}
	tls = k->login != NULL ? &k->login->facts : login != NULL ? &login->tls : &none;
	ctl_say(c, "server\t%s\n", k->server->set.name);
	ctl_say(c, "remotehost\t%s\n", log_host(text, &k->row.peer));
	ctl_say(c, "remoteport\t%u\n", k->row.peer.port);
	ctl_say(c, "id\t%s\n", log_conn(text, id));
	ctl_say(c, "state\t%s\n", state_word(k));
	ctl_say(c, "logon\t%s\n", login != NULL ? logons[login->logon] : "");
	say_quoted(c, "name", k->login != NULL ? k->login->user : login != NULL ? login->name : "");
	say_quoted(c, "storage", k->login != NULL ? k->login->mailbox : "");
	say_scoreboard(c, k, tls->version[0] != '\0' ? tls->version : "none");
	say_quoted(c, "cipher", tls->cipher);
	say_balancer(c, k);
	ctl_end(c, CONTROL_DONE);
}

void
command_conn_state(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct conn *k = conn_named(m, c, words);

	(void)n;
	if (k == NULL)
		return;
	ctl_wait(c, WAIT_STATE, k->row.id, k->row.id, STATE_SECONDS, state_then);
	conns_ask_state(k);
}

static void
kill_then(struct master *m, struct ctl *c, uint64_t id, bool in_time, const void *result)
{
	char text[LOG_ID_SIZE];

	(void)m, (void)result;
	if (in_time)
		ctl_end(c, CONTROL_DONE);
	else
		ctl_fail(c, CONTROL_FAILED, "connection %s is still there", log_conn(text, id));
}

void
command_conn_kill(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct conn *k = conn_named(m, c, words);

	(void)n;
	if (k == NULL)
		return;
	ctl_wait(c, WAIT_CONN, k->row.id, k->row.id, KILL_SECONDS, kill_then);
	conns_kill(m, k);
}

static bool
is_logged_in(const struct conn *k)
{
	return k->login != NULL && k->session != NULL;
}

/* Seconds in which its client has neither sent nor taken anything, as the session says. */
static uint64_t
idle_seconds(const struct conn *k)
{
	struct scoreboard_head p;
	uint64_t now = clock_ms();

	if (sessions_read_scoreboard(k->session, &p, NULL) == -1 || p.active >= now)
		return 0;
	return (now - p.active) / 1000;
}

void
command_who(struct master *m, struct ctl *c, size_t n, char *words[])
{
	char text[LOG_ADDR_SIZE], user[LOG_QUOTED_SIZE], since[CLOCK_UTC_SIZE];

	(void)n, (void)words;
	ctl_say(c, "user\tserver\tpeer\ttls\tsince\tidle\n");
	for (struct conn *k = conns_next(m, NULL); k != NULL; k = conns_next(m, k)) {
		if (!is_logged_in(k))
			continue;
		ctl_say(c, "%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\n",
			log_quote(user, sizeof(user), k->login->user, strlen(k->login->user)),
			k->server->set.name, log_host(text, &k->row.peer),
			k->login->facts.version[0] != '\0' ? k->login->facts.version : "none",
			clock_utc(since, k->login->since), idle_seconds(k));
	}
	ctl_end(c, CONTROL_DONE);
}

void
command_kick(struct master *m, struct ctl *c, size_t n, char *words[])
{
	size_t killed = 0;

	(void)n;
	for (struct conn *k = conns_next(m, NULL), *next; k != NULL; k = next) {
		next = conns_next(m, k);
		if (!is_logged_in(k) || strcmp(k->login->user, words[1]) != 0)
			continue;
		conns_kill(m, k);
		killed++;
	}
	ctl_say(c, "%zu\n", killed);
	ctl_end(c, CONTROL_DONE);
}

/* The columns `idle` and `left`: seconds, and those until idle_timeout ends the session. */
static void
say_idle(struct ctl *c, const struct conn *k)
{
	uint64_t idle;

	if (!is_logged_in(k)) {
		ctl_say(c, "\t-\t-\n");
		return;
	}
	idle = idle_seconds(k);
	ctl_say(c, "\t%" PRIu64 "\t%" PRIu64 "\n", idle,
		idle < k->idle_timeout ? k->idle_timeout - idle : 0);
}

/* The columns `of` and `rate`: octets of the mailbox, and those sent in a second so far. */
static void
say_share(struct ctl *c, const struct scoreboard_head *p, uint64_t age_ms)
{
	if (p->octets == UINT64_MAX)
		ctl_say(c, "unknown\t");
	else
		ctl_say(c, "%" PRIu64 "\t", p->octets);
	ctl_say(c, "%.0f\t", (double)p->retrieved_octets * 1000 / (double)(age_ms + 1));
}

/* A row for each connection. */
void
command_sessions(struct master *m, struct ctl *c, size_t n, char *words[])
{
	static const char *const waits[SCOREBOARD_WAIT_COUNT] = {"-", "client", "disk", "lock"};
	char text[LOG_ADDR_SIZE], user[LOG_QUOTED_SIZE];

	(void)n, (void)words;
	ctl_say(c, "id\tserver\tuser\tpeer\tstate\tmessages\tretrieved\toctets\tof\trate\t"
		   "deleted\twaiting\tcommand\tseconds\tidle\tleft\n");
	for (struct conn *k = conns_next(m, NULL); k != NULL; k = conns_next(m, k)) {
		struct scoreboard_head p = {.wait = SCOREBOARD_WAIT_NOTHING};

		if (k->session != NULL && sessions_read_scoreboard(k->session, &p, NULL) == -1)
			p = (struct scoreboard_head){.wait = SCOREBOARD_WAIT_NOTHING};
		ctl_say(c, "%s\t%s\t", log_conn(text, k->row.id), k->server->set.name);
		ctl_say(c, "%s\t%s\t%s\t",
			k->login == NULL
			    ? "-"
			    : log_quote(user, sizeof(user), k->login->user, strlen(k->login->user)),
			log_host(text, &k->row.peer), state_word(k));
		ctl_say(c, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t", p.messages, p.retrieved,
			p.retrieved_octets);
		say_share(c, &p, clock_ms() - k->accepted);
		ctl_say(c, "%" PRIu64 "\t%s\t%s\t%.1f", p.marked, waits[p.wait],
			p.command[0] != '\0' ? p.command : "-",
			(double)(clock_ms() - k->accepted) / 1000);
		say_idle(c, k);
	}
	ctl_end(c, CONTROL_DONE);
}
