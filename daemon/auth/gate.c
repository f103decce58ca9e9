#include "config.h"

#include "daemon/auth/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "common/inbox.h"
#include "common/title.h"
#include "daemon/auth/checks.h"
#include "daemon/auth/guesses.h"
#include "daemon/auth/helper.h"
#include "daemon/auth/lookups.h"
#include "daemon/auth/pools.h"
#include "daemon/auth/servers.h"

/* ---- what the dispatcher says ---- */

static int
handle_check(void *who, struct msg *m)
{
	(void)who;
	checks_ask(&m->u.login_ask);
	return 0;
}

static const struct inbox_row dispatcher_rows[] = {{MSG_CHECK, TOLD_DECIDES, 0, handle_check}};

static const struct inbox dispatcher_inbox = {dispatcher_rows, COUNT_OF(dispatcher_rows),
					      helper_state};

/* What master said before it let a worker ask is read before the check is judged. */
static void
dispatcher_message(struct evchannel *ec, struct msg *m, void *arg)
{
	evchannel_read_dry(&helper.master);
	if (inbox_take(&dispatcher_inbox, NULL, m) == -1)
		helper_end(ec, EBADMSG, arg);
}

static void
dispatcher_put(const struct msg_checked *c)
{
	evchannel_put(&helper.other, MSG_CHECKED, c, sizeof(*c));
}

/* ---- what master says ---- */

static void
gate_refuse(const char *why)
{
	struct msg_refused m;

	memset(&m, 0, sizeof(m));
	(void)snprintf(m.why, sizeof(m.why), "%s", why);
	helper_put(MSG_REFUSED, &m, strlen(m.why) + 1);
	if (!helper.told.started)
		helper_exit(EXIT_SUCCESS);
	told_drop(&helper.told);
}

/* All settings were told: they hold from here on. */
static int
handle_start(void *who, struct msg *m)
{
	static const struct msg_ready ready;
	struct settings former;
	char why[MSG_TEXT_MAX];

	(void)who, (void)m;
	if (servers_check(&helper.told.next, why, sizeof(why)) == -1) {
		gate_refuse(why);
		return 0;
	}
	former = told_take(&helper.told);
	title_detail((enum ps_titles)helper.told.now.conf.ps_titles);
	title_set("auth", "gate");
	checks_configure(&helper.told.now);
	lookups_configure(&helper.told.now);
	pools_configure(&helper.told.now);
	settings_free(&former);
	helper_put(MSG_READY, &ready, sizeof(ready));
	return 0;
}

static int
handle_row(void *who, struct msg *m)
{
	(void)who;
	checks_row(&m->u.conn);
	return 0;
}

static int
handle_row_gone(void *who, struct msg *m)
{
	(void)who;
	checks_row_gone(m->u.ref.id);
	return 0;
}

static int
handle_grant_void(void *who, struct msg *m)
{
	(void)who;
	checks_grant_void(m->u.ref.id);
	return 0;
}

static int
handle_lookup(void *who, struct msg *m)
{
	(void)who;
	lookups_ask(&m->u.lookup);
	return 0;
}

static const struct inbox_row master_rows[] = {
    {MSG_PING, INBOX_ALWAYS, 0, helper_pinged},
    {MSG_CHECK_CHANNEL, TOLD_NEW, 0, helper_connected},
    {MSG_AUTH_CONF, TOLD_NEW | TOLD_READY, 0, helper_conf},
    {MSG_AUTH_SERVER, TOLD_FIRST | TOLD_AGAIN, 0, helper_server},
    {MSG_AUTH_START, TOLD_FIRST | TOLD_AGAIN, 0, handle_start},
    {MSG_ROW, TOLD_DECIDES, 0, handle_row},
    {MSG_ROW_GONE, TOLD_DECIDES, 0, handle_row_gone},
    {MSG_GRANT_VOID, TOLD_DECIDES, 0, handle_grant_void},
    {MSG_LOOKUP, TOLD_DECIDES, 0, handle_lookup},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), helper_state};

static void
check_decided(struct check *c, enum login_result result, const char *why,
	      const struct msg_child_answer *answer, struct child *keeper)
{
	if (c->lookup)
		lookups_decided(c, result, why, answer);
	else
		checks_decided(c, result, why, answer, keeper);
}

int
gate_main(void)
{
	static const struct helper_role self = {ROLE_AUTH, ROLE_DISPATCH, &master_inbox,
						dispatcher_message, "gate"};
	static const struct pools_calls calls = {check_decided, checks_keeper_gone};

	if (helper_open(&self) == -1 || guesses_init() == -1)
		return EXIT_FAILURE;
	checks_init(helper_put, dispatcher_put);
	lookups_init(helper_put);
	pools_init(helper.base, &calls);
	event_base_dispatch(helper.base);
	return EXIT_FAILURE;
}
