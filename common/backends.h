/*
 * The back ends that check logins and those that keep mail: the word before the colon of the
 * settings `auth` and `storage`, what may stand behind the colon, and what the back end can do.
 * A back end has a row here, and its functions in the table of the role that runs it
 * (daemon/auth/backend.c, worker/store/store.c).  Pure functions.
 */
#ifndef POP3D_BACKENDS_H
#define POP3D_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>

/* What a template may name with a "%" before it; daemon/auth/template.h. */
#define BACKEND_TEMPLATE_LETTERS "udnh%"

enum backend_argument { ARGUMENT_NONE, ARGUMENT_PATH, ARGUMENT_SERVICE, ARGUMENT_TEMPLATE };

struct backend {
	const char *word;
	enum backend_argument argument;
	const char *form; /* the setting, as a fault shows it; NULL: no setting may name it */
	bool apop;	  /* auth: checks digests, RFC 1939 section 7 */
	bool base;	  /* storage: a template without "%" is a directory of users' mailboxes */
};

extern const struct backend backends_auth[], backends_storage[]; /* end: no word */

/* The back end of a setting, and what stands behind its colon (unless arg is NULL).  NULL: no such.
 */
const struct backend *backends_find(const struct backend *table, const char *spec,
				    const char **arg);

/* Is the argument of the right form for its back end?  NULL, or what was expected. */
const char *backends_argument_fault(const struct backend *b, const char *arg);

/* May the setting have this value: "" or a back end that a setting may name?  NULL, or what was
 * expected, until the next call. */
const char *backends_fault(const struct backend *table, const char *spec);

#endif
