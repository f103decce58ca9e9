/*
 * libFuzzer: any octets as a message between processes.  First octets: type,
 * sender, receiver, descriptors.  What is accepted keeps every promise of
 * msg_check: strings end, the list of groups is within the message.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msg m;

static void
must_end(const char *text, size_t cap)
{
	if (memchr(text, '\0', cap) == NULL)
		abort();
}

/* As many as it says, each with its end, all in the message. */
static void
must_have_words(const struct msg_job *j)
{
	const char *p = j->words, *end = j->words + j->len;

	for (uint32_t i = 0; i < j->argc; i++) {
		if (p >= end)
			abort();
		must_end(p, (size_t)(end - p));
		p += strlen(p) + 1;
	}
	if (p != end || offsetof(struct msg_job, words) + j->len != m.len)
		abort();
	must_end(j->target, sizeof(j->target));
}

static void
check_promises(void)
{
	if (m.type == MSG_LOGIN_ASK) {
		must_end(m.u.login_ask.user, sizeof(m.u.login_ask.user));
		must_end(m.u.login_ask.password.octets, SECRET_SIZE);
	} else if (m.type == MSG_SERVE || m.type == MSG_GRANT) {
		must_end(m.u.grant.mailbox, sizeof(m.u.grant.mailbox));
		must_end(m.u.grant.account.user, sizeof(m.u.grant.account.user));
		if (offsetof(struct msg_grant, account.groups) +
			m.u.grant.account.ngroups * sizeof(uint32_t) !=
		    m.len)
			abort();
	} else if (m.type == MSG_FOUND) {
		must_end(m.u.found.why, sizeof(m.u.found.why));
		must_end(m.u.found.mailbox, sizeof(m.u.found.mailbox));
		must_end(m.u.found.target, sizeof(m.u.found.target));
		if (offsetof(struct msg_found, account.groups) +
			m.u.found.account.ngroups * sizeof(uint32_t) !=
		    m.len)
			abort();
	} else if (m.type == MSG_LOOKUP) {
		must_end(m.u.lookup.user, sizeof(m.u.lookup.user));
		must_end(m.u.lookup.other, sizeof(m.u.lookup.other));
	} else if (m.type == MSG_JOB) {
		must_have_words(&m.u.job);
	} else if (m.type == MSG_LOG) {
		must_end(m.u.log.text, m.len - offsetof(struct msg_log, text));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { HEAD = 4 };

	if (size < HEAD)
		return 0;
	memset(&m, 0xa5, sizeof(m)); /* what was not received is not looked at */
	m.type = (enum msg_type)data[0];
	m.nfds = data[3] % 3;
	m.fd_lost = data[3] >= 128;
	m.len = size - HEAD < sizeof(m.u) ? size - HEAD : sizeof(m.u);
	memcpy(m.u.octets, data + HEAD, m.len);
	if (msg_check(data[1] % ROLE_COUNT, data[2] % ROLE_COUNT, &m) == 0)
		check_promises();
	return 0;
}
