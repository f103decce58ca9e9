#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/users.h"

int
users_find(const char *name, uint32_t *uid, uint32_t *gid)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;

	if (f == NULL)
		return -1;
	while ((pw = fgetpwent(f)) != NULL && strcmp(pw->pw_name, name) != 0)
		continue;
	fclose(f);
	if (pw == NULL || pw->pw_uid == 0) {
		errno = pw == NULL ? ENOENT : EPERM;
		return -1;
	}
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int
users_find_gid(uint32_t uid, uint32_t *gid)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;

	if (f == NULL)
		return -1;
	while ((pw = fgetpwent(f)) != NULL && pw->pw_uid != uid)
		continue;
	fclose(f);
	if (pw == NULL) {
		errno = ENOENT;
		return -1;
	}
	*gid = pw->pw_gid;
	return 0;
}

int
users_find_group(const char *name, uint32_t *gid)
{
	FILE *f = fopen("/etc/group", "re");
	const struct group *gr;

	if (f == NULL)
		return -1;
	while ((gr = fgetgrent(f)) != NULL && strcmp(gr->gr_name, name) != 0)
		continue;
	fclose(f);
	if (gr == NULL) {
		errno = ENOENT;
		return -1;
	}
	*gid = gr->gr_gid;
	return 0;
}

static int
find_system_user(const char *name, uint32_t *uid, uint32_t *gid, char *why, size_t cap)
{
	if (users_find(name, uid, gid) == 0)
		return 0;
	(void)snprintf(why, cap,
		       "no usable system user \"%s\": %s (systemd-sysusers or useradd --system "
		       "makes it)",
		       name, strerror(errno));
	return -1;
}

int
users_find_accounts(struct accounts *a, const char *login_user, const char *key_user,
		    const char *auth_user, const char *control_group, bool rootless, char *why,
		    size_t cap)
{
	if (control_group[0] != '\0' && users_find_group(control_group, &a->control_gid) == -1) {
		(void)snprintf(why, cap, "control_group \"%s\": %s", control_group,
			       strerror(errno));
		return -1;
	}
	if (rootless) {
		a->login_uid = a->key_uid = a->auth_uid = geteuid();
		a->login_gid = a->key_gid = a->auth_gid = getegid();
		return 0;
	}
	if (find_system_user(login_user, &a->login_uid, &a->login_gid, why, cap) == -1 ||
	    find_system_user(key_user, &a->key_uid, &a->key_gid, why, cap) == -1)
		return -1;
	return find_system_user(auth_user, &a->auth_uid, &a->auth_gid, why, cap);
}
