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

/* What the settings of these names say. */
struct account_names {
	const char *login_user, *key_user, *auth_user, *control_group, *metrics_group;
};

/* What they name. */
struct accounts {
	uint32_t login_uid, login_gid, key_uid, key_gid, auth_uid, auth_gid;
	uint32_t control_gid, metrics_gid; /* as they were, without a group */
};

/* Find them; an empty group is none.  Rootless, all users are the process's own.  0, or -1
 * and the reason in `why`. */
int users_find_accounts(struct accounts *a, const struct account_names *names, bool rootless,
			char *why, size_t cap);

/* The gid of a group in /etc/group.  0, or -1 with errno ENOENT or that of reading the file. */
int users_find_group(const char *name, uint32_t *gid);

#endif
