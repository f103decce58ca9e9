/*
 * What authentication back ends do: one file and one line in the table of backend.c each.  Their
 * words, arguments and abilities stand in common/backends.c.
 */
#ifndef POP3D_AUTH_BACKEND_H
#define POP3D_AUTH_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

struct userfile;

struct auth_backend {
	const char *name; /* its word */

	/* In the gate; none of these may wait for anything. */

	/* Is there what it needs?  The argument is of the right form.  0, or -1 and why (of cap
	 * octets).  NULL: it needs nothing. */
	int (*check)(const char *arg, char *why, size_t cap);
	/* The same in depth, for pop3d -t; it may wait, and logs what it finds.  0; -1: people are
	 * kept out.  NULL: nothing more is known. */
	int (*inspect)(const char *arg);
	/* The same about a user, for pop3ctl doctor, as its caller.  0; -1: he is kept out.  NULL:
	 * nothing is known. */
	int (*inspect_user)(const char *arg, const char *user);
	/* A digest of the state of the files it depends on: children are
	 * replaced when it changes. */
	uint64_t (*stamp)(const char *arg);
	/* For back ends whose children have no privilege: who the accounts are,
	 * so that such a child can only say yes or no.  The result has no
	 * passwords.  0, or -1.  NULL: a child's word on the account is taken. */
	int (*accounts)(struct userfile *u, const char *arg, bool rootless);

	/* In a child, which serves one request at a time. */

	/* Get ready, and give up privileges that logins do not need.  A failure
	 * is for login() to tell.  0, or -1: no use, end. */
	int (*open)(const struct msg_child_conf *conf, const char *arg);
	/* Fill in the answer, which comes zeroed but for its id: result, why, and
	 * the account (the name also for a login that failed, if it exists). */
	void (*login)(const struct msg_child_ask *ask, struct msg_child_answer *answer);
	/* Who is that user?  No password is asked and no login is made.  The answer as above,
	 * the reason being for an administrator.  NULL: it cannot be known without a password. */
	void (*lookup)(const char *user, struct msg_child_answer *answer);
	/* After a good login with pam_session: end what was kept for the length
	 * of the mail session.  NULL: nothing is kept. */
	void (*close)(void);
};

extern const struct auth_backend backend_any, backend_checkpassword, backend_file, backend_pam;

/* The back end of an `auth` setting, *arg behind its colon.  NULL: no such. */
const struct auth_backend *backend_find(const char *spec, const char **arg);

/* May an `auth` setting be used?  0, or -1 and why not (of cap octets). */
int backend_check(const char *spec, char *why, size_t cap);

/* Mix a file's identity, size and times into a digest. */
uint64_t backend_stamp_file(uint64_t digest, const char *path);

#endif
