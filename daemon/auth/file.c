/*
 * The user file.  Its children read the file as root, then become the user
 * `auth_user` for good, and only then see a request: what a client sent meets
 * no privilege.  The gate has the accounts (not the passwords) from the
 * file itself and takes no more than yes or no from these children.
 */
#include "config.h"

#include <crypt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"
#include "common/secret.h"
#include "daemon/auth/account.h"
#include "daemon/auth/apop.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/userfile.h"

static struct {
	struct msg_child_conf conf;
	struct userfile users;
	char fault[MSG_NAME_SIZE]; /* why the file cannot be used; empty: it can */
	char dummy[CRYPT_GENSALT_OUTPUT_SIZE + CRYPT_OUTPUT_SIZE]; /* hash for unknown users */
	struct crypt_data crypt;
} state;

/* Does the password have this crypt(3) hash? */
static bool
hash_matches(const struct secret *password, const char *hash)
{
	const char *result = crypt_r(password->octets, hash, &state.crypt);
	size_t len = strlen(hash);
	bool same;

	/* "*0" and the like are how crypt says no */
	same = result != NULL && result[0] != '*' && strlen(result) == len &&
	       secret_digest_equal(result, hash, len);
	explicit_bzero(&state.crypt, sizeof(state.crypt));
	return same;
}

static bool
plain_matches(const struct secret *password, const char *secret)
{
	struct secret right;
	bool same =
	    secret_set(&right, secret, strlen(secret)) == 0 && secret_equal(password, &right);

	secret_wipe(&right);
	return same;
}

/* Whoever asks for whatever name waits for one hash (USR-09). */
static bool
password_matches(const struct userfile_entry *e, const struct secret *password)
{
	bool has_hash = e != NULL && e->scheme == USERFILE_HASH;

	if (has_hash && e->secret[0] == '$')
		return hash_matches(password, e->secret);
	if (state.dummy[0] != '\0')
		hash_matches(password, state.dummy);
	if (has_hash)
		return hash_matches(password, e->secret);
	return e != NULL && e->scheme == USERFILE_PLAIN && plain_matches(password, e->secret);
}

/* There is no hash to wait for, so nobody waits for one. */
static bool
digest_matches(const struct userfile_entry *e, const struct msg_child_ask *ask)
{
	const char *secret = e != NULL ? userfile_apop(e) : NULL;

	return apop_matches(ask->challenge, secret != NULL ? secret : "", &ask->password);
}

static void
account_fill(struct msg_account *a, const struct userfile_entry *e)
{
	snprintf(a->user, sizeof(a->user), "%s", e->name);
	snprintf(a->home, sizeof(a->home), "%s", e->home);
	a->uid = e->uid;
	a->gid = e->gid;
	a->ngroups = 1;
	a->groups[0] = e->gid;
}

static void
answer_set(struct msg_child_answer *a, enum login_result result, const char *why)
{
	a->result = result;
	snprintf(a->why, sizeof(a->why), "%s", why);
}

static void
file_login(const struct msg_child_ask *ask, struct msg_child_answer *a)
{
	const struct userfile_entry *e;
	bool right;

	if (state.fault[0] != '\0') {
		answer_set(a, LOGIN_TEMP, state.fault);
		return;
	}
	e = userfile_find(&state.users, ask->user);
	right =
	    ask->mech == MECH_APOP ? digest_matches(e, ask) : password_matches(e, &ask->password);
	if (!right)
		answer_set(a, LOGIN_BAD,
			   e == NULL			  ? "no such user"
			   : e->scheme == USERFILE_LOCKED ? "locked in the user file"
							  : "password");
	else if (!account_uid_allowed(e->uid, state.conf.minimum_uid, state.conf.rootless != 0))
		answer_set(a, LOGIN_BAD, "uid not allowed");
	else if (userfile_barred(e, ask->rhost) != NULL)
		answer_set(a, LOGIN_BAD, "not from this network");
	if (e == NULL)
		return;
	account_fill(&a->account, e);
	snprintf(a->mailbox, sizeof(a->mailbox), "%s", e->mailbox);
}

static void
file_lookup(const char *user, struct msg_child_answer *a)
{
	if (state.fault[0] != '\0')
		answer_set(a, LOGIN_TEMP, state.fault);
	else if (userfile_find(&state.users, user) == NULL)
		answer_set(a, LOGIN_BAD, "no such user in the user file");
}

/* A hash with the cost that accounts of the file have. */
static void
dummy_make(void)
{
	const char *hash = userfile_any_hash(&state.users);

	if (hash != NULL && strlen(hash) < sizeof(state.dummy))
		memcpy(state.dummy, hash, strlen(hash) + 1);
}

/* Nothing is left to a child of this kind but its channel and its memory. */
static int
privileges_drop(void)
{
	static const struct rlimit none = {0, 0};

	bool own = state.conf.rootless != 0;

	if (privs_become(own ? (uint32_t)geteuid() : state.conf.uid,
			 own ? (uint32_t)getegid() : state.conf.gid, NULL, 0) < 0)
		return -1;
	if (setrlimit(RLIMIT_NPROC, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0)
		return -1;
	/* the change of ids has cleared it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	return privs_harden(true);
}

static int
file_open(const struct msg_child_conf *conf, const char *arg)
{
	char *text;
	size_t len;
	int got;

	state.conf = *conf;
	got = userfile_read(arg, &text, &len, state.fault, sizeof(state.fault));
	if (privileges_drop() < 0) {
		log_error(0, "user file child: cannot drop privileges: %m");
		return -1;
	}
	if (got < 0)
		return 0;
	if (userfile_parse(&state.users, text, len, conf->rootless != 0, NULL, NULL) < 0)
		snprintf(state.fault, sizeof(state.fault), "no memory for the user file");
	else
		dummy_make();
	return 0;
}

/* What is wrong with the file itself comes and goes: it is logged (file_accounts),
 * and logins are refused for the time being. */
static uint64_t
file_stamp(const char *arg)
{
	return backend_stamp_file(0, arg);
}

static void
fault_log(size_t line, const char *what, void *arg)
{
	const char *path = arg;

	if (line == 0)
		log_warn(0, "%s: %s", path, what);
	else
		log_warn(0, "%s:%zu: %s", path, line, what);
}

static int
file_accounts(struct userfile *u, const char *arg, bool rootless)
{
	char path[MSG_SPEC_SIZE], why[MSG_TEXT_MAX], *text;
	size_t len;

	snprintf(path, sizeof(path), "%s", arg);
	*u = (struct userfile){0};
	if (userfile_read(path, &text, &len, why, sizeof(why)) < 0) {
		log_error(0, "user file: %s", why);
		return -1;
	}
	if (userfile_parse(u, text, len, rootless, fault_log, path) < 0 ||
	    userfile_forget_passwords(u) < 0) {
		log_error(0, "user file: %s: %m", path);
		return -1;
	}
	return 0;
}

/* What the user's line has against any password, or some clients. */
static int
entry_look(const char *path, const struct userfile_entry *e)
{
	if (e->scheme == USERFILE_LOCKED) {
		log_error(0, "%s: %s is locked, or the password there is of no known form", path,
			  e->name);
		return -1;
	}
	if (e->scheme == USERFILE_APOP)
		log_line(LOG_NOTICE, 0, "%s: %s has a secret for APOP, and no password", path,
			 e->name);
	if (e->allow != NULL || e->deny != NULL)
		log_line(LOG_NOTICE, 0,
			 "%s: %s may log in from some networks only: allow=%s deny=%s", path,
			 e->name, e->allow != NULL ? e->allow : "all",
			 e->deny != NULL ? e->deny : "none");
	return 0;
}

static int
file_inspect_user(const char *arg, const char *user)
{
	const struct userfile_entry *e;
	char why[MSG_TEXT_MAX], *text;
	struct userfile u = {0};
	int result = 0;
	size_t len;

	if (userfile_read(arg, &text, &len, why, sizeof(why)) < 0) {
		log_error(0, "user file: %s", why);
		return -1;
	}
	if (userfile_parse(&u, text, len, geteuid() != 0, NULL, NULL) == 0 &&
	    (e = userfile_find(&u, user)) != NULL)
		result = entry_look(arg, e);
	userfile_free(&u);
	return result;
}

const struct auth_backend backend_file = {
    .name = "file",
    .inspect_user = file_inspect_user,
    .stamp = file_stamp,
    .accounts = file_accounts,
    .open = file_open,
    .login = file_login,
    .lookup = file_lookup,
};
