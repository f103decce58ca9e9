/*
 * One user, for the one-user mode only (pop3d --serve): no setting of the
 * configuration leads here.  Name and password come from the command line; one
 * that was not given means that any will do.
 */
#include "config.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"
#include "common/secret.h"
#include "daemon/auth/backend.h"

static struct msg_child_conf conf;
static char home[MSG_PATH_SIZE]; /* for what the mbox store keeps there */

static uint64_t
any_stamp(const char *arg)
{
	(void)arg;
	return 0;
}

/* The accounts of this mode are all the process's own user: without root it has no privilege. */
static int
any_open(const struct msg_child_conf *c, const char *arg)
{
	const struct passwd *pw = getpwuid(geteuid());

	(void)arg;
	conf = *c;
	snprintf(home, sizeof(home), "%s", pw != NULL ? pw->pw_dir : "/");
	if (conf.rootless != 0 && privs_harden(true) == 0)
		return 0;
	log_error(0, "one-user mode: refused");
	return -1;
}

static void
any_login(const struct msg_child_ask *ask, struct msg_child_answer *a)
{
	bool user = conf.user[0] == '\0' || strcmp(conf.user, ask->user) == 0;
	bool password =
	    secret_is_empty(&conf.password) || secret_equal(&conf.password, &ask->password);

	if (!user || !password) {
		a->result = LOGIN_BAD;
		snprintf(a->why, sizeof(a->why), "%s", user ? "password" : "no such user");
	}
	if (!user)
		return;
	snprintf(a->account.user, sizeof(a->account.user), "%s", ask->user);
	memcpy(a->account.home, home, sizeof(a->account.home));
	a->account.uid = (uint32_t)geteuid();
	a->account.gid = (uint32_t)getegid();
}

const struct auth_backend backend_any = {
    .name = "any",
    .stamp = any_stamp,
    .open = any_open,
    .login = any_login,
};
