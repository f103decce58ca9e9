#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/auth/account.h"
#include "daemon/auth/userfile.h"

enum {
	ENTRY_FIRST = 2048,
	ENTRY_MAX = 1 << 20, /* octets of a passwd entry */
	SECONDS_A_DAY = 86400
};

bool
account_uid_allowed(uint32_t uid, uint32_t minimum_uid, bool rootless)
{
	if (uid == 0 || uid == UINT32_MAX)
		return false;
	return rootless ? uid == (uint32_t)geteuid() : uid >= minimum_uid;
}

/* The passwd entry in *buf (malloc'ed, the caller's).  0 (*found may be NULL) or an errno. */
static int
passwd_get(const char *name, struct passwd *pw, char **buf, struct passwd **found)
{
	int error = ERANGE;

	*buf = NULL;
	*found = NULL;
	for (size_t size = ENTRY_FIRST; error == ERANGE && size <= ENTRY_MAX; size *= 4) {
		free(*buf);
		*buf = malloc(size);
		if (*buf == NULL)
			return ENOMEM;
		error = getpwnam_r(name, pw, *buf, size, found);
	}
	/* glibc's modules tell "not found" in these ways, too: getpwnam(3), NOTES */
	if (error == ENOENT || error == ESRCH || error == EBADF || error == EPERM)
		error = 0;
	return error;
}

static bool
string_copy(char *dst, size_t cap, const char *src)
{
	size_t len = strlen(src);

	if (len >= cap)
		return false;
	memcpy(dst, src, len + 1);
	return true;
}

static bool
groups_get(struct msg_account *a, const struct passwd *pw)
{
	gid_t groups[MSG_GROUPS_MAX];
	int n = MSG_GROUPS_MAX;

	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++)
		a->groups[i] = (uint32_t)groups[i];
	a->ngroups = (uint32_t)n;
	return true;
}

enum login_result
account_lookup(const char *name, struct msg_account *a, const char **why)
{
	enum login_result result = LOGIN_PERM;
	struct passwd pw, *found;
	char *buf;
	int error = passwd_get(name, &pw, &buf, &found);

	if (error != 0) {
		*why = "account look-up failed";
		result = LOGIN_TEMP;
	} else if (found == NULL) {
		*why = "no such account";
		result = LOGIN_BAD;
	} else if (!string_copy(a->user, sizeof(a->user), pw.pw_name) ||
		   !string_copy(a->home, sizeof(a->home), pw.pw_dir)) {
		*why = "account entry too long";
	} else if (!groups_get(a, &pw)) {
		*why = "too many groups";
	} else {
		a->uid = (uint32_t)pw.pw_uid;
		a->gid = (uint32_t)pw.pw_gid;
		result = LOGIN_OK;
	}
	free(buf);
	return result;
}

void
account_known_name(const char *name, char dst[MSG_NAME_SIZE])
{
	struct passwd pw, *found;
	char *buf;

	dst[0] = '\0';
	if (passwd_get(name, &pw, &buf, &found) == 0 && found != NULL)
		string_copy(dst, MSG_NAME_SIZE, pw.pw_name);
	free(buf);
}

/* Did an administrator put a '!' in front of the hash (usermod(8))? */
static bool
password_is_locked(const struct spwd *sp)
{
	return strncmp(sp->sp_pwdp, "!$", 2) == 0;
}

const char *
account_fault(const char *name)
{
	const struct spwd *sp = getspnam(name);
	long today = (long)(time(NULL) / SECONDS_A_DAY);

	if (sp == NULL)
		return NULL;
	if (sp->sp_expire >= 0 && today >= sp->sp_expire)
		return "account expired";
	if (sp->sp_lstchg == 0)
		return "password must be changed";
	if (sp->sp_lstchg > 0 && sp->sp_max >= 0 && today > sp->sp_lstchg + sp->sp_max)
		return "password expired";
	return password_is_locked(sp) ? "account locked" : NULL;
}

const char *
account_password_fault(const char *name)
{
	const struct spwd *sp = getspnam(name);

	if (sp == NULL || password_is_locked(sp))
		return NULL;
	if (sp->sp_pwdp[0] == '\0')
		return "the password is empty";
	if (sp->sp_pwdp[0] == '!' || sp->sp_pwdp[0] == '*')
		return "no password is set";
	return userfile_hash_is_known(sp->sp_pwdp) ? NULL
						   : "the password is no hash that crypt(3) knows";
}

bool
account_has_password(const char *name)
{
	const struct spwd *sp = getspnam(name);

	return sp != NULL && userfile_hash_is_known(sp->sp_pwdp);
}

const char *
account_refusal(const char *name)
{
	const char *fault = account_fault(name);

	return fault != NULL ? fault : "account refused";
}

bool
account_is_locked(const char *name)
{
	const struct spwd *sp = getspnam(name);

	return sp != NULL && password_is_locked(sp);
}
