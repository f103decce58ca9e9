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

/* An empty name is none. */
static int
find_group(const char *setting, const char *name, uint32_t *gid, char *why, size_t cap)
{
	if (name[0] == '\0' || users_find_group(name, gid) == 0)
		return 0;
	(void)snprintf(why, cap, "%s \"%s\": %s", setting, name, strerror(errno));
	return -1;
}

int
users_find_accounts(struct accounts *a, const struct account_names *names, bool rootless, char *why,
		    size_t cap)
{
	if (find_group("control_group", names->control_group, &a->control_gid, why, cap) == -1 ||
	    find_group("metrics_group", names->metrics_group, &a->metrics_gid, why, cap) == -1)
		return -1;
	if (rootless) {
		a->login_uid = a->key_uid = a->auth_uid = geteuid();
		a->login_gid = a->key_gid = a->auth_gid = getegid();
		return 0;
	}
	if (find_system_user(names->login_user, &a->login_uid, &a->login_gid, why, cap) == -1 ||
	    find_system_user(names->key_user, &a->key_uid, &a->key_gid, why, cap) == -1)
		return -1;
	return find_system_user(names->auth_user, &a->auth_uid, &a->auth_gid, why, cap);
}
