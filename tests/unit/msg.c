#include "config.h"

#include <errno.h>
#include <stdio.h>
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
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	/* Nobody but the gate grants; the dispatcher hears no more than the result of a check. */
	fresh(MSG_GRANT, offsetof(struct msg_grant, account.groups));
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), 0);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_DISPATCH, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_DISPATCH, ROLE_AUTH), -1);
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_DISPATCH), -1);
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	CU_ASSERT_EQUAL(check(ROLE_AUTH_CHILD, ROLE_AUTH), -1);
	/* Nor does a worker reach the gate. */
	fresh(MSG_CHECK, sizeof(struct msg_login_ask));
	CU_ASSERT_EQUAL(check(ROLE_DISPATCH, ROLE_AUTH), 0);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_AUTH), -1);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
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
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++)
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
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), 0);
	m.nfds = 1;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
}

static void
test_strings_end(void)
{
	fresh(MSG_LOGIN_ASK, sizeof(struct msg_login_ask));
	memset(m.u.login_ask.password.octets, 'x', SECRET_SIZE - 1);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), 0);
	m.u.login_ask.password.octets[SECRET_SIZE - 1] = 'x';
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
	fresh(MSG_LOGIN_ASK, sizeof(struct msg_login_ask));
	memset(m.u.login_ask.tls.sni, 'x', sizeof(m.u.login_ask.tls.sni));
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
	fresh(MSG_LOG, offsetof(struct msg_log, text) + 3);
	memcpy(m.u.log.text, "abc", 4);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	m.len++;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), 0);
}

static void
test_names_of_balancer(void)
{
	struct msg_balancer_tls *facts = &m.u.proxied.facts;

	fresh(MSG_PROXIED, sizeof(struct msg_proxied));
	snprintf(facts->version, sizeof(facts->version), "TLSv1.3");
	snprintf(facts->client, sizeof(facts->client), "a\n\x1b[2J");
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), 0);
	facts->version[2] = '\n';
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	facts->version[2] = 'S';
	facts->cipher[0] = ' ';
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	facts->cipher[0] = '\0';
	memset(facts->client, 'x', sizeof(facts->client));
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
}

/* What a worker says of TLS is shown on terminals. */
static void
test_names_of_tls(void)
{
	static const char *const bad[] = {"\x1b[2J", "a b", "a\nb", "a\tb",
					  "{",	     "\"",  "\\",   "\xc3\xa4"};
	struct msg_tls_facts *facts = &m.u.login_ask.tls;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fresh(MSG_LOGIN_ASK, sizeof(struct msg_login_ask));
		snprintf(facts->version, sizeof(facts->version), "%s", bad[i]);
		CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
		snprintf(facts->version, sizeof(facts->version), "TLSv1.3");
		CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), 0);
		snprintf(facts->cipher, sizeof(facts->cipher), "%s", bad[i]);
		CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), -1);
		snprintf(facts->cipher, sizeof(facts->cipher), "TLS_AES_128_GCM_SHA256");
		CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_DISPATCH), 0);
	}
}

static void
test_numbers_in_bounds(void)
{
	fresh(MSG_CONN_END, sizeof(struct msg_conn_end));
	m.u.conn_end.why = CONN_END_COUNT;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	fresh(MSG_CONN_END, sizeof(struct msg_conn_end));
	m.u.conn_end.version = CONN_VERSIONS;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
	m.u.conn_end.version--;
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), 0);
	fresh(MSG_SESSION_END, sizeof(struct msg_session_end));
	m.u.session_end.why = 0xffffffff;
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	fresh(MSG_SESSION_OPEN, sizeof(struct msg_session_open));
	m.u.session_open.result = LOGIN_IN_USE;
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), 0);
	m.u.session_open.result++;
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	fresh(MSG_LOCK_ANSWER, sizeof(struct msg_lock_answer));
	m.u.lock_answer.holder = LOCK_HOLDER_ENDED;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_SESSION), 0);
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	m.u.lock_answer.holder++;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_SESSION), -1);
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

/* A look-up needs no password: only master may ask for one, and no worker ever hears of it. */
static void
test_lookups(void)
{
	static const enum role roles[] = {ROLE_LOGIN,	   ROLE_DISPATCH, ROLE_AUTH,
					  ROLE_AUTH_CHILD, ROLE_SPAWNER,  ROLE_SESSION};
	size_t bare = offsetof(struct msg_found, account.groups);

	fresh(MSG_LOOKUP, sizeof(struct msg_lookup));
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_AUTH), 0);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		for (int to = 0; to < ROLE_COUNT; to++)
			CU_ASSERT_EQUAL(check(roles[i], (enum role)to), -1);
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_LOGIN), -1);
	fresh(MSG_FOUND, bare);
	for (int from = 0; from < ROLE_COUNT; from++)
		for (int to = 0; to < ROLE_COUNT; to++)
			CU_ASSERT_EQUAL(check((enum role)from, (enum role)to),
					from == ROLE_AUTH && to == ROLE_MASTER ? 0 : -1);
	m.u.found.account.ngroups = 1;
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), -1);
	m.len += sizeof(uint32_t);
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), 0);
	CU_ASSERT(sizeof(struct msg_found) <= MSG_BODY_MAX);
	/* Nor can a login ask its child for one by another way, or a grant of the helper's be a
	 * job. */
	fresh(MSG_CHILD_ASK, sizeof(struct msg_child_ask));
	m.u.child_ask.lookup = 2;
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_AUTH_CHILD), -1);
	fresh(MSG_GRANT, offsetof(struct msg_grant, account.groups));
	m.u.grant.job = 1;
	CU_ASSERT_EQUAL(check(ROLE_AUTH, ROLE_MASTER), -1);
	m.type = MSG_SERVE;
	m.nfds = 1;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_SESSION), 0);
}

static void
test_job_words(void)
{
	static const struct {
		const char *words;
		uint32_t len, argc;
		int result;
	} cases[] = {
	    {"box\0list", 9, 2, 0},  {"box\0list", 9, 1, -1}, {"box\0list", 9, 3, -1},
	    {"box\0list", 8, 2, -1}, {"box\0list", 8, 1, -1}, {"\0\0", 2, 2, 0},
	    {"x", 1, 0, -1},
	};
	size_t bare = offsetof(struct msg_job, words);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fresh(MSG_JOB, bare + cases[i].len);
		memcpy(m.u.job.words, cases[i].words, cases[i].len);
		m.u.job.len = cases[i].len;
		m.u.job.argc = cases[i].argc;
		CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_SESSION), cases[i].result);
		CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_SESSION), -1);
		CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), -1);
	}
	fresh(MSG_JOB, bare);
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_SESSION), -1);
	fresh(MSG_JOB, bare + 1);
	m.u.job.len = MSG_JOB_SIZE + 1;
	CU_ASSERT_EQUAL(check(ROLE_MASTER, ROLE_SESSION), -1);
	fresh(MSG_JOB_END, sizeof(struct msg_job_end));
	CU_ASSERT_EQUAL(check(ROLE_SESSION, ROLE_MASTER), 0);
	CU_ASSERT_EQUAL(check(ROLE_LOGIN, ROLE_MASTER), -1);
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
	    {"names of TLS versions and ciphers", test_names_of_tls},
	    {"names that a balancer tells", test_names_of_balancer},
	    {"every index is within its table", test_numbers_in_bounds},
	    {"the list of groups is as long as the message", test_groups_match_length},
	    {"only master asks for a look-up", test_lookups},
	    {"the words of a job are as many as it says", test_job_words},
	    {NULL, NULL},
	};

	return unit_run("msg", tests);
}
