/*
 * The system users that roles run as.  Master asks no name service (NSS):
 * they are system accounts and stand in /etc/passwd.
 */
#ifndef POP3D_USERS_H
#define POP3D_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0, or -1 with errno ENOENT (no such user), EPERM (it is root) or that of reading the file. */
int users_find(const char *name, uint32_t *uid, uint32_t *gid);

/* The group of a user by uid.  0, or -1 with errno ENOENT or that of reading the file. */
int users_find_gid(uint32_t uid, uint32_t *gid);

/* What the settings login_user, key_user, auth_user and control_group name. */
struct accounts {
	uint32_t login_uid, login_gid, key_uid, key_gid, auth_uid, auth_gid;
	uint32_t control_gid; /* as it was, without control_group */
};

/* Find them; an empty control_group is none.  Rootless, all users are the process's own.  0, or -1
 * and the reason in `why`. */
int users_find_accounts(struct accounts *a, const char *login_user, const char *key_user,
			const char *auth_user, const char *control_group, bool rootless, char *why,
			size_t cap);

/* The gid of a group in /etc/group.  0, or -1 with errno ENOENT or that of reading the file. */
int users_find_group(const char *name, uint32_t *gid);

#endif
