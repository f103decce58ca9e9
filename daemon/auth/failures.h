/*
 * Counts of failed logins by key (a user name, a source).  The count of a key
 * begins with its first failure and is forgotten a window later.  The table is
 * capped; when it is full the key that failed longest ago makes room.
 */
#ifndef POP3D_AUTH_FAILURES_H
#define POP3D_AUTH_FAILURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct failures;

/* A table of at most `cap` keys.  NULL with errno. */
struct failures *failures_new(size_t cap);
void failures_free(struct failures *f);

/* Length of the window in seconds; holds for the counts that stand, too. */
void failures_set_window(struct failures *f, uint32_t seconds);

/* Count one failure of key at `now` (seconds of a clock that never goes back).
 * known: the key names something that exists.  No memory: not counted. */
void failures_add(struct failures *f, const void *key, size_t len, uint64_t now, bool known);

/* Failures of key in its window; *known (may be NULL) as last told. */
uint32_t failures_count(struct failures *f, const void *key, size_t len, uint64_t now, bool *known);

/* Forget the key. */
void failures_clear(struct failures *f, const void *key, size_t len);

/* Keys in the table. */
size_t failures_size(const struct failures *f);

#endif
