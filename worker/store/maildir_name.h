/*
 * What the name of a file in new/ or cur/ says: base name, delivery time, unique-id.
 * Pure functions over octets; names come from outside and may hold anything but "/" and NUL.
 */
#ifndef POP3D_MAILDIR_NAME_H
#define POP3D_MAILDIR_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/store/store.h"

/* Length of the base name: all before the first ":"; what follows are flags. */
size_t maildir_base_len(const char *name);

/* Does this name in new/ or cur/ belong to the maildrop?  Those that begin with "." do not. */
bool maildir_name_counts(const char *name);

/* The seconds with which a name begins, as the sort key of most weight.  A name that begins with
 * no digit, and one with more than fits: UINT64_MAX, behind all others. */
uint64_t maildir_seconds(const char *name);

/* The size on the wire that the name claims, ",W=" (Maildir++, maildirquota(7)), or STORE_NO_SIZE.
 */
uint64_t maildir_claimed_size(const char *name);

/* The stored size that the name claims, ",S=", or STORE_NO_SIZE. */
uint64_t maildir_claimed_stored(const char *name);

/* The unique-id: the base name, or its SHA-256 in hex if it is empty, longer than 70 octets or
 * holds one out of 0x21..0x7E. */
void maildir_uid(const char *base, size_t len, char out[STORE_UID_SIZE]);

/* The other unique-id, for a base name that another message has been given. */
void maildir_digest_uid(const char *base, size_t len, char out[STORE_UID_SIZE]);

/* The unique-id of a file whose base name another file has, too: SHA-256 of the name and the inode.
 */
void maildir_duplicate_uid(const char *base, size_t len, uint64_t inode, char out[STORE_UID_SIZE]);

#endif
