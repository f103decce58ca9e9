/*
 * Counts of failed logins by kind and key.  The count of a key begins with its
 * first failure and is forgotten a window later.  The keys of a kind are capped;
 * when there is no room the one that failed longest ago makes some.
 *
 * The dispatcher counts; master keeps a copy for the next one, whose rows they
 * pass to each other as messages.
 */
#ifndef POP3D_FAILURES_H
#define POP3D_FAILURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum { FAILURES_MAX = 16384 /* keys of a kind that are counted */ };

struct failures;

/* At most `cap` keys of each kind.  NULL with errno. */
struct failures *failures_new(size_t cap);
void failures_free(struct failures *f);

/* Length of the window in seconds; holds for the counts that stand, too. */
void failures_set_window(struct failures *f, uint32_t seconds);

/* Count one failure of key at `now` (seconds of a clock that never goes back).
 * known: the key names something that exists.  No memory: not counted. */
void failures_add(struct failures *f, enum failure_kind kind, const struct failure_key *key,
		  uint64_t now, bool known);

/* Failures of key in its window; *known (may be NULL) as last told. */
uint32_t failures_count(const struct failures *f, enum failure_kind kind,
			const struct failure_key *key, uint64_t now, bool *known);

/* Forget the key. */
void failures_clear(struct failures *f, enum failure_kind kind, const struct failure_key *key);

/* Set a row as the other side has it; a count of 0 removes it.  It does not count as changed. */
void failures_put(struct failures *f, const struct msg_failure *row);

/* Fill *m with rows that have changed since they were taken last, as many as fit.  Octets of the
 * message; 0: none has changed. */
size_t failures_take(struct failures *f, struct msg_failures *m);

/* Let all rows count as changed. */
void failures_mark(struct failures *f);

#endif
