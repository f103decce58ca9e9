#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/count.h"
#include "common/msg.h"

#define BIT(role) (1u << (role))

enum {
	FROM_CHILDREN = BIT(ROLE_LOGIN) | BIT(ROLE_AUTH) | BIT(ROLE_SPAWNER),
	FROM_ANY_CHILD = FROM_CHILDREN | BIT(ROLE_SESSION) | BIT(ROLE_AUTH_CHILD),
	FD_NEVER = 0,
	FD_ALWAYS = 1,
	FD_PAIR_MAYBE = 2,
	FD_TO_FIVE = 3
};

/* Who may send what to whom, how long, with a descriptor or without. */
static const struct msg_rule {
	const char *name;
	unsigned from, to; /* sets of roles */
	size_t min, max;   /* octets of the body */
	int fd;
} rules[MSG_TYPE_COUNT] = {
/* clang-format off */
#define EXACT(s)	sizeof(struct s), sizeof(struct s)
#define UP_TO(s, field)	offsetof(struct s, field) + 1, sizeof(struct s)
#define LIST(s, field)	offsetof(struct s, field), sizeof(struct s)
#define BARE		0, 0
#define MASTER		BIT(ROLE_MASTER)
#define LOGIN		BIT(ROLE_LOGIN)
#define AUTH		BIT(ROLE_AUTH)
#define CHILD		BIT(ROLE_AUTH_CHILD)
#define SPAWNER		BIT(ROLE_SPAWNER)
#define SESSION		BIT(ROLE_SESSION)
[MSG_PING]		= {"ping", MASTER, FROM_CHILDREN, EXACT(msg_ping), FD_NEVER},
[MSG_PONG]		= {"pong", FROM_CHILDREN, MASTER, EXACT(msg_ping), FD_NEVER},
[MSG_LOG]		= {"log", FROM_ANY_CHILD, MASTER | AUTH, UP_TO(msg_log, text), FD_NEVER},
[MSG_TRACE]		= {"trace", LOGIN | SESSION, MASTER, UP_TO(msg_trace, text), FD_NEVER},
[MSG_SANDBOX_LOG]	= {"sandbox-log", LOGIN | SPAWNER, MASTER, BARE, FD_ALWAYS},
[MSG_READY]		= {"ready", FROM_CHILDREN, MASTER, EXACT(msg_ready), FD_NEVER},
[MSG_REFUSED]		= {"refused", FROM_CHILDREN, MASTER, UP_TO(msg_refused, why), FD_NEVER},
[MSG_DRAIN]		= {"drain", MASTER, FROM_CHILDREN | SESSION, BARE, FD_NEVER},

[MSG_LOGIN_CONF]	= {"login-conf", MASTER, LOGIN, EXACT(msg_login_conf), FD_NEVER},
[MSG_LOGIN_SERVER]	= {"login-server", MASTER, LOGIN, EXACT(msg_login_server), FD_NEVER},
[MSG_LOGIN_START]	= {"login-start", MASTER, LOGIN, BARE, FD_NEVER},
[MSG_TICKET_KEYS]	= {"ticket-keys", MASTER, LOGIN, EXACT(msg_ticket_keys), FD_NEVER},
[MSG_AUTH_CHANNEL]	= {"auth-channel", MASTER, LOGIN, BARE, FD_ALWAYS},
[MSG_CONN_NEW]		= {"conn-new", MASTER, LOGIN, EXACT(msg_conn), FD_ALWAYS},
[MSG_STLS_GO]		= {"stls-go", MASTER, LOGIN, EXACT(msg_conn_ref), FD_NEVER},
[MSG_LOGIN_TAKEN]	= {"login-taken", MASTER, LOGIN, EXACT(msg_conn_ref), FD_PAIR_MAYBE},
[MSG_LOGIN_FAILED]	= {"login-failed", MASTER, LOGIN, EXACT(msg_login_failed), FD_NEVER},
[MSG_CONN_DROP]		= {"conn-drop", MASTER, LOGIN, EXACT(msg_conn_ref), FD_NEVER},
[MSG_CONN_STATE_ASK]	= {"conn-state-ask", MASTER, LOGIN, EXACT(msg_conn_ref), FD_NEVER},
[MSG_CONN_STATE]	= {"conn-state", LOGIN, MASTER, EXACT(msg_conn_state), FD_NEVER},
[MSG_CERTIFICATE]	= {"certificate", LOGIN, MASTER, EXACT(msg_certificate), FD_NEVER},
[MSG_STLS_ASK]		= {"stls-ask", LOGIN, MASTER, EXACT(msg_conn_ref), FD_NEVER},
[MSG_CONN_END]		= {"conn-end", LOGIN, MASTER, EXACT(msg_conn_end), FD_NEVER},

[MSG_AUTH_CONF]		= {"auth-conf", MASTER, AUTH, EXACT(msg_auth_conf), FD_NEVER},
[MSG_AUTH_SERVER]	= {"auth-server", MASTER, AUTH, EXACT(msg_auth_server), FD_NEVER},
[MSG_AUTH_START]	= {"auth-start", MASTER, AUTH, BARE, FD_NEVER},
[MSG_WORKER_NEW]	= {"worker-new", MASTER, AUTH, EXACT(msg_worker), FD_ALWAYS},
[MSG_WORKER_GONE]	= {"worker-gone", MASTER, AUTH, EXACT(msg_worker), FD_NEVER},
[MSG_ROW]		= {"row", MASTER, AUTH, EXACT(msg_conn), FD_NEVER},
[MSG_ROW_GONE]		= {"row-gone", MASTER, AUTH, EXACT(msg_conn_ref), FD_NEVER},
[MSG_GRANT_TAKEN]	= {"grant-taken", MASTER, AUTH, EXACT(msg_conn_ref), FD_NEVER},
[MSG_GRANT_VOID]	= {"grant-void", MASTER, AUTH, EXACT(msg_conn_ref), FD_NEVER},
[MSG_GRANT]		= {"grant", AUTH, MASTER, LIST(msg_grant, account.groups), FD_NEVER},
[MSG_LOOKUP]		= {"lookup", MASTER, AUTH, EXACT(msg_lookup), FD_NEVER},
[MSG_FOUND]		= {"found", AUTH, MASTER, LIST(msg_found, account.groups), FD_NEVER},
[MSG_REFUSED_ONE]	= {"refused-one", AUTH, MASTER, BARE, FD_NEVER},
[MSG_WORKER_BAD]	= {"worker-bad", AUTH, MASTER, EXACT(msg_worker), FD_NEVER},

[MSG_LOGIN_ASK]		= {"login-ask", LOGIN, AUTH, EXACT(msg_login_ask), FD_NEVER},
[MSG_LOGIN_REFUSED]	= {"login-refused", AUTH, LOGIN, EXACT(msg_login_refused), FD_NEVER},

[MSG_CHILD_CONF]	= {"child-conf", AUTH, CHILD, EXACT(msg_child_conf), FD_NEVER},
[MSG_CHILD_ASK]		= {"child-ask", AUTH, CHILD, EXACT(msg_child_ask), FD_NEVER},
[MSG_CHILD_ANSWER]	= {"child-answer", CHILD, AUTH, LIST(msg_child_answer, account.groups), FD_NEVER},
[MSG_CHILD_CLOSE]	= {"child-close", AUTH, CHILD, BARE, FD_NEVER},

[MSG_SPAWN_CONF]	= {"spawn-conf", MASTER, SPAWNER, EXACT(msg_spawn_conf), FD_NEVER},
[MSG_SPAWN]		= {"spawn", MASTER, SPAWNER, EXACT(msg_spawn), FD_NEVER},
[MSG_SPARE]		= {"spare", SPAWNER, MASTER, EXACT(msg_spare), FD_ALWAYS},
[MSG_EXITED]		= {"exited", SPAWNER, MASTER, EXACT(msg_exited), FD_NEVER},

[MSG_HELLO]		= {"hello", SESSION, MASTER, BARE, FD_NEVER},
[MSG_SERVE]		= {"serve", MASTER, SESSION, LIST(msg_grant, account.groups), FD_TO_FIVE},
[MSG_JOB]		= {"job", MASTER, SESSION, UP_TO(msg_job, words), FD_NEVER},
[MSG_HAVE_IT]		= {"have-it", SESSION, MASTER, EXACT(msg_conn_ref), FD_NEVER},
[MSG_LOCK_ASK]		= {"lock-ask", SESSION, MASTER, EXACT(msg_lock_ask), FD_NEVER},
[MSG_LOCK_ANSWER]	= {"lock-answer", MASTER, SESSION, EXACT(msg_lock_answer), FD_NEVER},
[MSG_TAKEOVER]		= {"takeover", MASTER, SESSION, BARE, FD_NEVER},
[MSG_SESSION_OPEN]	= {"session-open", SESSION, MASTER, EXACT(msg_session_open), FD_NEVER},
[MSG_STATE_ASK]		= {"state-ask", MASTER, SESSION, BARE, FD_NEVER},
[MSG_STATE]		= {"state", SESSION, MASTER, EXACT(msg_conn_ref), FD_NEVER},
[MSG_RECEIPT]		= {"receipt", SESSION, MASTER, EXACT(msg_receipt), FD_NEVER},
[MSG_SESSION_END]	= {"session-end", SESSION, MASTER, EXACT(msg_session_end), FD_NEVER},
[MSG_JOB_END]		= {"job-end", SESSION, MASTER, EXACT(msg_job_end), FD_NEVER},
    /* clang-format on */
};

/* Every string of a message of fixed layout; must hold a NUL. */
static const struct msg_string {
	enum msg_type type;
	size_t at, size;
} strings[] = {
/* clang-format off */
#define STRING(type, s, field) {type, offsetof(struct s, field), sizeof(((struct s *)0)->field)}
#define FACTS(type, s, field) \
	STRING(type, s, field.version), STRING(type, s, field.cipher), STRING(type, s, field.sni)
    STRING(MSG_LOGIN_CONF, msg_login_conf, hostname),
    STRING(MSG_LOGIN_CONF, msg_login_conf, chroot_dir),
    STRING(MSG_LOGIN_SERVER, msg_login_server, name),
    STRING(MSG_LOGIN_SERVER, msg_login_server, certificate),
    STRING(MSG_LOGIN_SERVER, msg_login_server, certificate_key),
    STRING(MSG_LOGIN_SERVER, msg_login_server, tls_ciphers),
    STRING(MSG_CERTIFICATE, msg_certificate, path),
    STRING(MSG_AUTH_SERVER, msg_auth_server, name),
    STRING(MSG_AUTH_SERVER, msg_auth_server, username_domain),
    STRING(MSG_AUTH_SERVER, msg_auth_server, auth),
    STRING(MSG_AUTH_SERVER, msg_auth_server, storage),
    STRING(MSG_AUTH_CONF, msg_auth_conf, user),
    STRING(MSG_AUTH_CONF, msg_auth_conf, password.octets),
    STRING(MSG_CHILD_CONF, msg_child_conf, user),
    STRING(MSG_CHILD_CONF, msg_child_conf, password.octets),
    STRING(MSG_CONN_STATE, msg_conn_state, name),
    STRING(MSG_LOGIN_ASK, msg_login_ask, authzid),
    STRING(MSG_LOGIN_ASK, msg_login_ask, user),
    STRING(MSG_LOGIN_ASK, msg_login_ask, password.octets),
    STRING(MSG_LOGIN_ASK, msg_login_ask, challenge),
    FACTS(MSG_LOGIN_ASK, msg_login_ask, tls),
    STRING(MSG_CHILD_CONF, msg_child_conf, auth),
    STRING(MSG_CHILD_ASK, msg_child_ask, user),
    STRING(MSG_CHILD_ASK, msg_child_ask, password.octets),
    STRING(MSG_CHILD_ASK, msg_child_ask, challenge),
    STRING(MSG_CHILD_ASK, msg_child_ask, rhost),
    STRING(MSG_CHILD_ANSWER, msg_child_answer, why),
    STRING(MSG_CHILD_ANSWER, msg_child_answer, mailbox),
    STRING(MSG_CHILD_ANSWER, msg_child_answer, account.user),
    STRING(MSG_CHILD_ANSWER, msg_child_answer, account.home),
    STRING(MSG_LOOKUP, msg_lookup, user),
    STRING(MSG_LOOKUP, msg_lookup, other),
    STRING(MSG_FOUND, msg_found, why),
    STRING(MSG_FOUND, msg_found, storage),
    STRING(MSG_FOUND, msg_found, mailbox),
    STRING(MSG_FOUND, msg_found, target),
    STRING(MSG_FOUND, msg_found, account.user),
    STRING(MSG_FOUND, msg_found, account.home),
    STRING(MSG_JOB, msg_job, target),
    FACTS(MSG_GRANT, msg_grant, facts),
    STRING(MSG_GRANT, msg_grant, storage),
    STRING(MSG_GRANT, msg_grant, mailbox),
    STRING(MSG_GRANT, msg_grant, server),
    STRING(MSG_GRANT, msg_grant, mbox_journal),
    STRING(MSG_GRANT, msg_grant, account.user),
    STRING(MSG_GRANT, msg_grant, account.home),
    FACTS(MSG_SERVE, msg_grant, facts),
    STRING(MSG_SERVE, msg_grant, storage),
    STRING(MSG_SERVE, msg_grant, mailbox),
    STRING(MSG_SERVE, msg_grant, server),
    STRING(MSG_SERVE, msg_grant, mbox_journal),
    STRING(MSG_SERVE, msg_grant, account.user),
    STRING(MSG_SERVE, msg_grant, account.home),
    STRING(MSG_RECEIPT, msg_receipt, uid),
    /* clang-format on */
};

/* Every number that indexes something at the receiver: the first value not allowed. */
static const struct msg_bound {
	enum msg_type type;
	size_t at;
	uint32_t end;
} bounds[] = {
    {MSG_LOG, offsetof(struct msg_log, prio), 8},
    {MSG_TICKET_KEYS, offsetof(struct msg_ticket_keys, count), 3},
    {MSG_CONN_END, offsetof(struct msg_conn_end, why), CONN_END_COUNT},
    {MSG_CONN_STATE, offsetof(struct msg_conn_state, logon), LOGON_COUNT},
    {MSG_LOGIN_FAILED, offsetof(struct msg_login_failed, result), LOGIN_IN_USE},
    {MSG_LOGIN_ASK, offsetof(struct msg_login_ask, mech), MECH_COUNT},
    {MSG_CHILD_ASK, offsetof(struct msg_child_ask, mech), MECH_COUNT},
    {MSG_CHILD_ASK, offsetof(struct msg_child_ask, lookup), 2},
    {MSG_LOGIN_REFUSED, offsetof(struct msg_login_refused, result), LOGIN_IN_USE},
    {MSG_LOGIN_REFUSED, offsetof(struct msg_login_refused, last), 2},
    {MSG_CHILD_ANSWER, offsetof(struct msg_child_answer, result), LOGIN_IN_USE},
    {MSG_FOUND, offsetof(struct msg_found, result), LOGIN_IN_USE},
    {MSG_GRANT, offsetof(struct msg_grant, mech), MECH_COUNT},
    {MSG_GRANT, offsetof(struct msg_grant, job), 1}, /* master's to say */
    {MSG_GRANT, offsetof(struct msg_grant, tls), CONN_TLS_STLS + 1},
    {MSG_SERVE, offsetof(struct msg_grant, mech), MECH_COUNT},
    {MSG_SERVE, offsetof(struct msg_grant, tls), CONN_TLS_STLS + 1},
    {MSG_SERVE, offsetof(struct msg_grant, job), 2},
    {MSG_LOCK_ASK, offsetof(struct msg_lock_ask, purpose), LOCK_PURPOSE_COUNT},
    {MSG_LOCK_ANSWER, offsetof(struct msg_lock_answer, holder), LOCK_HOLDER_COUNT},
    {MSG_SESSION_OPEN, offsetof(struct msg_session_open, result), LOGIN_IN_USE + 1},
    {MSG_SESSION_OPEN, offsetof(struct msg_session_open, exposed), EXPOSED_COUNT},
    {MSG_SESSION_END, offsetof(struct msg_session_end, why), SESSION_END_COUNT},
};

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_MASTER] = "master",	      [ROLE_LOGIN] = "login",	  [ROLE_AUTH] = "auth",
    [ROLE_AUTH_CHILD] = "auth-child", [ROLE_SPAWNER] = "spawner", [ROLE_SESSION] = "session",
};

static bool
strings_end(const struct msg *m)
{
	for (size_t i = 0; i < COUNT_OF(strings); i++) {
		const struct msg_string *s = &strings[i];

		if (s->type == m->type && memchr(m->u.octets + s->at, '\0', s->size) == NULL)
			return false;
	}
	return true;
}

static bool
numbers_in_bounds(const struct msg *m)
{
	for (size_t i = 0; i < COUNT_OF(bounds); i++) {
		uint32_t v;

		if (bounds[i].type != m->type)
			continue;
		memcpy(&v, m->u.octets + bounds[i].at, sizeof(v));
		if (v >= bounds[i].end)
			return false;
	}
	return true;
}

/* As many words as it says, each with its end, and nothing behind them. */
static bool
words_fit(const struct msg *m)
{
	const struct msg_job *j = &m->u.job;
	uint32_t ends = 0;

	if (j->len > sizeof(j->words) || m->len != offsetof(struct msg_job, words) + j->len)
		return false;
	for (uint32_t i = 0; i < j->len; i++)
		ends += j->words[i] == '\0';
	return ends == j->argc && j->words[j->len - 1] == '\0';
}

/* Messages that end in a list or a text as long as its content. */
static bool
tail_fits(const struct msg *m)
{
	const struct msg_account *account = NULL;
	size_t at = 0;

	if (m->type == MSG_LOG || m->type == MSG_TRACE || m->type == MSG_REFUSED)
		return m->u.octets[m->len - 1] == '\0';
	if (m->type == MSG_JOB)
		return words_fit(m);
	if (m->type == MSG_GRANT || m->type == MSG_SERVE) {
		account = &m->u.grant.account;
		at = offsetof(struct msg_grant, account.groups);
	} else if (m->type == MSG_FOUND) {
		account = &m->u.found.account;
		at = offsetof(struct msg_found, account.groups);
	} else if (m->type == MSG_CHILD_ANSWER) {
		account = &m->u.child_answer.account;
		at = offsetof(struct msg_child_answer, account.groups);
	}
	return account == NULL || (account->ngroups <= MSG_GROUPS_MAX &&
				   m->len == at + account->ngroups * sizeof(account->groups[0]));
}

/* How many descriptors come with a message, by its rule. */
static const struct {
	size_t min, max;
} fds_allowed[] = {
    [FD_NEVER] = {0, 0}, [FD_ALWAYS] = {1, 1}, [FD_PAIR_MAYBE] = {0, 2}, [FD_TO_FIVE] = {1, 5}};

int
msg_check(enum role from, enum role to, const struct msg *m)
{
	const struct msg_rule *r;
	bool ok;

	if (m->type <= 0 || m->type >= MSG_TYPE_COUNT || rules[m->type].name == NULL) {
		errno = EBADMSG;
		return -1;
	}
	r = &rules[m->type];
	ok = (r->from & BIT(from)) != 0 && (r->to & BIT(to)) != 0 && m->len >= r->min &&
	     m->len <= r->max && m->nfds >= (m->fd_lost ? 0 : fds_allowed[r->fd].min) &&
	     m->nfds <= fds_allowed[r->fd].max && strings_end(m) && numbers_in_bounds(m) &&
	     tail_fits(m);
	if (!ok) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

const char *
msg_name(uint32_t type)
{
	return type < MSG_TYPE_COUNT && rules[type].name != NULL ? rules[type].name : "?";
}

const char *
role_name(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? role_names[role] : "?";
}

int
msg_fd_rule(enum msg_type type)
{
	return rules[type].fd;
}
