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

static int
any_check(const char *arg, char *why, size_t cap)
{
	(void)arg, (void)why, (void)cap;
	return 0;
}

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

/* Both are zero-filled to the same length, so that time tells nothing. */
static bool
is_wanted(const char want[MSG_NAME_SIZE], const char *have)
{
	struct secret a = {0}, b = {0};
	bool same;

	if (want[0] == '\0')
		return true;
	same = secret_set(&a, want, strlen(want)) == 0 && secret_set(&b, have, strlen(have)) == 0 &&
	       a.len == b.len && secret_equal(a.octets, b.octets, sizeof(a.octets));
	secret_wipe(&a);
	secret_wipe(&b);
	return same;
}

static void
any_login(const struct msg_child_ask *ask, struct msg_child_answer *a)
{
	bool user = is_wanted(conf.user, ask->user),
	     password = is_wanted(conf.password, ask->password);

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
    .check = any_check,
    .stamp = any_stamp,
    .open = any_open,
    .login = any_login,
};
