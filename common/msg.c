#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/count.h"
#include "common/msg.h"

#define BIT(role) (1u << (role))

/* Sets of roles, as msg.def names them. */
enum {
	MASTER = BIT(ROLE_MASTER),
	LOGIN = BIT(ROLE_LOGIN),
	KEY = BIT(ROLE_KEY),
	AUTH = BIT(ROLE_AUTH),
	DISPATCH = BIT(ROLE_DISPATCH),
	CHILD = BIT(ROLE_AUTH_CHILD),
	SPAWNER = BIT(ROLE_SPAWNER),
	SESSION = BIT(ROLE_SESSION),
	CHILDREN = LOGIN | KEY | AUTH | DISPATCH | SPAWNER,
	ANY_CHILD = CHILDREN | SESSION | CHILD
};

/* Who may send what to whom, how long, with how many descriptors. */
static const struct msg_rule {
	const char *name;
	unsigned from, to; /* sets of roles */
	struct {
		size_t min, max;
	} octets, fds;
} rules[MSG_TYPE_COUNT] = {
/* clang-format off */
#define EXACT(s)	{sizeof(struct s), sizeof(struct s)}
#define UP_TO(s, field)	{offsetof(struct s, field) + 1, sizeof(struct s)}
#define LIST(s, field)	{offsetof(struct s, field), sizeof(struct s)}
#define BARE		{0, 0}
#define NO_FD		{0, 0}
#define ONE_FD		{1, 1}
#define UP_TO_TWO_FDS	{0, 2}
#define ONE_TO_FIVE_FDS	{1, 5}
#define MSG(type, ...)	[MSG_##type] = {__VA_ARGS__},
#include "common/msg.def"
#undef MSG
    /* clang-format on */
};

/* Every string of a message of fixed layout; must hold a NUL. */
static const struct msg_string {
	enum msg_type type;
	size_t at, size;
	const char *only; /* the characters that it may have; NULL: any */
} strings[] = {
/* clang-format off */
#define STRING(type, s, field) \
	WORD(type, s, field, NULL)
#define WORD(type, s, field, only) \
	{type, offsetof(struct s, field), sizeof(((struct s *)0)->field), only}
#define FACTS(type, s, field) \
	WORD(type, s, field.version, MSG_TLS_NAME), WORD(type, s, field.cipher, MSG_TLS_NAME), \
	STRING(type, s, field.sni)
#define ACCOUNT(type, s) STRING(type, s, account.user), STRING(type, s, account.home)
#define GRANTED(type) \
	FACTS(type, msg_grant, facts), ACCOUNT(type, msg_grant), STRING(type, msg_grant, storage), \
	STRING(type, msg_grant, mailbox), STRING(type, msg_grant, server), \
	STRING(type, msg_grant, mbox_journal)
    STRING(MSG_CONN_NEW, msg_conn, stamp),
    STRING(MSG_CONN_RENEWED, msg_conn, stamp),
    STRING(MSG_ROW, msg_conn, stamp),
    STRING(MSG_LOGIN_CONF, msg_login_conf, hostname),
    STRING(MSG_LOGIN_CONF, msg_login_conf, chroot_dir),
    STRING(MSG_LOGIN_SERVER, msg_login_server, name),
    STRING(MSG_LOGIN_SERVER, msg_login_server, certificate),
    STRING(MSG_LOGIN_SERVER, msg_login_server, tls_ciphers),
    STRING(MSG_KEY_CONF, msg_key_conf, chroot_dir),
    STRING(MSG_KEY_PAIR, msg_key_pair, certificate),
    STRING(MSG_KEY_PAIR, msg_key_pair, certificate_key),
    STRING(MSG_CERTIFICATE, msg_certificate, path),
    STRING(MSG_AUTH_SERVER, msg_auth_server, name),
    STRING(MSG_AUTH_SERVER, msg_auth_server, username_domain),
    STRING(MSG_AUTH_SERVER, msg_auth_server, auth),
    STRING(MSG_AUTH_SERVER, msg_auth_server, storage),
    STRING(MSG_AUTH_CONF, msg_auth_conf, chroot_dir),
    STRING(MSG_AUTH_CONF, msg_auth_conf, user),
    STRING(MSG_AUTH_CONF, msg_auth_conf, password.octets),
    STRING(MSG_CHILD_CONF, msg_child_conf, user),
    STRING(MSG_CHILD_CONF, msg_child_conf, password.octets),
    WORD(MSG_PROXIED, msg_proxied, facts.version, MSG_TLS_NAME),
    WORD(MSG_PROXIED, msg_proxied, facts.cipher, MSG_TLS_NAME),
    STRING(MSG_PROXIED, msg_proxied, facts.client),
    STRING(MSG_CONN_STATE, msg_conn_state, name),
    FACTS(MSG_CONN_STATE, msg_conn_state, tls),
    STRING(MSG_LOGIN_ASK, msg_login_ask, authzid),
    STRING(MSG_LOGIN_ASK, msg_login_ask, user),
    STRING(MSG_LOGIN_ASK, msg_login_ask, password.octets),
    FACTS(MSG_LOGIN_ASK, msg_login_ask, tls),
    STRING(MSG_CHECK, msg_login_ask, authzid),
    STRING(MSG_CHECK, msg_login_ask, user),
    STRING(MSG_CHECK, msg_login_ask, password.octets),
    FACTS(MSG_CHECK, msg_login_ask, tls),
    STRING(MSG_CHECKED, msg_checked, known),
    STRING(MSG_CHECKED, msg_checked, why),
    FACTS(MSG_AUTH_FAILED, msg_auth_failed, facts),
    STRING(MSG_AUTH_FAILED, msg_auth_failed, server),
    STRING(MSG_AUTH_FAILED, msg_auth_failed, user),
    STRING(MSG_AUTH_FAILED, msg_auth_failed, given),
    STRING(MSG_AUTH_FAILED, msg_auth_failed, why),
    STRING(MSG_CHILD_CONF, msg_child_conf, auth),
    STRING(MSG_CHILD_ASK, msg_child_ask, user),
    STRING(MSG_CHILD_ASK, msg_child_ask, password.octets),
    STRING(MSG_CHILD_ASK, msg_child_ask, challenge),
    STRING(MSG_CHILD_ASK, msg_child_ask, rhost),
    STRING(MSG_CHILD_ANSWER, msg_child_answer, why),
    STRING(MSG_CHILD_ANSWER, msg_child_answer, mailbox),
    ACCOUNT(MSG_CHILD_ANSWER, msg_child_answer),
    STRING(MSG_LOOKUP, msg_lookup, user),
    STRING(MSG_LOOKUP, msg_lookup, other),
    STRING(MSG_FOUND, msg_found, why),
    STRING(MSG_FOUND, msg_found, storage),
    STRING(MSG_FOUND, msg_found, mailbox),
    STRING(MSG_FOUND, msg_found, target),
    ACCOUNT(MSG_FOUND, msg_found),
    STRING(MSG_JOB, msg_job, target),
    GRANTED(MSG_GRANT),
    GRANTED(MSG_SERVE),
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
    {MSG_SIGN_ASK, offsetof(struct msg_sign_ask, form), SIGN_FORM_COUNT},
    {MSG_SIGN_ASK, offsetof(struct msg_sign_ask, len), MSG_SHARE_MAX + 1},
    {MSG_SIGNED, offsetof(struct msg_signed, len), MSG_SIGNATURE_MAX + 1},
    {MSG_CONN_END, offsetof(struct msg_conn_end, why), CONN_END_COUNT},
    {MSG_CONN_END, offsetof(struct msg_conn_end, version), CONN_VERSIONS},
    {MSG_CONN_STATE, offsetof(struct msg_conn_state, logon), LOGON_COUNT},
    {MSG_LOGIN_FAILED, offsetof(struct msg_login_failed, result), LOGIN_IN_USE + 1},
    {MSG_LOGIN_ASK, offsetof(struct msg_login_ask, mech), MECH_COUNT},
    {MSG_CHECK, offsetof(struct msg_login_ask, mech), MECH_COUNT},
    {MSG_CHECKED, offsetof(struct msg_checked, result), LOGIN_IN_USE},
    {MSG_CHECKED, offsetof(struct msg_checked, judged), 2},
    {MSG_CHECKED, offsetof(struct msg_checked, granted), 2},
    {MSG_AUTH_FAILED, offsetof(struct msg_auth_failed, result), LOGIN_IN_USE},
    {MSG_AUTH_FAILED, offsetof(struct msg_auth_failed, mech), MECH_COUNT},
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
    {MSG_SESSION_OPEN, offsetof(struct msg_session_open, index), INDEX_FOUND_COUNT},
    {MSG_SESSION_END, offsetof(struct msg_session_end, why), SESSION_END_COUNT},
};

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_MASTER] = "master",	[ROLE_LOGIN] = "login",		  [ROLE_KEY] = "key",
    [ROLE_AUTH] = "auth",	[ROLE_AUTH_CHILD] = "auth-child", [ROLE_SPAWNER] = "spawner",
    [ROLE_SESSION] = "session", [ROLE_DISPATCH] = "dispatch",
};

static bool
string_fits(const struct msg_string *s, const char *text)
{
	return memchr(text, '\0', s->size) != NULL &&
	       (s->only == NULL || text[strspn(text, s->only)] == '\0');
}

static bool
strings_fit(const struct msg *m)
{
	for (size_t i = 0; i < COUNT_OF(strings); i++) {
		const struct msg_string *s = &strings[i];

		if (s->type == m->type && !string_fits(s, (const char *)m->u.octets + s->at))
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

static bool
failures_fit(const struct msg *m)
{
	const struct msg_failures *f = &m->u.failures;

	if (f->count > COUNT_OF(f->rows) ||
	    m->len != offsetof(struct msg_failures, rows) + f->count * sizeof(f->rows[0]))
		return false;
	for (uint32_t i = 0; i < f->count; i++)
		if (f->rows[i].kind >= FAILURE_KINDS)
			return false;
	return true;
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
	if (m->type == MSG_FAILURES)
		return failures_fit(m);
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
	ok = (r->from & BIT(from)) != 0 && (r->to & BIT(to)) != 0 && m->len >= r->octets.min &&
	     m->len <= r->octets.max && m->nfds >= (m->fd_lost ? 0 : r->fds.min) &&
	     m->nfds <= r->fds.max && strings_fit(m) && numbers_in_bounds(m) && tail_fits(m);
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
