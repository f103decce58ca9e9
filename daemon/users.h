/*
 * The system users that roles run as.  Master asks no name service (NSS):
 * they are system accounts and stand in /etc/passwd.
 */
#ifndef POP3D_USERS_H
#define POP3D_USERS_H

#include <stdint.h>

/* 0, or -1 with errno ENOENT (no such user), EPERM (it is root) or that of reading the file. */
int users_find(const char *name, uint32_t *uid, uint32_t *gid);

/* The group of a user by uid.  0, or -1 with errno ENOENT or that of reading the file. */
int users_find_gid(uint32_t uid, uint32_t *gid);

/* The gid of a group in /etc/group.  0, or -1 with errno ENOENT or that of reading the file. */
int users_find_group(const char *name, uint32_t *gid);

#endif
