/*
 * PAM.  Its modules run in this process and may do anything: sleep, crash,
 * exit, change what is global.  Hence one transaction at a time, and the
 * process is replaced now and then.
 */
#include "config.h"

#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "daemon/auth/account.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/pam_service.h"

enum { PAM_FLAGS = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK };

/* Modules refuse replies of this length and more; a password never gets there. */
_Static_assert(SECRET_SIZE <= PAM_MAX_RESP_SIZE, "passwords fit a PAM reply");

struct talk {
	conn_id id;
	const char *user;
	const struct secret *password;
};

static struct {
	char service[MSG_SPEC_SIZE];
	struct msg_child_conf conf;
	pam_handle_t *idle; /* never used: keeps the modules loaded between logins */
	pam_handle_t *kept; /* has an open session */
	struct talk talk;   /* of the transaction under way */
} state;

/* What a result means to the client, PAM-08, and to the log. */
static const struct meaning {
	int code;
	enum login_result result;
	const char *why;
} meanings[] = {
    {PAM_AUTH_ERR, LOGIN_BAD, "password"},
    {PAM_USER_UNKNOWN, LOGIN_BAD, "no such user"},
    {PAM_MAXTRIES, LOGIN_BAD, "too many tries"},
    {PAM_ACCT_EXPIRED, LOGIN_BAD, "account expired"},
    {PAM_PERM_DENIED, LOGIN_BAD, "permission denied"},
    {PAM_NEW_AUTHTOK_REQD, LOGIN_BAD, "password must be changed"},
    {PAM_AUTHTOK_EXPIRED, LOGIN_BAD, "password expired"},
    {PAM_CRED_EXPIRED, LOGIN_BAD, "credentials expired"},
    {PAM_AUTHINFO_UNAVAIL, LOGIN_TEMP, NULL},
    {PAM_BUF_ERR, LOGIN_TEMP, NULL},
    {PAM_ABORT, LOGIN_TEMP, NULL},
    {PAM_SESSION_ERR, LOGIN_TEMP, NULL},
    {PAM_CRED_UNAVAIL, LOGIN_TEMP, NULL},
    {PAM_TRY_AGAIN, LOGIN_TEMP, NULL},
    {PAM_INCOMPLETE, LOGIN_TEMP, NULL},
};

static void
answer_set(struct msg_child_answer *a, enum login_result result, const char *why)
{
	a->result = result;
	snprintf(a->why, sizeof(a->why), "%s", why);
}

/* Anything not in the table needs an administrator. */
static void
answer_set_pam(struct msg_child_answer *a, pam_handle_t *h, int code, const char *step)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		const struct meaning *m = &meanings[i];

		if (m->code == code && m->why != NULL) {
			answer_set(a, m->result, m->why);
			return;
		}
		if (m->code == code)
			a->result = m->result;
	}
	if (a->result == LOGIN_OK)
		a->result = LOGIN_PERM;
	snprintf(a->why, sizeof(a->why), "%s: %s", step, pam_strerror(h, code));
}

/* A code means something else in another step: where the account phase ends with pam_deny, as
 * Debian's does, its PAM_AUTH_ERR stands for whatever pam_unix had against the account.  The reason
 * is for the log; the client hears of wrong credentials in any case. */
static void
answer_tell_step(struct msg_child_answer *a, int code, bool authenticated)
{
	const char *user = state.talk.user;

	if (code != PAM_AUTH_ERR)
		return;
	if (authenticated)
		snprintf(a->why, sizeof(a->why), "%s", account_refusal(user));
	else if (account_is_locked(user))
		snprintf(a->why, sizeof(a->why), "account locked");
}

static void
replies_free(struct pam_response *replies, int n)
{
	for (int i = 0; i < n; i++)
		if (replies[i].resp != NULL) {
			explicit_bzero(replies[i].resp, strlen(replies[i].resp));
			free(replies[i].resp);
		}
	free(replies);
}

/* One message of a module.  PAM_SUCCESS or what to give up with. */
static int
talk_reply(const struct talk *t, const struct pam_message *m, struct pam_response *reply)
{
	const char *text;

	switch (m->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		text = t->password->octets;
		break;
	case PAM_PROMPT_ECHO_ON:
		text = t->user;
		break;
	case PAM_ERROR_MSG:
	case PAM_TEXT_INFO:
		log_debug(t->id, "pam says: %s", m->msg != NULL ? m->msg : "");
		return PAM_SUCCESS;
	default:
		return PAM_CONV_ERR;
	}
	reply->resp = strdup(text);
	return reply->resp != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* The conversation, PAM-04; the library frees the replies. */
static int
talk_converse(int n, const struct pam_message **messages, struct pam_response **replies, void *arg)
{
	struct pam_response *all;
	int result = PAM_SUCCESS;

	if (n < 1 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	all = calloc((size_t)n, sizeof(*all));
	if (all == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n && result == PAM_SUCCESS; i++)
		result = talk_reply(arg, messages[i], &all[i]);
	if (result != PAM_SUCCESS) {
		replies_free(all, n);
		return result;
	}
	*replies = all;
	return PAM_SUCCESS;
}

/* Where services have their files: those of the library, in its order, and one with what pop3d
 * comes with. */
enum { OF_LIBRARY = 2 };
static const char own_folder[] = PKGDATADIR "/pam.d";
static const char *const folders[OF_LIBRARY + 1] = {"/etc/pam.d", "/usr/lib/pam.d", own_folder};

/* The folder with the service's file, NULL: none has.  To the library itself a service without a
 * file is the service "other", which is rarely meant. */
static const char *
service_folder(const char *service)
{
	char path[MSG_PATH_SIZE];

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], service);
		if (access(path, F_OK) == 0)
			return folders[i];
	}
	/* pam.conf(5): all services in one file, where there is no folder */
	return access(folders[0], F_OK) < 0 && access("/etc/pam.conf", F_OK) == 0 ? folders[0]
										  : NULL;
}

/* PAM-06: without this the library sleeps.  The dispatcher keeps the delay. */
static void
talk_no_delay(int result, unsigned usec, void *arg)
{
	(void)result;
	(void)usec;
	(void)arg;
}

static int
transaction_start(const char *user, const char *rhost, pam_handle_t **h)
{
	static const struct pam_conv conv = {talk_converse, &state.talk};
	union {
		void (*delay)(int, unsigned, void *);
		const void *item;
	} none = {talk_no_delay};
	const char *folder = service_folder(state.service);
	int code;

	if (folder == NULL)
		return PAM_OPEN_ERR;
	code = folder == own_folder ? pam_start_confdir(state.service, user, &conv, folder, h)
				    : pam_start(state.service, user, &conv, h);
	if (code == PAM_SUCCESS && rhost != NULL)
		code = pam_set_item(*h, PAM_RHOST, rhost);
	if (code == PAM_SUCCESS)
		code = pam_set_item(*h, PAM_TTY, "pop3");
	if (code == PAM_SUCCESS)
		code = pam_set_item(*h, PAM_FAIL_DELAY, none.item);
	return code;
}

/* Who the client is now: modules may have mapped the name, PAM-03. */
static bool
transaction_account(pam_handle_t *h, struct msg_child_answer *a)
{
	const void *user = NULL;
	const char *why = "";
	int code = pam_get_item(h, PAM_USER, &user);

	if (code != PAM_SUCCESS || user == NULL) {
		answer_set(a, LOGIN_PERM, "PAM has no user name");
		return false;
	}
	a->result = account_lookup(user, &a->account, &why);
	if (a->result == LOGIN_OK) {
		if (account_uid_allowed(a->account.uid, state.conf.minimum_uid,
					state.conf.rootless != 0))
			return true;
		answer_set(a, LOGIN_BAD, "uid not allowed");
	} else if (a->result == LOGIN_BAD) {
		/* the password was right, so this is no wrong password */
		answer_set(a, LOGIN_PERM, "PAM accepts it but there is no such account");
	} else
		answer_set(a, a->result, why);
	return false;
}

/* Credentials and session; the session outlives master's sight of this process,
 * so it must be able to end in order when the gate does not. */
static int
session_open(pam_handle_t *h, struct msg_child_answer *a)
{
	int code;

	prctl(PR_SET_PDEATHSIG, 0);
	code = pam_setcred(h, PAM_ESTABLISH_CRED | PAM_SILENT);
	if (code != PAM_SUCCESS) {
		answer_set_pam(a, h, code, "setcred");
		return code;
	}
	code = pam_open_session(h, PAM_SILENT);
	if (code != PAM_SUCCESS) {
		answer_set_pam(a, h, code, "open_session");
		pam_setcred(h, PAM_DELETE_CRED | PAM_SILENT);
		return code;
	}
	state.kept = h;
	return PAM_SUCCESS;
}

/* PAM-02.  Returns the last result, for pam_end. */
static int
transaction_run(pam_handle_t *h, struct msg_child_answer *a)
{
	int code = pam_authenticate(h, PAM_FLAGS);

	if (code != PAM_SUCCESS) {
		answer_set_pam(a, h, code, "authenticate");
		answer_tell_step(a, code, false);
		return code;
	}
	code = pam_acct_mgmt(h, PAM_FLAGS);
	if (code != PAM_SUCCESS) {
		answer_set_pam(a, h, code, "acct_mgmt");
		answer_tell_step(a, code, true);
		return code;
	}
	if (transaction_account(h, a) && state.conf.pam_session)
		code = session_open(h, a);
	return code;
}

static void
pam_login(const struct msg_child_ask *ask, struct msg_child_answer *a)
{
	pam_handle_t *h = NULL;
	int code;

	state.talk = (struct talk){ask->id, ask->user, &ask->password};
	code = transaction_start(ask->user, ask->rhost, &h);
	if (code == PAM_SUCCESS)
		code = transaction_run(h, a);
	else if (code == PAM_OPEN_ERR)
		answer_set(a, LOGIN_PERM, "the PAM service has no file in /etc/pam.d");
	else
		answer_set_pam(a, h, code, "start");
	if (h != NULL && state.kept == NULL)
		pam_end(h, code);
	state.talk = (struct talk){0};
	if (a->result != LOGIN_OK && a->account.user[0] == '\0')
		account_known_name(ask->user, a->account.user);
}

/* The name service alone: no module is asked. */
static void
pam_lookup(const char *user, struct msg_child_answer *a)
{
	const char *why = "";
	enum login_result result = account_lookup(user, &a->account, &why);

	answer_set(a, result, why);
}

static void
pam_close(void)
{
	static const struct secret nothing;
	int code;

	if (state.kept == NULL)
		return;
	/* names and password of the login are gone; a module that asks gets nothing */
	state.talk = (struct talk){0, "", &nothing};
	code = pam_close_session(state.kept, PAM_SILENT);
	if (code != PAM_SUCCESS)
		log_warn(0, "pam close_session: %s", pam_strerror(state.kept, code));
	code = pam_setcred(state.kept, PAM_DELETE_CRED | PAM_SILENT);
	pam_end(state.kept, code);
	state.kept = NULL;
}

static int
pam_open(const struct msg_child_conf *conf, const char *arg)
{
	int code;

	state.conf = *conf;
	snprintf(state.service, sizeof(state.service), "%s", arg);
	code = transaction_start(NULL, NULL, &state.idle);
	if (code != PAM_SUCCESS)
		log_error(0, "pam service %s: %s", arg, pam_strerror(state.idle, code));
	return 0;
}

static int
pam_check(const char *arg, char *why, size_t cap)
{
	if (service_folder(arg) != NULL)
		return 0;
	snprintf(why, cap,
		 "the PAM service has no file; make %s/%s, for instance a copy of %s/pop3d",
		 folders[0], arg, own_folder);
	return -1;
}

static int
pam_inspect(const char *arg)
{
	bool own = service_folder(arg) == own_folder;

	/* pam.conf(5) is left to the library */
	if (access(folders[0], F_OK) == -1)
		return 0;
	return own ? pam_service_look(&folders[OF_LIBRARY], 1, arg)
		   : pam_service_look(folders, OF_LIBRARY, arg);
}

static int
pam_inspect_user(const char *arg, const char *user)
{
	bool own = service_folder(arg) == own_folder;

	return own ? pam_service_ask(&folders[OF_LIBRARY], 1, arg, user)
		   : pam_service_ask(folders, OF_LIBRARY, arg, user);
}

/* The service's file, and the folder: files that it includes are replaced there. */
static uint64_t
pam_stamp(const char *arg)
{
	char path[MSG_PATH_SIZE];
	uint64_t stamp = 0;

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], arg);
		stamp = backend_stamp_file(backend_stamp_file(stamp, path), folders[i]);
	}
	return stamp;
}

const struct auth_backend backend_pam = {
    .name = "pam",
    .check = pam_check,
    .inspect = pam_inspect,
    .inspect_user = pam_inspect_user,
    .stamp = pam_stamp,
    .open = pam_open,
    .login = pam_login,
    .lookup = pam_lookup,
    .close = pam_close,
};
