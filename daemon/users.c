#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

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
