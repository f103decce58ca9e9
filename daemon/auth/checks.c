#include "config.h"

#include "daemon/auth/checks.h"

#include <bsd/sys/tree.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/auth/account.h"
#include "daemon/auth/guesses.h"
#include "daemon/auth/servers.h"
#include "daemon/auth/username.h"

/* A connection as master told it. */
struct row {
	RB_ENTRY(row) by_id;
	struct msg_conn conn;
	struct check *check;  /* under way; NULL: none */
	struct child *keeper; /* keeps its PAM session; NULL: none */
	bool granted;	      /* master has a grant for it */
	bool stamp_used;      /* a login by its timestamp was granted: there is no second one */
	uint32_t wrong;	      /* passwords */
};

RB_HEAD(check_rows, row);

static struct {
	const struct settings *settings;
	check_tell_fn *master;
	check_answer_fn *answer;
	struct check_rows rows;
} all;

static int
row_compare(const struct row *a, const struct row *b)
{
	return (a->conn.id > b->conn.id) - (a->conn.id < b->conn.id);
}

RB_PROTOTYPE(check_rows, row, by_id, row_compare)
RB_GENERATE(check_rows, row, by_id, row_compare)

static struct row *
row_find(conn_id id)
{
	struct row wanted = {.conn.id = id};

	return RB_FIND(check_rows, &all.rows, &wanted);
}

void
checks_row(const struct msg_conn *conn)
{
	struct row *row = row_find(conn->id);

	if (row == NULL && (row = calloc(1, sizeof(*row))) != NULL) {
		row->conn.id = conn->id;
		RB_INSERT(check_rows, &all.rows, row);
	}
	if (row == NULL) { /* master starts another gate, which hears of all connections */
		log_error(conn->id, "no memory for a connection");
		_exit(EXIT_FAILURE);
	}
	row->conn = *conn;
}

/* ---- what becomes of a check ---- */

static void
checked_send(struct msg_checked *m, const char *why, const char *known)
{
	(void)snprintf(m->why, sizeof(m->why), "%s", why);
	(void)snprintf(m->known, sizeof(m->known), "%s", known);
	all.answer(m);
}

/* No back end was asked. */
static void
refuse(conn_id id, enum login_result result, const char *why)
{
	struct msg_checked m = {.id = id, .result = result};

	checked_send(&m, why, "");
}

/* Fill in what the gate has to say.  0, or -1 and why not. */
static int
grant_make(struct msg_grant *g, const struct check *c, const struct msg_child_answer *a,
	   const char **why)
{
	const struct msg_auth_server *server = settings_server(all.settings, c->conn.server);

	memset(g, 0, sizeof(*g));
	g->id = c->conn.id;
	g->mech = c->ask.mech;
	g->tls = c->conn.tls;
	g->facts = c->ask.tls;
	g->check_ms = (uint32_t)(clock_ms() - c->asked);
	g->account = a->account;
	if (server == NULL) {
		*why = "no such server";
		return -1;
	}
	if (servers_mailbox(server, &a->account, g->storage, g->mailbox) < 0) {
		*why = "no mailbox path for this name";
		return -1;
	}
	if (a->mailbox[0] == '/' && g->storage[0] != '\0')
		(void)snprintf(g->mailbox, sizeof(g->mailbox), "%s", a->mailbox);
	return 0;
}

/* The password is right and the account may log in. */
static void
check_grant(struct row *row, const struct check *c, const struct msg_child_answer *a,
	    struct child *keeper)
{
	struct msg_checked m = {.id = c->conn.id, .result = LOGIN_OK, .judged = 1};
	static struct msg_grant g;
	const char *why = "client gone";

	if (grant_make(&g, c, a, &why) < 0) {
		m.result = LOGIN_PERM;
	} else if (row != NULL) {
		row->granted = true;
		row->stamp_used |= c->ask.mech == MECH_APOP;
		row->keeper = keeper;
		keeper = NULL;
		m.granted = 1;
		all.master(MSG_GRANT, &g,
			   offsetof(struct msg_grant, account.groups) +
			       g.account.ngroups * sizeof(g.account.groups[0]));
	}
	if (keeper != NULL)
		child_release(keeper);
	checked_send(&m, why, m.granted ? "" : a->account.user);
}

static void
check_refuse(struct row *row, const struct check *c, enum login_result result, const char *why,
	     const struct msg_child_answer *a)
{
	struct msg_checked m = {.id = c->conn.id,
				.result = result,
				.judged = a != NULL,
				.check_ms = (uint32_t)(clock_ms() - c->asked)};

	if (a != NULL && result == LOGIN_BAD) {
		guesses_wrong(c->ask.user, &c->conn);
		if (row != NULL)
			row->wrong++;
	}
	checked_send(&m, why, a != NULL ? a->account.user : "");
}

void
checks_decided(struct check *c, enum login_result result, const char *why,
	       const struct msg_child_answer *a, struct child *keeper)
{
	const struct msg_auth_conf *conf = &all.settings->conf;
	struct row *row = row_find(c->conn.id);

	if (row != NULL)
		row->check = NULL;
	if (result == LOGIN_OK &&
	    !account_uid_allowed(a->account.uid, conf->minimum_uid, conf->rootless != 0)) {
		result = LOGIN_BAD;
		why = "uid not allowed";
	}
	if (result == LOGIN_OK) {
		check_grant(row, c, a, keeper);
	} else {
		if (keeper != NULL)
			child_release(keeper);
		check_refuse(row, c, result, why, a);
	}
	check_free(c);
}

/* ---- what the dispatcher asks ---- */

/* Why no back end is asked; NULL: one is. */
static const char *
objection(const struct row *row, const struct msg_login_ask *ask)
{
	if (row == NULL)
		return "client gone";
	if (row->check != NULL || row->granted)
		return "a login of the connection stands";
	if (row->wrong >= all.settings->conf.max_failures)
		return "too many failures on the connection";
	if (row->conn.tls == CONN_TLS_NONE && !row->conn.clear_ok)
		return "login without TLS";
	if (ask->mech == MECH_APOP && (row->conn.stamp[0] == '\0' || row->stamp_used))
		return "no timestamp for APOP";
	if (ask->user[0] == '\0' || !username_is_clean(ask->user) ||
	    secret_is_empty(&ask->password))
		return "no user has such a name or password";
	if (!guesses_may(ask->user, &row->conn))
		return "too many wrong passwords";
	return NULL;
}

void
checks_ask(const struct msg_login_ask *ask)
{
	struct row *row = row_find(ask->id);
	const char *why = objection(row, ask);
	const struct msg_auth_server *server;

	if (why != NULL) {
		refuse(ask->id, LOGIN_TEMP, why);
		return;
	}
	server = settings_server(all.settings, row->conn.server);
	if (server == NULL || server->auth[0] == '\0')
		refuse(ask->id, LOGIN_TEMP, "no such server");
	else if ((row->check = check_new(ask, &row->conn)) == NULL)
		refuse(ask->id, LOGIN_TEMP, "no memory");
	else
		pools_ask(server->auth, row->check);
}

/* ---- what master says ---- */

static void
keeper_release(struct row *row)
{
	struct child *keeper = row->keeper;

	row->keeper = NULL;
	if (keeper != NULL)
		child_release(keeper);
}

void
checks_row_gone(conn_id id)
{
	struct row *row = row_find(id);
	struct check *c = row != NULL ? row->check : NULL;

	if (row == NULL)
		return;
	keeper_release(row);
	RB_REMOVE(check_rows, &all.rows, row);
	free(row);
	/* one that has not begun ends here; the other's answer comes late */
	if (c != NULL && pools_cancel(c)) {
		refuse(id, LOGIN_TEMP, "client gone");
		check_free(c);
	}
}

void
checks_grant_void(conn_id id)
{
	struct row *row = row_find(id);

	if (row == NULL)
		return;
	row->granted = false;
	keeper_release(row);
}

void
checks_keeper_gone(conn_id id, struct child *keeper)
{
	struct row *row = row_find(id);

	if (row != NULL && row->keeper == keeper)
		row->keeper = NULL;
}

void
checks_init(check_tell_fn *master, check_answer_fn *answer)
{
	all.master = master;
	all.answer = answer;
	RB_INIT(&all.rows);
}

void
checks_configure(const struct settings *s)
{
	all.settings = s;
}
