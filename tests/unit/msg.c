#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/msg.h"
#include "tests/unit/unit.h"

static struct msg m;

static void
fresh(enum msg_type type, size_t len)
{
	memset(&m, 0, sizeof(m));
	m.type = type;
	m.len = len;
}

static int
check(enum role from, enum role to)
{
	errno = 0;
	return msg_check(from, to, &m);
}

static void
test_sender_and_receiver(void)
{
	fresh(MSG_CONN_END, sizeof(struct msg_conn_end));
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), 0);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	/* Nobody but the helper grants. */
	fresh(MSG_GRANT, offsetof(struct msg_grant, account.groups));
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), 0);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_AUTH_CHILD, ROLE_AUTH), -1);
}

static void
test_unknown_types(void)
{
	static const int types[] = {0, -1, MSG_TYPE_COUNT, MSG_TYPE_COUNT + 1, 0x7fffffff};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fresh((enum msg_type)types[i], 0);
		CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	}
	CU_ASSERT_STRING_EQUAL(msg_name(0), "?");
	CU_ASSERT_STRING_EQUAL(msg_name(MSG_TYPE_COUNT), "?");
	for (uint32_t t = MSG_PING; t < MSG_TYPE_COUNT; t++)
		CU_ASSERT_STRING_NOT_EQUAL(msg_name(t), "?");
}

static void
test_exact_length(void)
{
	fresh(MSG_CONN_NEW, sizeof(struct msg_conn));
	m.nfds = 1;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), 0);
	m.len--;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	m.len += 2;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	fresh(MSG_DRAIN, 1);
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
}

static void
test_descriptors(void)
{
	fresh(MSG_CONN_NEW, sizeof(struct msg_conn));
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	m.fd_lost = true; /* due, and lost on the way: no fault of the peer */
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), 0);
	m.nfds = 2;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	fresh(MSG_LOGIN_TAKEN, sizeof(struct msg_conn_ref));
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), 0);
	m.nfds = 1;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), 0);
	/* A worker never sends a descriptor with a login. */
	fresh(MSG_LOGIN_ASK, sizeof(struct msg_login_ask));
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), 0);
	m.nfds = 1;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), -1);
}

static void
test_strings_end(void)
{
	fresh(MSG_LOGIN_ASK, sizeof(struct msg_login_ask));
	memset(m.u.login_ask.password, 'x', sizeof(m.u.login_ask.password) - 1);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), 0);
	m.u.login_ask.password[sizeof(m.u.login_ask.password) - 1] = 'x';
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), -1);
	fresh(MSG_LOGIN_ASK, sizeof(struct msg_login_ask));
	memset(m.u.login_ask.tls.sni, 'x', sizeof(m.u.login_ask.tls.sni));
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), -1);
	fresh(MSG_LOG, offsetof(struct msg_log, text) + 3);
	memcpy(m.u.log.text, "abc", 4);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	m.len++;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), 0);
}

static void
test_numbers_in_bounds(void)
{
	fresh(MSG_CONN_END, sizeof(struct msg_conn_end));
	m.u.conn_end.why = CONN_END_COUNT;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	fresh(MSG_SESSION_END, sizeof(struct msg_session_end));
	m.u.session_end.why = 0xffffffff;
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	fresh(MSG_SESSION_OPEN, sizeof(struct msg_session_open));
	m.u.session_open.result = LOGIN_IN_USE;
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), 0);
	m.u.session_open.result++;
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
}

static void
test_groups_match_length(void)
{
	size_t bare = offsetof(struct msg_grant, account.groups);

	fresh(MSG_GRANT, bare + 2 * sizeof(uint32_t));
	m.u.grant.account.ngroups = 2;
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), 0);
	m.u.grant.account.ngroups = 3;
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), -1);
	m.u.grant.account.ngroups = 0x40000002; /* wraps to the same length in 32 bits */
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), -1);
	m.len = sizeof(struct msg_grant);
	m.u.grant.account.ngroups = MSG_GROUPS_MAX;
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), 0);
	CU_ASSERT(sizeof(struct msg_grant) <= MSG_BODY_MAX);
	CU_ASSERT(sizeof(struct msg_child_answer) <= MSG_BODY_MAX);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"only the named roles may send and receive a type", test_sender_and_receiver},
	    {"unknown types", test_unknown_types},
	    {"exact lengths", test_exact_length},
	    {"descriptors as the rule says", test_descriptors},
	    {"every string ends", test_strings_end},
	    {"every index is within its table", test_numbers_in_bounds},
	    {"the list of groups is as long as the message", test_groups_match_length},
	    {NULL, NULL},
	};

	return unit_run("msg", tests);
}
